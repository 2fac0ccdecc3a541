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

from calibration.lanes import differentiable
from calibration.problem import Problem
from calibration.shared_program import SharedProgram
from twin.errors import ProblemError

FAMILIES = ("normal", "log_normal")


def matern(distance: Float[Array, "*shape"], length: Float[Array, ""]) -> Float[Array, "*shape"]:
    """Matérn correlation of smoothness 5/2."""
    x = jnp.sqrt(5.0) * distance / length
    return (1 + x + x**2 / 3) * jnp.exp(-x)


def log_marginal(
    residual: Float[Array, " reading"],
    distance: Float[np.ndarray, "reading reading"],
    amplitude: Float[Array, ""],
    length: Float[Array, ""],
) -> Float[Array, ""]:
    """Log density of standardised residuals: normal with covariance ``I + amplitude**2 K``.

    Args:
        residual: (reading - prediction) / noise scale.
        distance: Between the times of readings; infinite between readings of processes that are independent.
        amplitude: Standard deviation of the process, in units of the noise scale.
        length: Length-scale, in units of time.
    """
    root = jnp.linalg.cholesky(covariance(distance, amplitude, length))
    white = jax.scipy.linalg.solve_triangular(root, residual, lower=True)
    half_log_2pi = 0.5 * jnp.log(2 * jnp.pi)
    return -0.5 * jnp.sum(white**2) - jnp.sum(jnp.log(jnp.diag(root))) - len(residual) * half_log_2pi


def covariance(
    distance: Float[np.ndarray, "reading reading"], amplitude: Float[Array, ""], length: Float[Array, ""]
) -> Float[Array, "reading reading"]:
    """Covariance of the standardised residuals."""
    return jnp.eye(len(distance)) + amplitude**2 * correlation(distance, length)


def correlation(distance: Float[np.ndarray, "one other"], length: Float[Array, ""]) -> Float[Array, "one other"]:
    """Correlation of the process between times; none where it is of independent processes."""
    # Infinite distances would give inf * 0 in the kernel.
    linked = np.isfinite(distance)
    return jnp.where(linked, matern(jnp.asarray(np.where(linked, distance, 0.0)), length), 0.0)


class MarginalLikelihood:
    """The likelihood of a problem with a discrepancy, as a function of its vector, amplitudes and length-scales.

    Args:
        problem: The problem.
        shared: Whether all series have one discrepancy per observable, or each its own.

    Raises:
        ProblemError: readings are censored, at steady state, or their noise is not normal on some scale.
    """

    def __init__(self, problem: Problem, *, shared: bool = True) -> None:
        table = problem.bindings
        _check(problem)
        self.problem, self.shared = problem, shared
        self.observables = table.observables
        self.time = problem.measurements.table["time"].to_numpy(dtype=float)
        self.rows = [table.rows_of[name] for name in self.observables]
        self.distances = [self.distance(rows, rows) for rows in self.rows]
        self._predict = differentiable(self._value_and_scale, self._with_jacobian)
        self.residuals_many = SharedProgram(jax.vmap(self.residuals))

    def distance(self, one: np.ndarray, other: np.ndarray) -> Float[np.ndarray, "one other"]:
        """Distances in time between readings of one observable; infinite where their processes are independent."""
        apart = np.abs(self.time[one][:, None] - self.time[other][None, :])
        lane = self.problem.bindings.lane
        return apart if self.shared else np.where(lane[one][:, None] == lane[other][None, :], apart, np.inf)

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
        amplitude: Float[Array, " observable"],
        length: Float[Array, " observable"],
    ) -> Float[Array, ""]:
        """Log density of all readings; minus infinity where the integration fails. Wants a float64 context."""
        residual, scale = self.residuals(theta)
        ok = jnp.all(jnp.isfinite(residual)) & jnp.all(jnp.isfinite(scale)) & jnp.all(scale > 0)
        residual, scale = jnp.where(ok, residual, 0.0), jnp.where(ok, scale, 1.0)
        total = -jnp.sum(jnp.log(scale))
        for index, (name, rows) in enumerate(zip(self.observables, self.rows, strict=True)):
            total += log_marginal(residual[rows], self.distances[index], amplitude[index], length[index])
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
