"""How far forecasts stray: errors as a function of horizon, and local spread between series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

MIN_DF = 3.0  # a t with fewer degrees of freedom has no finite variance; 3 is the heaviest tail used
PRIOR_DF = 2.0  # weight of the pooled variance in a local one, in readings
BANDWIDTH = 0.1  # of the time span; kernel width of a local variance


@dataclass(frozen=True, eq=False)
class Growth:
    """Mean squared error of a forecast as c0 + c1 h + c2 h^2 of its horizon h, all coefficients >= 0.

    The terms are those of noise, of a random walk, and of a trend that was missed.
    """

    coefficients: Float[np.ndarray, "3"]
    df: float

    def deviation(self, horizon: Float[np.ndarray, "reading"]) -> Float[np.ndarray, "reading"]:
        """Root mean squared error at each horizon."""
        horizon = np.maximum(horizon, 0.0)
        c0, c1, c2 = self.coefficients
        return np.sqrt(c0 + c1 * horizon + c2 * horizon**2)


def fit_growth(horizon: Float[np.ndarray, "error"], error: Float[np.ndarray, "error"], origins: int) -> Growth:
    """Fit `Growth` to errors by non-negative least squares, reweighted for their spread.

    The standard deviation of a squared normal error is proportional to its mean, so each pass
    weights by the inverse of the last fit.

    Args:
        horizon: Time from the last training reading.
        error: Forecast minus reading.
        origins: Number of distinct forecast origins behind the errors: errors from one origin hang
            together, so this, not their number, is the degrees of freedom.
    """
    horizon, squared = np.asarray(horizon, dtype=float), np.asarray(error, dtype=float) ** 2
    longest = float(horizon.max()) or 1.0
    relative = horizon / longest
    design = np.stack([np.ones_like(relative), relative, relative**2], axis=1)
    typical = float(squared.mean())
    coefficients = np.zeros(3)
    weight = np.ones_like(squared)
    # Three passes: more lets a few tiny errors take all the weight. The guard stops a division by zero.
    for _ in range(3 if typical > 0.0 else 0):
        coefficients, _ = nnls(design * weight[:, None], squared / typical * weight)
        weight = 1.0 / np.maximum(design @ coefficients, 0.05)
    coefficients = coefficients * typical / longest ** np.arange(3)
    return Growth(coefficients=coefficients, df=max(MIN_DF, float(origins)))


def local_deviation(
    at: Float[np.ndarray, "reading"],
    times: Float[np.ndarray, "error"],
    error: Float[np.ndarray, "error"],
    span: float,
) -> Float[np.ndarray, "reading"]:
    """Root mean squared error near each time, shrunk towards that over all times.

    Kernel-weighted mean of the squared errors with `PRIOR_DF` pseudo-readings at the pooled value.
    """
    squared = np.asarray(error, dtype=float) ** 2
    pooled = float(squared.mean())
    distance = (np.asarray(at)[:, None] - np.asarray(times)[None, :]) / (BANDWIDTH * span or 1.0)
    weight = np.exp(-0.5 * distance**2)
    return np.sqrt((weight @ squared + PRIOR_DF * pooled) / (weight.sum(axis=1) + PRIOR_DF))
