"""Conformance with PEtab: its test suites and the collection of benchmark problems."""
