"""Prospective studies: predictions frozen before the readings are made, and scored once they are there."""
