"""From states and parameters at the sample times to predictions of readings and the scales of their noise.

Every observable is evaluated at its own readings only, together with its noise formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jax import lax
from jaxtyping import Array, Float

from calibration.bindings import Bindings
from calibration.reading_values import ReadingValues
from twin.compile.evaluate import compile_expressions
from twin.errors import ProblemError, suggestion
from twin.model.formula import parse
from twin.model.symbols import symbol
from twin.study import Noise

type Rows = Float[Array, "reading draw"]


class Trajectory(NamedTuple):
    """What the integration gives at each reading.

    Args:
        t: Time.
        y: States.
        params: Parameters in force.
    """

    t: Float[Array, "reading draw"]
    y: Float[Array, "state reading draw"]
    params: Float[Array, "parameter reading draw"]


class Readout:
    """Predictions and noise scales of the readings in `bindings`.

    Args:
        bindings: The readings.
        noise: Noise model by observable.
        free: Estimated numbers that the mechanism and the experiments do not depend on; those that are no parameters
            of the model may stand in noise formulas.
        own: Parameters with values of their own in some readings.

    Raises:
        ProblemError: a noise formula uses an unknown name, or a scale is not positive.
    """

    def __init__(self, bindings: Bindings, noise: Mapping[str, Noise], free: Sequence[str], own: ReadingValues) -> None:
        self.bindings, self.own, self._free = bindings, own, tuple(free)
        model = bindings.system.model
        parameters = set(bindings.system.parameters)
        self._extra = tuple(name for name in free if name not in parameters)
        self._observables = {name: model.observable_expr(name) for name in bindings.observables}
        self._scales = {name: self._scale_expression(name, noise[name]) for name in bindings.observables}
        self._needed = {name: self._names_needed(name) for name in bindings.observables}

    def _names_needed(self, observable: str) -> set[str] | None:
        """Names in the formulas of an observable; None for all, where inputs or conditions have their own formulas."""
        system = self.bindings.system
        if system.model.input_names or system.locks or system.delays:
            return None
        formulas = (self._observables[observable], self._scales[observable])
        return {symbol.name for formula in formulas if formula is not None for symbol in _of(formula)}

    def _scale_expression(self, observable: str, noise: Noise) -> sp.Expr | None:
        model = self.bindings.system.model
        if noise.scale is None:
            rows = self.bindings.rows_of[observable]
            if not np.all(self.bindings.noise[rows] > 0):
                raise ProblemError(
                    f"the noise of {observable!r} is to be taken from the table, where some readings have none",
                    where="noise",
                    fix="fill the column 'noise' or give Noise(scale=...)",
                )
            return None
        expression = parse(noise.scale, where=f"noise of {observable!r}")
        known = {observable, *self._extra, *model.formula_names}
        for each in _of(expression):
            if each.name not in known:
                raise ProblemError(
                    f"the noise formula {noise.scale!r} uses {each}",
                    where=f"noise of {observable!r}",
                    expected="estimated names, symbols of the model or the observable itself",
                    fix=suggestion(each.name, known),
                )
        if expression.is_number and float(expression) <= 0:
            raise ProblemError(
                f"the noise scale of {observable!r} is {float(expression):g}",
                where="noise",
                expected="a positive number",
            )
        return model.expand(expression)

    def direct(self, values: Mapping[str, Float[Array, "series draw"]], trajectory: Trajectory) -> dict[str, Rows]:
        """What formulas of observables and noise take from the vector itself, in every reading."""
        system, lane = self.bindings.system, self.bindings.lane
        rows: dict[str, Rows] = {}
        if self._free:  # one gather for all names, not one each: there may be hundreds
            of_readings = jnp.stack([values[name] for name in self._free])[:, lane]
            rows = dict(zip(self._free, of_readings, strict=True))
        if not self.own.columns:
            return rows
        index = {name: i for i, name in enumerate(system.parameters)}
        needed = {*self.own.columns, *self.own.names} & set(index)
        of_parameter = {name: trajectory.params[index[name]] for name in sorted(needed)}
        return rows | self.own.rows(of_parameter | rows)

    def __call__(self, trajectory: Trajectory, direct: Mapping[str, Rows]) -> tuple[Rows, Rows]:
        """Predictions and noise scales.

        Args:
            trajectory: States and parameters at the readings.
            direct: Values by name that take the place of the trajectory's.
        """
        table = self.bindings
        # Split by observable after one gather: the transpose of a split is a concatenation, that of a slice an array of
        # zeros for every name in every formula.
        order = np.concatenate(list(table.rows_of.values()))
        sizes = [len(rows) for rows in table.rows_of.values()]
        split = lambda x: lax.split(x[..., order, :], sizes, axis=x.ndim - 2)  # noqa: E731
        trajectories = zip(*map(split, trajectory), strict=True)
        names = sorted(direct)
        of_names = split(jnp.stack([direct[name] for name in names])) if names else [jnp.zeros((0, 1, 1))] * len(sizes)
        values, scales = [], []
        for (name, rows), part, given in zip(table.rows_of.items(), trajectories, of_names, strict=True):
            prediction, spread = self._of_observable(name, Trajectory(*part), names, given)
            values.append(prediction)
            known = jnp.broadcast_to(jnp.asarray(table.noise[rows])[:, None], prediction.shape)
            scales.append(known if spread is None else spread)
        back = np.argsort(order, kind="stable")
        return jnp.concatenate(values)[back], jnp.concatenate(scales)[back]

    def _of_observable(
        self, name: str, trajectory: Trajectory, names: Sequence[str], direct: Float[Array, "name reading draw"]
    ) -> tuple[Rows, Rows | None]:
        system, shape = self.bindings.system, trajectory.t.shape
        t = trajectory.t.reshape(-1)
        y = self._rows(name, system.states, trajectory.y)
        params = self._rows(name, system.parameters, trajectory.params)
        env, mid = system.environment(t, t, y, params)
        given = zip(names, self._rows(name, names, direct), strict=True)
        instead = {symbol(key): row for key, row in given if row is not None}
        env, mid = {**env, **instead}, {**mid, **instead}
        # In the scale the observable's own name is the prediction itself.
        scale = self._scales[name]
        frozen = frozenset([symbol("time"), *map(symbol, system.parameters), *instead])
        formula = self._observables[name]
        both = [formula] if scale is None else [formula, scale.xreplace({symbol(name): formula})]
        results = [
            jnp.broadcast_to(jnp.asarray(x, dtype=float), t.shape).reshape(shape)
            for x in compile_expressions(both, frozen)(env, mid)
        ]
        return results[0], results[1] if len(results) > 1 else None

    def _rows(self, observable: str, names: Sequence[str], values: Float[Array, "name reading draw"]):
        """The rows that the formulas of an observable use, flat; None for the others."""
        needed = self._needed[observable]
        index = [i for i, name in enumerate(names) if needed is None or name in needed]
        rows: list[Array | None] = [None] * len(names)
        if index:
            chosen = values[np.array(index)].reshape(len(index), -1)
            for i, row in zip(index, lax.split(chosen, [1] * len(index)), strict=True):
                rows[i] = row[0]
        return rows


def _of(expression: sp.Expr) -> list[sp.Symbol]:
    return sorted((s for s in expression.free_symbols if isinstance(s, sp.Symbol)), key=str)
