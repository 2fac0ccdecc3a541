"""Shares of variance from designed runs: first-order and total indices of Sobol', with bootstrap intervals.

With Y = f(X), V its variance and X_g a group of inputs that is independent of all others,

    S_g = Var(E[Y | X_g]) / V          what would be gone, on average, if the group were known,
    T_g = E[Var(Y | X_others)] / V     what would be left if all but the group were known.

From two independent samples A and B of the inputs, and AB_g, which is A with the group's values from B,

    S_g = mean(f(B) (f(AB_g) - f(A))) / V           Saltelli et al. 2010, table 2, (b)
    T_g = mean((f(A) - f(AB_g))^2) / (2 V)          Jansen 1999; Saltelli et al. 2010, table 2, (f)

References:
    Sobol' 2001, doi:10.1016/S0378-4754(00)00270-6. Saltelli et al. 2010, doi:10.1016/j.cpc.2009.09.018.
    Jansen 1999, doi:10.1016/S0010-4655(98)00154-4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEVELS = (0.025, 0.975)
_AT_ONCE = 2**22
"""Numbers of resamples in memory at a time."""


@dataclass(frozen=True)
class Shares:
    """Indices of each group, with the ends of their 95 % intervals."""

    first: Float[np.ndarray, " group"]
    first_low: Float[np.ndarray, " group"]
    first_high: Float[np.ndarray, " group"]
    total: Float[np.ndarray, " group"]
    total_low: Float[np.ndarray, " group"]
    total_high: Float[np.ndarray, " group"]


def shares_of_variance(
    a: Float[np.ndarray, " sample"],
    b: Float[np.ndarray, " sample"],
    mixed: Float[np.ndarray, "group sample"],
    *,
    resamples: int,
    seed: int,
) -> Shares:
    """Indices from the values of one quantity.

    Intervals are the percentiles of bootstrap resamples of the base samples. They take these for independent; along a
    Sobol sequence they are more even than that, and intervals are several times too wide for smooth functions.

    Args:
        a: At the first sample.
        b: At the second.
        mixed: At the first with each group's values from the second.
        resamples: Number of resamples.
        seed: Of the resamples.
    """
    middle = (a.mean() + b.mean()) / 2  # a mean far from zero would cost the products their digits
    a, b, mixed = a - middle, b - middle, mixed - middle
    count, groups = len(a), len(mixed)
    terms = np.concatenate([[a, b, a**2 + b**2], mixed, b * (mixed - a), (a - mixed) ** 2])
    first, total = _indices(terms.mean(axis=1)[None], groups)
    rng = np.random.default_rng(seed)
    drawn: list[np.ndarray] = []
    while (done := sum(map(len, drawn))) < resamples:
        some = min(max(_AT_ONCE // count, 1), resamples - done)
        picked = [np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(some)]
        drawn.append(np.stack(picked) @ terms.T / count)
    firsts, totals = _indices(np.concatenate(drawn), groups)
    ends = [np.quantile(each, LEVELS, axis=0) for each in (firsts, totals)]
    return Shares(first[0], ends[0][0], ends[0][1], total[0], ends[1][0], ends[1][1])


def _indices(means: Float[np.ndarray, "resample term"], groups: int) -> tuple[np.ndarray, np.ndarray]:
    """First-order and total indices (resample, group) from the means of the terms."""
    a, b, squares = (means[:, i, None] for i in range(3))
    mixed, products, differences = (means[:, 3 + i * groups : 3 + (i + 1) * groups] for i in range(3))
    middle = (a + b) / 2
    variance = squares / 2 - middle**2
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample in which nothing varies
        return (products - middle * (mixed - a)) / variance, differences / (2 * variance)
