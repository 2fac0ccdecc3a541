"""From parameter vectors to predictions of every reading and the scale of their noise, all as one batched solve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from calibration.bindings import Bindings
from calibration.mechanism import names_in_use
from calibration.parameters import ParameterVector
from calibration.reading_values import ReadingValues
from calibration.readout import Readout, Trajectory
from twin.errors import ProblemError, suggestion
from twin.experiment.schedule import make_schedule
from twin.model.formula import parse
from twin.solve import Method, Tolerance, integrate
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
        d_value: Derivatives of the predictions in each entry, or along each direction asked for.
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
        own: Parameters with values of their own in some readings.

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
        own: ReadingValues,
    ) -> None:
        self.bindings, self.parameters = bindings, parameters
        self.method, self.tolerance = method, tolerance
        model = bindings.system.model
        _check_estimates(parameters, bindings, noise)
        self._defaults = np.array([{**model.default_parameters, **fixed}[n] for n in bindings.system.parameters])
        position = {key: index for index, key in enumerate(parameters.series)}
        self._series = np.array([position[key] for key in bindings.series])
        in_use = names_in_use(model, bindings.experiments)
        self._mechanism = tuple(n for n in parameters.slots if n in in_use and n in bindings.system.parameters)
        self._free = tuple(name for name in parameters.slots if name not in self._mechanism)
        self.readout = Readout(bindings, noise, self._free, own)

    def model_parameters(
        self, values: Mapping[str, Float[Array, "series draw"]], draws: int
    ) -> Float[Array, "parameter series draw"]:
        """Parameters of the model in every lane."""
        names = self.bindings.system.parameters
        shape = (len(names), len(self.bindings.series), draws)
        p = jnp.broadcast_to(jnp.asarray(self._defaults)[:, None, None], shape)
        given = {name: value for name, value in values.items() if name in names}
        if not given:
            return p
        # A gather of given values or defaults: its transpose compiles faster than that of a scatter.
        position = {name: index for index, name in enumerate(given)}
        rows = np.array([position.get(name, -1) for name in names])
        chosen = jnp.stack(list(given.values()))[np.maximum(rows, 0)]
        return jnp.where((rows >= 0)[:, None, None], chosen, p)

    def __call__(self, thetas: Float[Array, "draw parameter"]) -> Prediction:
        """Predictions of all readings for many vectors; supports reverse-mode differentiation."""
        return self.from_values(self.values(thetas))

    @property
    def directions(self) -> int:
        """Tangent directions that forward sensitivities take: parameters of the mechanism that are estimated."""
        return len(self._mechanism)

    def values(self, thetas: Float[Array, "draw parameter"]) -> Values:
        """Values of the estimated parameters in every series of the readings, linear scale."""
        return self.parameters.values(jnp.transpose(thetas), self._series)

    def from_values(self, values: Values, gradient: Literal["reverse", "forward"] = "reverse") -> Prediction:
        """Predictions from parameter values in every series."""
        trajectory, ok = self._solve(values, gradient)
        value, scale = self.readout(trajectory, self.readout.direct(values, trajectory))
        return Prediction(value.T, scale.T, (ok & jnp.isfinite(value)).T)

    def linearise(
        self, thetas: Float[Array, "draw parameter"], directions: Float[Array, "direction parameter"] | None = None
    ) -> Linearisation:
        """Predictions with their Jacobians, or their derivatives along some directions, by forward sensitivities.

        Series are independent lanes, so one tangent direction per parameter of the mechanism serves all series at
        once, however many entries of the vector (subjects, spreads) stand behind it; the chain rule does the rest.
        What only observables and noise depend on needs no sensitivities: readings are independent, so one direction
        per name in the formulas serves all readings, however many entries take its place.
        """
        values = self.values(thetas)
        given = lambda theta: self._flat(self.values(theta[None]))  # noqa: E731
        if directions is None:
            d_values = jax.vmap(jax.jacfwd(given))(thetas)
        else:
            along_each = jax.vmap(lambda x, d: jax.jvp(given, (x,), (d,))[1], in_axes=(None, 0), out_axes=-1)
            d_values = jax.vmap(along_each, in_axes=(0, None))(thetas, directions)
        (value, scale), along, (trajectory, ok) = self._sensitivities(values)
        # [slot, reading, draw] times d(slot in the reading's series)/d(theta) [draw, slot, reading, parameter]
        lanes = self.bindings.lane
        d_value = d_scale = jnp.zeros((*value.T.shape, len(thetas.T if directions is None else directions)))
        if along is not None:
            of_mechanism = jnp.stack([d_values[name][:, lanes] for name in self._mechanism], axis=1)
            d_value, d_scale = (jnp.einsum("krd,dkrp->drp", each, of_mechanism) for each in along)
        direct = self.readout.direct(values, trajectory)
        d_value, d_scale = self._along_direct(trajectory, direct, d_values, d_value, d_scale)
        return Linearisation(Prediction(value.T, scale.T, (ok & jnp.isfinite(value)).T), d_value, d_scale)

    @staticmethod
    def _flat(values: Values) -> Values:
        return {name: value[:, 0] for name, value in values.items()}

    def _sensitivities(self, values: Values):
        """Values and scales of readings, their derivatives along each parameter of the mechanism (None without any),
        and the trajectory with whether it exists; all of one integration."""

        def predict(values: Values):
            trajectory, ok = self._solve(values, "forward")
            return self.readout(trajectory, self.readout.direct(values, trajectory)), (trajectory, ok)

        if not self._mechanism:
            result, aux = predict(values)
            return result, None, aux
        directions = [
            {name: jnp.full_like(value, float(name == chosen)) for name, value in values.items()}
            for chosen in self._mechanism
        ]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *directions)
        push = lambda direction: jax.jvp(predict, (values,), (direction,), has_aux=True)  # noqa: E731
        # What does not depend on the direction is computed once for all.
        return jax.vmap(push, out_axes=(None, 0, None))(stacked)

    def _along_direct(
        self, trajectory: Trajectory, direct: Array, d_values: Values, d_value: Array, d_scale: Array
    ) -> tuple[Array, Array]:
        """Adds what the vector changes in the formulas of observables and noise themselves."""
        lanes, own, names = self.bindings.lane, self.readout.own, self.readout.names
        if not names:
            return d_value, d_scale

        def push(chosen: Array) -> tuple[Array, Array]:
            direction = jnp.broadcast_to(chosen[:, None, None], direct.shape)
            return jax.jvp(lambda x: self.readout(trajectory, x), (direct,), (direction,))[1]

        along = jax.vmap(push)(jnp.eye(len(names)))
        for name, by_value, by_scale in zip(names, *along, strict=True):
            if name in own.columns:
                changes = [(d_values[free], own.stands_for(name, free)) for free in self._free if free in own.names]
                if name in self._free:
                    changes.append((d_values[name], own.keeps(name)))
            else:
                changes = [(d_values[name], np.ones(len(lanes), dtype=bool))]
            for change, rows in changes:
                if rows.any():
                    moved = jnp.where(rows[:, None], change[:, lanes], 0.0)
                    d_value += by_value.T[..., None] * moved
                    d_scale += by_scale.T[..., None] * moved
        return d_value, d_scale

    def trajectories(self, values: Values) -> tuple[Trajectory, Array]:
        """States and parameters at every reading, and whether its series could be integrated [reading, draw]."""
        return self._solve(values, "reverse")

    def _solve(self, values: Values, gradient: Literal["reverse", "forward"]) -> tuple[Trajectory, Array]:
        """States and parameters at every reading, and whether its series could be integrated [reading, draw]."""
        table = self.bindings
        draws = next(iter(values.values())).shape[1]
        p = self.model_parameters(values, draws)
        schedule = make_schedule(table.system, table.actions, p)
        ts = jnp.repeat(jnp.asarray(table.times), draws, axis=1)
        directions = self.directions if gradient == "forward" else 0
        samples = integrate(table.system, schedule, self.method, self.tolerance, ts, gradient, directions, draws)

        def of_readings(x: Array) -> Array:
            return x.reshape(*x.shape[:-1], len(table.series), draws)[..., table.sample, table.lane, :]

        ok = (samples.status == 0).reshape(len(table.series), draws)[table.lane]
        return Trajectory(*map(of_readings, samples[:3])), ok


def _check_estimates(parameters: ParameterVector, bindings: Bindings, noise: Mapping[str, Noise]) -> None:
    model = bindings.system.model
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
