"""Viral dynamics within a host."""
