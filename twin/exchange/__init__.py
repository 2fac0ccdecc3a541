"""Models in the formats of the field: SBML and Antimony, in and out."""

from twin.exchange.antimony import read_antimony
from twin.exchange.sbml.reading import read_sbml
from twin.exchange.sbml.writing import write_sbml

__all__ = ["read_antimony", "read_sbml", "write_sbml"]
