"""Subcommands of the program ``twin`` that calibrate and assess."""
