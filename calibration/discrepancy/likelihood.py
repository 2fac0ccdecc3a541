"""The likelihood of readings under mechanism plus Gaussian process, the process integrated out in closed form.

On the scale on which the noise is additive, with noise scales s, a reading is ``y = f + s (d(t) + e)`` where e is
standard normal and d a Gaussian process with variance ``a**2``: the amplitude a is in units of the noise. Standardised
residuals then have the covariance ``I + a**2 K``.

References:
    Kennedy & O'Hagan (2001), doi:10.1111/1467-9868.00294; Rasmussen & Williams, Gaussian Processes for Machine Learning
    (2006), sections 2.2 and 4.2.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.discrepancy.along import Along, along_readings
from calibration.discrepancy.kernel import Places, Scales, interpolation, log_marginal
from calibration.lanes import differentiable
from calibration.problem import Problem
from calibration.shared_program import SharedProgram
from twin.errors import ProblemError

FAMILIES = ("normal", "log_normal")


class MarginalLikelihood:
    """The likelihood of a problem with a discrepancy, as a function of its vector, amplitudes and length-scales.

    Args:
        problem: The problem.
        shared: Whether all series have one discrepancy per observable, or each its own.
        along: A number of the series, such as a dose, over which the one discrepancy of all series goes as well.
        doses: Increasing numbers whose amplitudes are parameters; default: all that the readings have.

    Raises:
        ProblemError: readings are censored, at steady state, or their noise is not normal on some scale; every series
            has its own discrepancy and `along` is given; or that is not known for every series.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        shared: bool = True,
        along: Along | None = None,
        doses: Float[np.ndarray, " dose"] | None = None,
    ) -> None:
        table = problem.bindings
        _check(problem)
        if along is not None and not shared:
            raise ProblemError(
                "every series has a discrepancy of its own, and one over doses is asked for as well",
                where="discrepancy",
                expected="either",
                fix="leave out `along`, or let series of one dose share a discrepancy (shared=True)",
            )
        self.problem, self.shared, self.along = problem, shared, along
        self.dose = None if along is None else along_readings(problem, along)
        self.doses = np.unique(self.dose) if doses is None and self.dose is not None else doses
        self.observables = table.observables
        self.time = problem.measurements.table["time"].to_numpy(dtype=float)
        self.rows = [table.rows_of[name] for name in self.observables]
        process = np.zeros_like(table.lane) if shared else table.lane
        weight = None if self.dose is None else interpolation(self.dose, self.doses)  # type: ignore[arg-type]
        self.places = Places(self.time, process, self.dose, weight)
        self._predict = differentiable(self._value_and_scale, self._with_jacobian)
        self.residuals_many = SharedProgram(jax.vmap(self.residuals))

    def residuals(self, theta: Float[Array, " parameter"]) -> tuple[Float[Array, " reading"], Float[Array, " reading"]]:
        """(reading - prediction) / scale where the noise is additive, and the scales; NaN where integration fails."""
        both = self._predict(theta)
        count = len(self.time)
        value, scale = both[:count], both[count:]
        residual = jnp.zeros(count)
        for name, rows in zip(self.observables, self.rows, strict=True):
            noise = self.problem.noise_models[name]
            away = noise.centre(jnp.asarray(self.problem.bindings.value[rows])) - noise.centre(value[rows])
            residual = residual.at[rows].set(away / scale[rows])
        return residual, scale

    def __call__(
        self,
        theta: Float[Array, " parameter"],
        amplitude: Float[Array, "observable *dose"],
        length: Float[Array, " observable"],
        reach: Float[Array, " observable"] | None = None,
    ) -> Float[Array, ""]:
        """Log density of all readings; minus infinity where the integration fails. Wants a float64 context."""
        residual, scale = self.residuals(theta)
        ok = jnp.all(jnp.isfinite(residual)) & jnp.all(jnp.isfinite(scale)) & jnp.all(scale > 0)
        residual, scale = jnp.where(ok, residual, 0.0), jnp.where(ok, scale, 1.0)
        total = -jnp.sum(jnp.log(scale))
        for index, (name, rows) in enumerate(zip(self.observables, self.rows, strict=True)):
            scales = Scales(amplitude[index], length[index], None if reach is None else reach[index])
            total += log_marginal(residual[rows], self.places.at(rows), scales)
            if self.problem.noise_models[name].positive:
                total -= float(np.sum(np.log(self.problem.bindings.value[rows])))
        return jnp.where(ok, total, -jnp.inf)

    def _value_and_scale(self, thetas: Array) -> Array:
        value, scale, ok = self.problem.predict_many(thetas)
        return jnp.concatenate([jnp.where(ok, value, jnp.nan), scale], axis=1)

    def _with_jacobian(self, thetas: Array) -> tuple[Array, Array]:
        (value, scale, ok), d_value, d_scale = self.problem.predictor.linearise(thetas)
        both = jnp.concatenate([jnp.where(ok, value, jnp.nan), scale], axis=1)
        return both, jnp.concatenate([jnp.where(ok[..., None], d_value, 0.0), d_scale], axis=1)


def _check(problem: Problem) -> None:
    for name, noise in problem.noise.items():
        if noise.family not in FAMILIES:
            raise ProblemError(
                f"the noise of {name!r} is {noise.family}",
                where="discrepancy",
                expected="normal or log_normal noise, for which the process can be integrated out",
            )
    table = problem.measurements.table
    if (censored := (table["censoring"] != "").to_numpy()).any():
        raise ProblemError(
            f"{int(censored.sum())} readings are censored",
            where="discrepancy",
            expected="readings that are numbers: with limits the process cannot be integrated out",
        )
    if not np.isfinite(table["time"]).all():
        raise ProblemError("some readings are at steady state", where="discrepancy", expected="finite times")
