"""The exact posterior of the discrepancy's size for a mechanism that is linear in its parameters.

Readings are ``y = X b + s (d + e)`` with e standard normal, d the Gaussian process of `likelihood`, b flat and log s
flat. With ``C = I + a**2 K``, b and s drop out in closed form,

    p(y | a, l) ~ |C|**(-1/2) |X' C^-1 X|**(-1/2) Q**(-(n - p) / 2),   Q = y' (C^-1 - C^-1 X (X' C^-1 X)^-1 X' C^-1) y,

the restricted likelihood, and a and l are left to quadrature. All but Q is the same for all readings of one design: a
thousand data sets cost no more than one, which is what false-alarm rates need and NUTS cannot give.

References:
    Harville (1974), doi:10.1093/biomet/61.2.383 (the restricted likelihood as a posterior under a flat prior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float

from calibration.discrepancy.kernel import length_prior
from calibration.discrepancy.posterior import AMPLITUDE_MEAN, CERTAINTY, PRACTICAL
from twin.errors import ProblemError

AMPLITUDES = np.exp(np.linspace(np.log(1e-3), np.log(40.0), 160))
"""Grid of the amplitude, equidistant in its logarithm: the exponential prior has a mass of 1e-3 below."""
LENGTH_POINTS = 24
"""Gauss-Hermite nodes of the standardised log length-scale."""


def kernel(distance: Float[np.ndarray, "*shape"], length: float) -> Float[np.ndarray, "*shape"]:
    """Matérn correlation of smoothness 5/2; that of `kernel.matern` in NumPy."""
    x = np.sqrt(5.0) * distance / length
    return (1 + x + x**2 / 3) * np.exp(-x)


@dataclass(frozen=True)
class SizePosterior:
    """Posterior of the amplitude for many data sets of one design.

    Args:
        amplitude: Grid, in noise scales.
        weight: Posterior probability of each of its points.
    """

    amplitude: Float[np.ndarray, " grid"]
    weight: Float[np.ndarray, "dataset grid"]

    def quantile(self, level: float) -> Float[np.ndarray, " dataset"]:
        """Quantile of the amplitude, interpolated between the points of the grid."""
        below = np.cumsum(self.weight, axis=1) - 0.5 * self.weight
        return np.array([np.exp(np.interp(level, row, np.log(self.amplitude))) for row in below])

    def above(self, size: float) -> Float[np.ndarray, " dataset"]:
        """Posterior probability that the amplitude exceeds a size."""
        beyond = np.cumsum(self.weight, axis=1) - 0.5 * self.weight
        at = [np.interp(np.log(size), np.log(self.amplitude), row) for row in beyond]
        return 1.0 - np.array(at)

    @property
    def flagged(self) -> np.ndarray:
        """Whether the rule of `Discrepancy.table` flags the data set."""
        return self.above(PRACTICAL) > CERTAINTY


def size_posterior(
    times: Float[np.ndarray, " reading"],
    design: Float[np.ndarray, "reading parameter"],
    readings: Float[np.ndarray, "dataset reading"],
) -> SizePosterior:
    """Posterior of the amplitude under the priors of `sample_discrepancy`; no draws, one observable, one process.

    Args:
        times: Of the readings.
        design: Derivatives of the predictions by the parameters.
        readings: On the scale on which the noise is additive.

    Raises:
        ProblemError: too few times or readings, or parameters that the readings do not tell apart.
    """
    count, size = design.shape
    if count < size + 2 or np.linalg.matrix_rank(design) < size:
        raise ProblemError(
            f"{count} readings for {size} parameters of rank {np.linalg.matrix_rank(design)}",
            where="size_posterior",
            expected="at least two readings more than parameters, which the readings tell apart",
        )
    centre, spread = length_prior(times)
    nodes, weights = np.polynomial.hermite_e.hermegauss(LENGTH_POINTS)
    apart = np.abs(times[:, None] - times[None, :])
    # Contrasts that the mechanism cannot make: the restricted likelihood is that of these.
    contrasts = scipy.linalg.null_space(design.T)
    seen = readings @ contrasts
    log_density = np.full((len(readings), len(AMPLITUDES), LENGTH_POINTS), -np.inf)
    for j, node in enumerate(nodes):
        # One eigendecomposition serves all amplitudes: I + a^2 K has the same vectors.
        values, vectors = np.linalg.eigh(contrasts.T @ kernel(apart, np.exp(centre + spread * node)) @ contrasts)
        squares = (seen @ vectors) ** 2
        variance = 1.0 + AMPLITUDES[:, None] ** 2 * np.maximum(values, 0.0)
        q = squares @ (1.0 / variance).T
        log_density[:, :, j] = -0.5 * np.log(variance).sum(axis=1) - 0.5 * (count - size) * np.log(q)
        log_density[:, :, j] += np.log(weights[j])
    # Exponential prior with the volume of the logarithm, in which the grid is equidistant.
    log_density += (np.log(AMPLITUDES) - AMPLITUDES / AMPLITUDE_MEAN)[None, :, None]
    density = np.exp(log_density - log_density.max(axis=(1, 2), keepdims=True)).sum(axis=2)
    return SizePosterior(AMPLITUDES, density / density.sum(axis=1, keepdims=True))


def draw_readings(
    times: Float[np.ndarray, " reading"],
    amplitude: Float[np.ndarray, " dataset"],
    length: Float[np.ndarray, " dataset"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "dataset reading"]:
    """Noise and discrepancy, in noise scales, of one data set per amplitude and length-scale.

    What the mechanism adds does not matter to `size_posterior`, whose prior of its parameters is flat.
    """
    apart, made = np.abs(times[:, None] - times[None, :]), []
    for a, one in zip(amplitude, length, strict=True):
        root = np.linalg.cholesky(np.eye(len(times)) + a**2 * kernel(apart, one))
        made.append(root @ rng.normal(size=len(times)))
    return np.array(made)
