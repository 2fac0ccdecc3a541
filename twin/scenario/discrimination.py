"""How well a score tells who answers yes from who answers no: the area under the ROC curve, its interval, tests.

    AUC = P(score of a yes > score of a no) + P(equal) / 2

References:
    DeLong, DeLong and Clarke-Pearson 1988, doi:10.2307/2531595 (variance). Mann and Whitney 1947,
    doi:10.1214/aoms/1177730491 (test). Holm 1979, Scandinavian Journal of Statistics 6, 65-70 (several tests).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from twin.scenario.confidence import Z


@dataclass(frozen=True)
class Discrimination:
    """The area, its 95 % interval, and the probability of as large a one for a score that has no say."""

    auc: float
    low: float
    high: float
    p: float


def discrimination(scores: Float[np.ndarray, " patient"], answers: Bool[np.ndarray, " patient"]) -> Discrimination:
    """The area under the ROC curve of a score.

    Args:
        scores: Higher for those who are thought to answer yes.
        answers: Who does; at least two each.
    """
    yes, no = scores[answers], scores[~answers]
    # Share of the other side that each one beats, a tie counting half: from ranks among all and among its own.
    ranks = stats.rankdata(scores)
    beats = (ranks[answers] - stats.rankdata(yes)) / len(no)
    beaten = 1 - (ranks[~answers] - stats.rankdata(no)) / len(yes)
    half = Z * math.sqrt(beats.var(ddof=1) / len(yes) + beaten.var(ddof=1) / len(no))
    if np.ptp(scores) == 0:
        return Discrimination(0.5, 0.5, 0.5, 1.0)
    auc = float(beats.mean())
    p = float(stats.mannwhitneyu(yes, no, alternative="greater", method="asymptotic").pvalue)
    return Discrimination(auc, max(auc - half, 0.0), min(auc + half, 1.0), p)


def holm(p: Sequence[float]) -> list[float]:
    """Probabilities of several tests, adjusted so that the chance of any false alarm among them is bounded."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(np.asarray(p, dtype=float)[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted.tolist()
