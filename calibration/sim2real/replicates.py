"""How far the coverage of intervals would be off by chance if the twin were right, read off its own replicates.

Readings of a series share the error of its parameters, so that they lie inside or outside together, and no test that
takes them for independent keeps its level. But a draw of the predictive is a whole set of held-out readings as the twin
believes them, with all that hangs together in it: its coverage is what that of the real readings would be. If the twin
is right, the rank of the real coverage among those of the draws is uniform but for ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata

from calibration.sim2real.assay import AssayLimits
from calibration.sim2real.scale import to_score_scale

MOST_REPLICATES = 1000
"""Draws that are scored; the rest is only among those that they are ranked in."""


def replicated_coverage(
    rows: pd.DataFrame,
    draws: Float[np.ndarray, "draw reading"],
    level: float,
    *,
    scale: Mapping[str, str],
    limits: AssayLimits | Float[np.ndarray, " reading"],
) -> Float[np.ndarray, " replicate"]:
    """Coverage that each draw would have if it were the readings, as `score_readings` counts it.

    Args:
        rows: Rows of a measurements table.
        draws: Joint predictive draws of them, measurement noise included, natural scale.
        level: Of the central intervals.
        scale: Score scale by observable.
        limits: Limits of each row, natural scale.
    """
    predicted = to_score_scale(np.asarray(draws, dtype=float), rows, scale, limits, what="predictive draws")
    count, tail = len(predicted), (1.0 - level) / 2.0
    # Each draw among the others: ranks from 1, ties at a limit share theirs.
    low = (rankdata(predicted, method="min", axis=0) - 1.0) / count
    high = rankdata(predicted, method="max", axis=0) / count
    inside = np.clip(np.minimum(high, 1.0 - tail) - np.maximum(low, tail), 0.0, None) / (high - low)
    return inside[:MOST_REPLICATES].mean(axis=1)


def of_all_folds(
    replicates: Sequence[Float[np.ndarray, " replicate"]], readings: Sequence[int], seed: int = 0
) -> Float[np.ndarray, " replicate"]:
    """Coverage over the readings of all folds, each fold predicted by a twin of its own.

    Args:
        replicates: Of each fold.
        readings: How many readings each has.
        seed: Seed of the order in which draws of different folds are put together.
    """
    rng, count = np.random.default_rng(seed), min(map(len, replicates))
    mixed = np.stack([rng.permutation(each)[:count] for each in replicates])
    return np.average(mixed, axis=0, weights=readings)


def tails(coverage: float, replicates: Float[np.ndarray, " replicate"]) -> tuple[float, float]:
    """Probability of a coverage as low as this, and of one as high, if the twin is right.

    Rank p-values, (1 + e) / (1 + n): their level is kept for any number of replicates.
    """
    near = 1e-9  # means of the same numbers may differ in their last digit
    count = 1.0 + len(replicates)
    return (
        float((1.0 + np.sum(replicates <= coverage + near)) / count),
        float((1.0 + np.sum(replicates >= coverage - near)) / count),
    )
