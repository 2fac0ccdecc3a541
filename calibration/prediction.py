"""From parameter vectors to predictions of every reading and the scale of their noise, all as one batched solve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Bool, Float

from calibration.bindings import Bindings
from calibration.parameters import ParameterVector
from twin.compile.evaluate import compile_expressions
from twin.errors import ProblemError, suggestion
from twin.experiment.schedule import make_schedule
from twin.model.formula import parse
from twin.solve import Method, Tolerance, integrate, sample
from twin.study import Noise


class Prediction(NamedTuple):
    """What the model says of every reading.

    Args:
        value: Prediction without noise, in the observable's unit.
        scale: Scale of the noise.
        ok: False where the integration of the reading's series failed.
    """

    value: Float[Array, "draw reading"]
    scale: Float[Array, "draw reading"]
    ok: Bool[Array, "draw reading"]


type Values = Mapping[str, Float[Array, "series draw"]]


class Linearisation(NamedTuple):
    """Predictions and their derivatives in the vector.

    Args:
        prediction: The predictions.
        d_value: Derivatives of the predictions.
        d_scale: Derivatives of the noise scales.
    """

    prediction: Prediction
    d_value: Float[Array, "draw reading parameter"]
    d_scale: Float[Array, "draw reading parameter"]


class Predictor:
    """Predictions of the readings in `bindings`; series and vectors are lanes of one solve.

    Args:
        bindings: The readings.
        parameters: Meaning of the vector.
        fixed: Model parameters with other values than the model's defaults.
        noise: Noise model by observable.
        method: Integration method.
        tolerance: Tolerances.

    Raises:
        ProblemError: an estimated name is used nowhere, or a noise formula uses an unknown one.
    """

    def __init__(
        self,
        bindings: Bindings,
        parameters: ParameterVector,
        fixed: Mapping[str, float],
        noise: Mapping[str, Noise],
        method: Method,
        tolerance: Tolerance,
    ) -> None:
        self.bindings, self.parameters = bindings, parameters
        self.method, self.tolerance = method, tolerance
        model = bindings.system.model
        self._defaults = np.array([{**model.default_parameters, **fixed}[n] for n in bindings.system.parameters])
        self._observables = tuple(model.observable_expr(name) for name in bindings.observables)
        self._scales = {name: self._scale_expression(name, noise[name]) for name in bindings.observables}
        position = {key: index for index, key in enumerate(parameters.series)}
        self._series = np.array([position[key] for key in bindings.series])
        self._which = np.zeros(len(bindings.lane), dtype=int)
        for index, name in enumerate(bindings.observables):
            self._which[bindings.rows_of[name]] = index
        for name in parameters.slots:
            if name in model.observable_names or name in model.state_names:
                raise ProblemError(
                    f"{name!r} is to be estimated, but it is computed by the model",
                    where="estimates",
                    expected="a parameter of the model, or a new name that a noise formula uses",
                )
        used = set(bindings.system.parameters)
        for model_of_noise in noise.values():
            if isinstance(model_of_noise.scale, str):
                used |= {str(symbol) for symbol in parse(model_of_noise.scale).free_symbols}
        for name in parameters.slots:
            if name not in used:
                raise ProblemError(
                    f"{name!r} is to be estimated but nothing depends on it",
                    where="estimates",
                    fix=suggestion(name, used),
                )

    def _scale_expression(self, observable: str, noise: Noise) -> sp.Expr | None:
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
        known = {observable, *self.bindings.system.parameters, *self.parameters.slots}
        for symbol in expression.free_symbols:
            if str(symbol) not in known:
                raise ProblemError(
                    f"the noise formula {noise.scale!r} uses {symbol}",
                    where=f"noise of {observable!r}",
                    expected="estimated names, model parameters or the observable itself",
                    fix=suggestion(str(symbol), known),
                )
        if expression.is_number and float(expression) <= 0:
            raise ProblemError(
                f"the noise scale of {observable!r} is {float(expression):g}",
                where="noise",
                expected="a positive number",
            )
        return expression

    def model_parameters(
        self, values: Mapping[str, Float[Array, "series draw"]], draws: int
    ) -> Float[Array, "parameter series draw"]:
        """Parameters of the model in every lane."""
        names = self.bindings.system.parameters
        shape = (len(names), len(self.bindings.series), draws)
        p = jnp.broadcast_to(jnp.asarray(self._defaults)[:, None, None], shape)
        for name, value in values.items():
            if name in names:
                p = p.at[names.index(name)].set(value)
        return p

    def __call__(self, thetas: Float[Array, "draw parameter"]) -> Prediction:
        """Predictions of all readings for many vectors; supports reverse-mode differentiation."""
        return self.from_values(self.values(thetas))

    def values(self, thetas: Float[Array, "draw parameter"]) -> Values:
        """Values of the estimated parameters in every series of the readings, linear scale."""
        of_all = self.parameters.values(jnp.transpose(thetas))
        return {name: value[self._series] for name, value in of_all.items()}

    def from_values(self, values: Values, gradient: Literal["reverse", "forward"] = "reverse") -> Prediction:
        """Predictions from parameter values in every series."""
        value, ok = self._solve(values, gradient)
        return Prediction(value.T, self._noise_scales(value, values).T, ok.T)

    def linearise(self, thetas: Float[Array, "draw parameter"]) -> Linearisation:
        """Predictions with their Jacobians, by forward sensitivities.

        Series are independent lanes, so one tangent direction per parameter of the mechanism serves all series at
        once, however many entries of the vector (subjects, spreads) stand behind it; the chain rule does the rest.
        """
        values = self.values(thetas)
        d_values = jax.vmap(jax.jacfwd(lambda theta: self._flat(self.values(theta[None]))))(thetas)
        names = self.bindings.system.parameters
        mechanism = [name for name in values if name in names]
        if not mechanism:  # only the noise is estimated
            value, ok = self._solve(values, "forward")
            d_value = jnp.zeros((*value.T.shape, thetas.shape[1]))
            scale, d_scale = self._linearise_scales(value, values, d_value, d_values)
            return Linearisation(Prediction(value.T, scale, ok.T), d_value, d_scale)

        def predict(values: Values):
            prediction, ok = self._solve(values, "forward")
            return prediction, ok

        directions = [
            {name: jnp.full_like(value, float(name == chosen)) for name, value in values.items()}
            for chosen in mechanism
        ]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *directions)

        def along(direction: Values):
            return jax.jvp(predict, (values,), (direction,), has_aux=True)

        value, by_slot, ok = jax.vmap(along, out_axes=(None, 0, None))(stacked)
        # [slot, reading, draw] times d(slot in the reading's series)/d(theta) [draw, slot, reading, parameter]
        lanes = self.bindings.lane
        of_mechanism = jnp.stack([d_values[name][:, lanes] for name in mechanism], axis=1)
        d_value = jnp.einsum("krd,dkrp->drp", by_slot, of_mechanism)
        scale, d_scale = self._linearise_scales(value, values, d_value, d_values)
        return Linearisation(Prediction(value.T, scale, ok.T), d_value, d_scale)

    @staticmethod
    def _flat(values: Values) -> Values:
        return {name: value[:, 0] for name, value in values.items()}

    def _linearise_scales(self, value: Array, values: Values, d_value: Array, d_values: Values):
        def push(direction_of_value: Array, direction: Values) -> tuple[Array, Array]:
            return jax.jvp(self._noise_scales, (value, values), (direction_of_value, direction))

        by_parameter = {name: jnp.moveaxis(d, 0, 1) for name, d in d_values.items()}
        scale, d_scale = jax.vmap(push, in_axes=(-1, -1), out_axes=(None, -1))(
            jnp.moveaxis(d_value, 0, 1), by_parameter
        )
        return scale.T, jnp.moveaxis(d_scale, 1, 0)

    def _solve(self, values: Values, gradient: Literal["reverse", "forward"]) -> tuple[Array, Array]:
        """Predictions [reading, draw] and whether their series could be integrated."""
        table = self.bindings
        draws = next(iter(values.values())).shape[1]
        p = self.model_parameters(values, draws)
        schedule = make_schedule(table.system, table.actions, p)
        nodes = integrate(table.system, schedule, self.method, self.tolerance, gradient)
        ts = jnp.repeat(jnp.asarray(table.times), draws, axis=1)
        samples = sample(table.system, schedule, nodes, self.method, ts)
        flat = samples.t.size
        t = samples.t.reshape(flat)
        outputs = table.system.outputs(
            self._observables, t, t, samples.y.reshape(-1, flat), samples.params.reshape(-1, flat)
        )
        outputs = outputs.reshape(len(self._observables), table.times.shape[0], len(table.series), draws)
        prediction = outputs[self._which, table.sample, table.lane]
        ok = (nodes.status == 0).reshape(len(table.series), draws)[table.lane]
        return prediction, ok & jnp.isfinite(prediction)

    def _noise_scales(self, prediction: Array, values: Values) -> Float[Array, "reading draw"]:
        table = self.bindings
        p = self.model_parameters(values, prediction.shape[1])
        scale = jnp.broadcast_to(jnp.asarray(table.noise)[:, None], prediction.shape)
        for name, expression in self._scales.items():
            if expression is None:
                continue
            rows = table.rows_of[name]
            lanes = table.lane[rows]
            env = {sp.Symbol(n, real=True): p[i][lanes] for i, n in enumerate(table.system.parameters)}
            env |= {sp.Symbol(n, real=True): value[lanes] for n, value in values.items()}
            env[sp.Symbol(name, real=True)] = prediction[rows]
            (result,) = compile_expressions([expression], frozenset())(env, env)
            scale = scale.at[rows].set(jnp.broadcast_to(jnp.asarray(result), (len(rows), prediction.shape[1])))
        return scale
