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

from calibration.alike import AlikeObservables
from calibration.bindings import Bindings
from calibration.reading_values import ReadingValues
from twin.compile.evaluate import compile_expressions
from twin.errors import ProblemError, suggestion
from twin.model.formula import parse
from twin.model.symbols import TIME, symbol
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
        self.names = (*free, *(name for name in own.columns if name not in free))
        self._alike = self._group()

    def _group(self) -> AlikeObservables | None:
        """The observables by shape; None where inputs, conditions or delays have formulas of their own."""
        system = self.bindings.system
        if system.model.input_names or system.locks or system.delays:
            return None
        parameters = [symbol(name) for name in system.parameters]
        states = [symbol(name) for name in system.states]
        direct = [symbol(name) for name in self.names]
        formulas = {}
        for name, formula in self._observables.items():
            scale = self._scales[name]
            # In the scale the observable's own name is the prediction itself.
            formulas[name] = [formula] if scale is None else [formula, scale.xreplace({symbol(name): formula})]
        known = {TIME, *states, *parameters, *direct}
        if not all(formula.free_symbols <= known for each in formulas.values() for formula in each):
            return None
        # What the vector gives takes the place of the model's own value, so that it is named last.
        frozen = frozenset([TIME, *parameters, *direct])
        return AlikeObservables(formulas, self.bindings.rows_of, (states, parameters, direct), frozen)

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

    def direct(
        self, values: Mapping[str, Float[Array, "series draw"]], trajectory: Trajectory
    ) -> Float[Array, "name reading draw"]:
        """What formulas of observables and noise take from the vector itself, in every reading: values of `names`."""
        lane, own, count = self.bindings.lane, self.own, len(self._free)
        # One gather for all names, not one each: there may be hundreds.
        free = jnp.stack([values[name] for name in self._free])[:, lane] if count else trajectory.y[:0]
        if not own.columns:
            return free
        parameters = self.bindings.system.parameters
        position = {name: count + index for index, name in enumerate(parameters)}
        position |= {name: index for index, name in enumerate(self._free)}
        known = jnp.concatenate([free, trajectory.params])
        names, columns = ([position[name] for name in each] for each in (own.names, own.columns))
        of_columns = own.rows(known[np.array(names, dtype=int)], known[np.array(columns)])
        index = {name: count + index for index, name in enumerate(own.columns)}
        places = [index.get(name, place) for place, name in enumerate(self.names)]
        return jnp.concatenate([free, of_columns])[np.array(places)]

    def __call__(self, trajectory: Trajectory, direct: Float[Array, "name reading draw"]) -> tuple[Rows, Rows]:
        """Predictions and noise scales.

        Args:
            trajectory: States and parameters at the readings.
            direct: Values of `names`, which take the place of the trajectory's.
        """
        table = self.bindings
        if self._alike:
            return self._alike((trajectory.y, trajectory.params, direct), trajectory.t, table.noise)
        # Split by observable after one gather: the transpose of a split is a concatenation, that of a slice an array of
        # zeros for every name in every formula.
        order = np.concatenate(list(table.rows_of.values()))
        sizes = [len(rows) for rows in table.rows_of.values()]
        split = lambda x: lax.split(x[..., order, :], sizes, axis=x.ndim - 2)  # noqa: E731
        trajectories = zip(*map(split, trajectory), strict=True)
        values, scales = [], []
        for (name, rows), part, given in zip(table.rows_of.items(), trajectories, split(direct), strict=True):
            prediction, spread = self._of_observable(name, Trajectory(*part), given)
            values.append(prediction)
            known = jnp.broadcast_to(jnp.asarray(table.noise[rows])[:, None], prediction.shape)
            scales.append(known if spread is None else spread)
        back = np.argsort(order, kind="stable")
        return jnp.concatenate(values)[back], jnp.concatenate(scales)[back]

    def _of_observable(
        self, name: str, trajectory: Trajectory, direct: Float[Array, "name reading draw"]
    ) -> tuple[Rows, Rows | None]:
        system, shape = self.bindings.system, trajectory.t.shape
        t = trajectory.t.reshape(-1)
        y, params, given = (x.reshape(x.shape[0], -1) for x in (trajectory.y, trajectory.params, direct))
        env, mid = system.environment(t, t, y, params)
        instead = {symbol(key): row for key, row in zip(self.names, given, strict=True)}
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


def _of(expression: sp.Expr) -> list[sp.Symbol]:
    return sorted((s for s in expression.free_symbols if isinstance(s, sp.Symbol)), key=str)
