"""What to say of a name that a formula uses and nobody declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twin.errors import UnknownSymbolError, suggestion

if TYPE_CHECKING:
    from twin.model.model import Model

_CONSTANTS = {"pi": "3.141592653589793", "e": "exp(1)"}


def unknown_name(model: Model, name: str, where: str, known: Iterable[str], shown: str = "") -> UnknownSymbolError:
    """The error for a name that is not there, or is that of an observable.

    Args:
        model: The model.
        name: The name.
        where: What it is used in.
        known: Names that could be meant.
        shown: The formula, to be put behind the name.
    """
    if name in model.observable_names:
        return UnknownSymbolError(
            f"the observable {name!r} is used{shown}",
            where=where,
            expected="no observables: they are read from the model and do not act on it",
            fix=f"declare an Assignment and use it both here and in {name!r}",
        )
    return UnknownSymbolError(
        f"unknown name {name!r}{shown}",
        where=where,
        expected="a name that the model declares",
        fix=f"write {_CONSTANTS[name]}" if name in _CONSTANTS else suggestion(name, known),
    )
