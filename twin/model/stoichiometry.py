"""The stoichiometry of a model: equations of its reactions, net changes, the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp
from jaxtyping import Float

from twin.errors import ModelError
from twin.model.equation import Equation, equation_of, parse_equation

if TYPE_CHECKING:
    from twin.model.model import Model


def equations(model: Model) -> tuple[Equation, ...]:
    """The equation of each reaction, as written.

    Raises:
        FormulaError: A text that is no equation.
        UnknownSymbolError: A name that is not a state.
    """
    names = model.state_names
    result = []
    for part in model.reactions:
        where = f"model {model.name!r}, reaction {part.name!r}"
        if isinstance(part.equation, Mapping):
            result.append(equation_of(part.equation, names, where=where))
        else:
            result.append(parse_equation(part.equation, names, where=where))
    return tuple(result)


def net_changes(model: Model) -> tuple[Mapping[str, sp.Expr], ...]:
    """Change of each state when each reaction happens once, as written; states that do not change are left out."""
    result = []
    for part, equation in zip(model.reactions, model.equations, strict=True):
        where = f"model {model.name!r}, reaction {part.name!r}"
        changes = {name: model.formula(change, where=where) for name, change in equation.net.items()}
        result.append(MappingProxyType({name: change for name, change in changes.items() if change != 0}))
    return tuple(result)


def matrix(model: Model) -> Float[np.ndarray, "state reaction"]:
    """The numbers of `net_changes`, read-only.

    Raises:
        ModelError: A coefficient is a formula.
    """
    result = np.zeros((len(model.states), len(model.reactions)))
    row = {name: index for index, name in enumerate(model.state_names)}
    for column, changes in enumerate(model.net_changes):
        for name, change in changes.items():
            if not change.is_number:
                raise ModelError(
                    f"the stoichiometry of {name!r} in the reaction {model.reaction_names[column]!r} is {change}",
                    where=f"model {model.name!r}",
                    expected="numbers, for a matrix",
                    fix="use Model.net_changes",
                )
            result[row[name], column] = float(change)
    result.setflags(write=False)
    return result


def coefficients(model: Model) -> dict[tuple[int, int], sp.Expr]:
    """By position (state, reaction): change of the state per flux, its compartment's size included, expanded."""
    row = {name: index for index, name in enumerate(model.state_names)}
    sizes = {part.name: part.compartment for part in model.states}
    result = {}
    for column, changes in enumerate(model.net_changes):
        for name, change in changes.items():
            size = sizes[name]
            per_size = change if size is None else change / model.symbol(size)
            result[row[name], column] = model.expand(per_size)
    return result
