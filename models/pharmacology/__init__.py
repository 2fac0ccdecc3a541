"""Pharmacokinetics and pharmacodynamics."""
