"""The description of a mechanism: symbols, reactions, equations, units. Symbolic; knows nothing of JAX."""

from twin.model.model import Model
from twin.model.parts import (
    Assignment,
    ConservedTotal,
    Event,
    Input,
    Observable,
    Parameter,
    Published,
    Reaction,
    State,
)

__all__ = [
    "Assignment",
    "ConservedTotal",
    "Event",
    "Input",
    "Model",
    "Observable",
    "Parameter",
    "Published",
    "Reaction",
    "State",
]
