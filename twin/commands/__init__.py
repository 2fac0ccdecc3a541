"""Subcommands of the program ``twin``, and what they share."""
