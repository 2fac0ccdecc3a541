"""Readings that are not on the scale of an observable: ordered grades, and unknown monotone functions of it."""
