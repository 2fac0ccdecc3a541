"""A model as a jump process: the hazard of every reaction and what changes when it happens once.

References:
    Gillespie (1977), doi:10.1021/j100540a008.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from twin.compile.system import TIME, System, compile_model
from twin.errors import UnsupportedModelError
from twin.model.model import Model


class JumpProcess:
    """Hazards and jumps of a model.

    The rate of a reaction is taken as its hazard: how often it happens per time. A state with a compartment changes by
    its coefficient over the compartment's size, others by the coefficient itself.

    Args:
        model: The mechanism: reactions only.

    Raises:
        UnsupportedModelError: parts that are no reactions, or rates that depend on time other than through the states.
    """

    def __init__(self, model: Model) -> None:
        _check(model)
        self.model = model
        self.system: System = compile_model(model)

    @cached_property
    def hazards(self) -> tuple[sp.Expr, ...]:
        """Formula of every hazard in states and parameters."""
        return self.model.fluxes

    def jumps(self, parameters: Float[np.ndarray, " parameter"]) -> Float[np.ndarray, "state reaction"]:
        """Change of every state when each reaction happens once."""
        change = np.zeros((len(self.system.states), len(self.hazards)))
        given = {name: np.float64(value) for name, value in zip(self.system.parameters, parameters, strict=True)}
        positions = list(self.model.flux_coefficients)
        values = self.system.evaluate_formulas([self.model.flux_coefficients[at] for at in positions], given)
        for at, value in zip(positions, values, strict=True):
            change[at] = float(value)
        return change

    def rates(self, y: Float[Array, "state lane"], p: Float[Array, "parameter lane"]) -> Float[Array, "reaction lane"]:
        """Hazards of all lanes."""
        nowhere = y[0] * 0.0
        return self.system.outputs(self.hazards, nowhere, nowhere, y, p)


def _check(model: Model) -> None:
    where = f"model {model.name!r} as a jump process"
    if not model.reaction_names:
        raise UnsupportedModelError("there are no reactions", where=where, expected="reactions that happen one by one")
    parts = {
        "differential equations": tuple(model.ode_formulas),
        "constraints": tuple(model.constraints),
        "events": tuple(event.name for event in model.events),
        "delays": tuple(model.histories),
    }
    for what, names in parts.items():
        if names:
            raise UnsupportedModelError(
                f"it has {what}: {', '.join(names)}",
                where=where,
                expected="reactions only",
                fix="write them as reactions",
            )
    moving = {TIME, *(model.symbol(name) for name in model.input_names)}
    for name, flux in zip(model.reaction_names, model.fluxes, strict=True):
        if flux.free_symbols & moving:
            raise UnsupportedModelError(
                f"the rate of {name!r} depends on time", where=where, expected="rates of states and parameters"
            )
