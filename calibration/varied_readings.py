"""The likelihood of a problem as a function of the vector and of the readings: one compiled program for many tables.

A problem holds its readings as constants. Where the same design is read again and again, in simulations, bootstrap
samples and replicates, they are an argument here; each lane has readings of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from calibration.gradient_mode import by_sensitivities, is_forward
from calibration.lanes import differentiable
from calibration.noise.censoring import Censoring
from calibration.prediction import Prediction
from calibration.problem import Problem
from calibration.reading_density import reading_density
from twin.precision import float64


class Varied(NamedTuple):
    """Readings of one table, or of many with leading axes.

    Args:
        value: Readings, or the limits of censored ones (the lower limit of an interval; the upper one is the design's).
        kind: How they are censored: numbers of `calibration.noise.Censoring`, as floats.
    """

    value: Float[Array, "*table reading"]
    kind: Float[Array, "*table reading"]


class VariedReadings:
    """Log-likelihood of a problem's design with any readings.

    Args:
        problem: The problem; its own readings count only for where they are and which of them have a limit.

    Example:
        >>> likelihood = VariedReadings(problem)
        >>> likelihood(theta, likelihood.own)  # problem.log_likelihood(theta)
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._size, self._rows = len(problem.names), len(problem.bindings.value)
        self._call = differentiable(self._value_of_many, self._value_and_gradient_of_many)

    @property
    def own(self) -> Varied:
        """The problem's own readings."""
        table = self.problem.bindings
        return Varied(table.value, table.kind.astype(float))  # type: ignore[arg-type]

    def __call__(self, theta: Float[Array, " parameter"], readings: Varied) -> Float[Array, ""]:
        """Log-likelihood of one vector for one table; `jax.vmap` over either or both, `jax.grad` in the vector.

        The derivative in the readings is taken to be zero.
        """
        with float64():
            return self._call(jnp.concatenate([theta, *jax.lax.stop_gradient(readings)]))

    def draw(self, key: Array, thetas: Float[Array, "draw parameter"]) -> tuple[Varied, Bool[Array, " draw"]]:
        """New readings for many vectors, and whether they could be simulated.

        Where the table has a reading below a limit, a new reading below that limit is censored at it, too; likewise
        above a limit, and between two. What lies elsewhere is read as a number.
        """
        table = self.problem.bindings
        prediction = self.problem.predict_many(thetas)
        value = self.problem.draw_readings(key, prediction)
        above, kind = value > table.value, table.kind
        hidden = (kind == Censoring.LEFT) & (value < table.value) | (kind == Censoring.RIGHT) & above
        hidden |= (kind == Censoring.INTERVAL) & above & (value < table.upper)
        value = jnp.where(hidden, table.value, value)
        possible = prediction.ok & jnp.isfinite(value)
        for name, rows in table.rows_of.items():
            if self.problem.noise_models[name].positive:
                possible = possible.at[:, rows].set(possible[:, rows] & (value[:, rows] > 0))
        return Varied(value, jnp.where(hidden, table.kind, 0).astype(float)), jnp.all(possible, axis=1)

    def _split(self, x: Float[Array, "draw all"]):
        thetas, value, kind = jnp.split(x, (self._size, self._size + self._rows), axis=1)

        def pointwise(prediction: Prediction) -> Float[Array, "draw reading"]:
            problem = self.problem
            return reading_density(problem.bindings, problem.noise_groups, prediction, value, jnp.rint(kind))

        return thetas, pointwise

    def _value_of_many(self, x: Float[Array, "draw all"]) -> Float[Array, " draw"]:
        thetas, pointwise = self._split(x)
        return jnp.sum(pointwise(self.problem.predict_many(thetas)), axis=1)

    def _value_and_gradient_of_many(self, x: Float[Array, "draw all"]):
        thetas, pointwise = self._split(x)
        if is_forward(self.problem.gradient, self.problem.predictor, len(thetas)):
            values, gradient = by_sensitivities(self.problem.predictor, pointwise, thetas)
        else:

            def total(thetas: Array) -> tuple[Array, Array]:
                values = jnp.sum(pointwise(self.problem.predict_many(thetas)), axis=1)
                return jnp.sum(jnp.where(jnp.isfinite(values), values, 0.0)), values

            (_, values), gradient = jax.value_and_grad(total, has_aux=True)(thetas)
        gradient = jnp.where(jnp.isfinite(values)[:, None], gradient, 0.0)
        return values, jnp.concatenate([gradient, np.zeros((len(x), 2 * self._rows))], axis=1)
