"""The covariance of a discrepancy over time, and over a dose where it may differ between doses.

    cov(d(t, x), d(t', x')) = a(x) a(x') k(t, t'; l) k(x, x'; r)

with Matérn correlations k of smoothness 5/2: the amplitude a is in units of the noise, the length-scale l in units of
time, the reach r in units of the dose. Every dose that was read has an amplitude of its own, so that there may be none
at one and much at another; between them it is interpolated. With a reach that is long beside the doses one process
serves all of them, with a short one each dose has its own.

References:
    Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), sections 2.2 and 4.2.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from twin.errors import ProblemError

NEIGHBOURS, SPAN = 0.5, 3.0
"""The middle 95 % of the prior of the reach go from half the typical distance of neighbouring doses, where they have a
correlation of 0.14, to three times their span, where all have at least 0.93."""


class Scales(NamedTuple):
    """Size and length-scales of the discrepancy of one observable.

    Args:
        amplitude: Standard deviation, in units of the noise scale; of every dose where there are doses.
        length: Length-scale in time.
        reach: Length-scale in the dose; None where there is none.
    """

    amplitude: Float[Array, "*dose"]
    length: Float[Array, ""]
    reach: Float[Array, ""] | None = None


class Places(NamedTuple):
    """Where a process is looked at.

    Args:
        time: When.
        process: Number of the process; places of different ones are independent.
        dose: At which dose; None where there is none.
        weight: What the amplitudes of the doses contribute there, by linear interpolation.
    """

    time: Float[np.ndarray, " place"]
    process: Int[np.ndarray, " place"]
    dose: Float[np.ndarray, " place"] | None = None
    weight: Float[np.ndarray, "place dose"] | None = None

    def at(self, rows: np.ndarray) -> Places:
        """Some of them."""
        return Places(*(None if x is None else x[rows] for x in self))


def interpolation(
    dose: Float[np.ndarray, " place"], doses: Float[np.ndarray, " dose"]
) -> Float[np.ndarray, "place dose"]:
    """Weights of linear interpolation between increasing doses; beyond them the ends are held."""
    return np.stack([np.interp(dose, doses, unit) for unit in np.eye(len(doses))], axis=1)


def matern(distance: Float[Array, "*shape"], length: Float[Array, ""]) -> Float[Array, "*shape"]:
    """Matérn correlation of smoothness 5/2."""
    x = jnp.sqrt(5.0) * distance / length
    return (1 + x + x**2 / 3) * jnp.exp(-x)


def signal(one: Places, other: Places, scales: Scales) -> Float[Array, "one other"]:
    """Covariance of the process between places, in squared noise scales."""
    linked = one.process[:, None] == other.process[None, :]
    found = matern(jnp.asarray(np.abs(one.time[:, None] - other.time[None, :])), scales.length)
    found = jnp.where(linked, found, 0.0)
    if one.dose is None or other.dose is None or one.weight is None or other.weight is None or scales.reach is None:
        return scales.amplitude**2 * found
    found *= matern(jnp.asarray(np.abs(one.dose[:, None] - other.dose[None, :])), scales.reach)
    return (one.weight @ scales.amplitude)[:, None] * (other.weight @ scales.amplitude) * found


def covariance(places: Places, scales: Scales) -> Float[Array, "reading reading"]:
    """Covariance of standardised residuals: process and noise."""
    return jnp.eye(len(places.time)) + signal(places, places, scales)


def log_marginal(residual: Float[Array, " reading"], places: Places, scales: Scales) -> Float[Array, ""]:
    """Log density of standardised residuals: normal, with the covariance of process and noise.

    Args:
        residual: (reading - prediction) / noise scale.
        places: Of the readings.
        scales: Of the process.
    """
    root = jnp.linalg.cholesky(covariance(places, scales))
    white = jax.scipy.linalg.solve_triangular(root, residual, lower=True)
    half_log_2pi = 0.5 * jnp.log(2 * jnp.pi)
    return -0.5 * jnp.sum(white**2) - jnp.sum(jnp.log(jnp.diag(root))) - len(residual) * half_log_2pi


def condition(
    residual: Float[Array, " reading"], read: Places, others: Places, scales: Scales
) -> tuple[Float[Array, " other"], Float[Array, "other other"]]:
    """Mean and covariance of the process elsewhere, given standardised residuals.

    Args:
        residual: (reading - prediction) / noise scale.
        read: Places of the readings.
        others: Other places.
        scales: Of the process.

    References:
        Rasmussen & Williams (2006), equations 2.25 and 2.26.
    """
    root = jnp.linalg.cholesky(covariance(read, scales))
    half = jax.scipy.linalg.solve_triangular(root, signal(read, others, scales), lower=True)
    mean = half.T @ jax.scipy.linalg.solve_triangular(root, residual, lower=True)
    return mean, signal(others, others, scales) - half.T @ half


def root_of(covariance: Float[Array, "time time"]) -> Float[Array, "time time"]:
    """A matrix whose product with its transpose is a covariance that may be singular."""
    # What the readings determine has rounding errors for eigenvalues.
    values, vectors = jnp.linalg.eigh(covariance)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))


def length_prior(times: Float[np.ndarray, " reading"]) -> tuple[float, float]:
    """Mean and standard deviation of the log length-scale: the middle 95 % reach from the typical distance of
    neighbouring times to the whole span, since readings cannot tell shorter ones from noise or longer ones from a
    constant.

    Raises:
        ProblemError: fewer than three distinct times.
    """
    distinct = np.unique(times)
    if len(distinct) < 3:
        raise ProblemError(
            f"an observable is read at {len(distinct)} distinct times",
            where="discrepancy",
            expected="at least 3, to tell a discrepancy from noise",
        )
    return _log_normal(float(np.median(np.diff(distinct))), float(np.ptp(distinct)))


def reach_prior(doses: Float[np.ndarray, " reading"]) -> tuple[float, float]:
    """Mean and standard deviation of the log reach; see `NEIGHBOURS`.

    Raises:
        ProblemError: fewer than two distinct doses.
    """
    distinct = np.unique(doses)
    if len(distinct) < 2:
        raise ProblemError(
            "an observable is read at one dose only",
            where="discrepancy along a dose",
            expected="at least two",
            fix="leave `along` out",
        )
    return _log_normal(NEIGHBOURS * float(np.median(np.diff(distinct))), SPAN * float(np.ptp(distinct)))


def _log_normal(shortest: float, longest: float) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm, from the ends of the middle 95 %."""
    low, high = np.log(shortest), np.log(longest)
    return float(0.5 * (low + high)), float((high - low) / (2 * 1.96))
