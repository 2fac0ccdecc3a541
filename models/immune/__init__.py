"""Dynamics of immune cells."""
