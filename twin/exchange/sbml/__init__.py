"""SBML in and out."""

from twin.exchange.sbml.reading import read_sbml
from twin.exchange.sbml.writing import write_sbml

__all__ = ["read_sbml", "write_sbml"]
