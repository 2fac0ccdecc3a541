"""First-order shares of variance from patients that are there, whatever their parameters have to do with each other.

    S_x = Var(E[Y | x]) / Var(Y) = 1 - E[Var(Y | x)] / Var(Y)

is defined for dependent inputs, too: it then holds what x tells about Y through its relatives as well, and shares of
relatives add up to more than what they explain together. Patients are sorted by x into bins of equal size, and in each
bin a straight line is fitted, whose residuals estimate Var(Y | x): the slope within a bin is explained, and only the
curvature within it is missed. Sums of squares are divided by their degrees of freedom, so that an x that has nothing to
do with Y gets 0 on average, and not the positive number that fitted means always explain.

References:
    Da Veiga, Wahl and Gamboa 2009, doi:10.1198/TECH.2009.08124 (local polynomials for dependent inputs).
    Plischke, Borgonovo and Smith 2013, doi:10.1016/j.ejor.2012.11.047 (given data, bins).
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from twin.scenario.confidence import Z

PER_BIN, MOST_BINS = 50, 64
"""Patients of a bin at least, and bins at most: lines need few bins, and 50 residuals tell a variance to 20 %."""
FEWEST = 4 * PER_BIN
"""Patients, below which nothing is said."""


def first_order(x: Float[np.ndarray, " patient"], y: Float[np.ndarray, " patient"]) -> tuple[float, float, float]:
    """The share of the variance of y that x alone tells, and its 95 % interval.

    The interval is that of a ratio of two means (the delta method), widened by the variance that the fitted lines have
    where there is nothing to explain, which the former does not see.

    Args:
        x: An input that varies.
        y: What is explained; varies, too.
    """
    count = len(x)
    residuals, parameters = _residuals(x, y)
    deviations = y - y.mean()
    within = (residuals**2).sum() / (count - parameters)
    variance = (deviations**2).sum() / (count - 1)
    left = within / variance
    # S = 1 - E[r^2] / E[d^2]; the derivative of the ratio gives each patient's influence, -(r^2 - left d^2) / E[d^2].
    influence = (residuals**2 * count / (count - parameters) - left * deviations**2) / variance
    # F-ratio without effect: Var(within / variance) = 2 (parameters - 1) / count^2, to leading order.
    spread = influence.var() / count + 2 * (parameters - 1) * left**2 / count**2
    half = Z * math.sqrt(spread)
    share = 1 - left
    return share, max(share - half, 0.0), min(share + half, 1.0)


def _residuals(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, int]:
    """Residuals of a line in each bin, and the number of fitted parameters."""
    bins = _bins(x)
    size = np.bincount(bins)
    x = x - (np.bincount(bins, x) / size)[bins]
    y = y - (np.bincount(bins, y) / size)[bins]
    squares = np.bincount(bins, x * x)
    lines = squares > 0
    slope = np.divide(np.bincount(bins, x * y), squares, out=np.zeros(len(size)), where=lines)
    return y - slope[bins] * x, len(size) + int(lines.sum())


def _bins(x: np.ndarray) -> Int[np.ndarray, " patient"]:
    """A bin for each patient; equal values share one, and few values have one each."""
    values, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    most = max(min(len(x) // PER_BIN, MOST_BINS), 1)
    if len(values) <= most:
        return place
    # A value belongs to the bin that the middle of its patients falls into.
    ranks = np.cumsum(counts) - counts / 2
    bins = np.minimum((ranks / len(x) * most).astype(int), most - 1)
    return np.unique(bins, return_inverse=True)[1][place]
