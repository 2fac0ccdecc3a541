"""The registry of integration methods, by the name users write."""

from __future__ import annotations

from collections.abc import Callable

from twin.errors import ExperimentError, suggestion
from twin.solve.method import Method
from twin.solve.rodas5p import Rodas5P
from twin.solve.tsit5 import Tsit5

METHODS: dict[str, Method] = {method.name: method for method in (Rodas5P(), Tsit5())}

AUTO = "auto"
"""What users write for the method that `twin.solve.choose` finds faster."""


def method_named(name: str, choice: Callable[[], Method] | None = None) -> Method:
    """The method of that name.

    Args:
        name: A key of `METHODS`, or "auto" where there is a `choice`.
        choice: What finds the method that "auto" stands for.

    Raises:
        ExperimentError: there is none.
    """
    if choice is not None and name == AUTO:
        return choice()
    if name not in METHODS:
        known = METHODS if choice is None else (*METHODS, AUTO)
        raise ExperimentError(f"there is no integration method {name!r}", where="solver", fix=suggestion(name, known))
    return METHODS[name]
