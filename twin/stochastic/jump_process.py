"""A model as a jump process: the hazard of every reaction and what changes when it happens once.

References:
    Gillespie (1977), doi:10.1021/j100540a008.
"""

from __future__ import annotations

from functools import cached_property

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from twin.compile.system import TIME, System, compile_model
from twin.errors import UnsupportedModelError
from twin.model.derivative import derivatives
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

    @cached_property
    def rows_in_hazards(self) -> tuple[np.ndarray, ...]:
        """Which states each hazard depends on."""
        symbols = [self.model.symbol(name) for name in self.system.states]
        return tuple(
            np.array([row for row, each in enumerate(symbols) if each in hazard.free_symbols], dtype=int)
            for hazard in self.hazards
        )

    @cached_property
    def in_hazards(self) -> np.ndarray:
        """Which states any hazard depends on."""
        return np.isin(np.arange(len(self.system.states)), np.concatenate(self.rows_in_hazards))

    @cached_property
    def _slopes(self) -> dict[tuple[int, int], sp.Expr]:
        symbols = [self.model.symbol(name) for name in self.system.states]
        found = {}
        for reaction, (hazard, rows) in enumerate(zip(self.hazards, self.rows_in_hazards, strict=True)):
            slopes = derivatives(hazard, [symbols[row] for row in rows])
            found |= {(int(row), reaction): slope for row, slope in zip(rows, slopes, strict=True)}
        return found

    def rates_and_steepness(
        self, y: Float[Array, "state lane"], p: Float[Array, "parameter lane"]
    ) -> tuple[Float[Array, "reaction lane"], Float[Array, "state lane"]]:
        """Hazards, and the largest elasticity ``|d ln a / d ln x|`` of any hazard in each state, at least 1."""
        nowhere = y[0] * 0.0
        values = self.system.outputs((*self.hazards, *self._slopes.values()), nowhere, nowhere, y, p)
        count = len(self.hazards)
        steepness = jnp.ones_like(y)
        for (row, reaction), slope in zip(self._slopes, values[count:], strict=True):
            hazard = values[reaction]
            # A hazard of zero does not change in proportion; its state is bounded by single molecules then.
            each = jnp.where(hazard > 0, jnp.abs(slope) * y[row] / jnp.where(hazard > 0, hazard, 1.0), 1.0)
            steepness = steepness.at[row].max(each)
        return values[:count], steepness

    def molecules(self, parameters: Float[np.ndarray, " parameter"]) -> Float[np.ndarray, " state"]:
        """One molecule in the unit of every state: 1, or 1 over the size of the compartment."""
        given = {name: np.float64(value) for name, value in zip(self.system.parameters, parameters, strict=True)}
        sizes = [
            sp.Integer(1) if part.compartment is None else self.model.expand(self.model.formula(part.compartment))
            for part in self.model.states
        ]
        return 1 / np.array([float(value) for value in self.system.evaluate_formulas(sizes, given)])

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
