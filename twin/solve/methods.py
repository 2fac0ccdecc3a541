"""The registry of integration methods, by the name users write."""

from __future__ import annotations

from twin.errors import ExperimentError, suggestion
from twin.solve.method import Method
from twin.solve.rodas5p import Rodas5P
from twin.solve.tsit5 import Tsit5

METHODS: dict[str, Method] = {method.name: method for method in (Rodas5P(), Tsit5())}


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        ExperimentError: there is none.
    """
    if name not in METHODS:
        raise ExperimentError(f"there is no integration method {name!r}", where="solver", fix=suggestion(name, METHODS))
    return METHODS[name]
