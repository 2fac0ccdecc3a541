"""Does the order of learners on synthetic subjects say their order on real ones?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from calibration.synthetic.early import Examples
from calibration.synthetic.learners import LEARNERS, train
from twin.errors import ProblemError
from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Agreement:
    """Rank correlations between two sets of scores of the same learners.

    Args:
        scores: A row per learner: mean score on synthetic and on real data.
        spearman: Spearman's correlation with a 95 % bootstrap interval (value, low, high).
        kendall: Kendall's tau-b, likewise.
        score: What the scores are.
    """

    scores: pd.DataFrame
    spearman: tuple[float, float, float]
    kendall: tuple[float, float, float]
    score: str = "mean absolute error"

    def plot(self) -> Figure:
        """A point per learner: its score on synthetic against that on real data."""
        figure = blank_figure(7.4, 4.2)
        panel, names = figure.subplots(1, 2, width_ratios=(3, 1))
        # Numbers in the points, since names would cover each other.
        for place, (_, row) in enumerate(self.scores.iterrows(), start=1):
            panel.plot(row["synthetic"], row["real"], "o", color="#1f5f8b", markersize=11, alpha=0.85)
            panel.annotate(
                str(place), (row["synthetic"], row["real"]), ha="center", va="center", color="white", fontsize=7
            )
        said = "\n".join(f"{place}  {name}" for place, name in enumerate(self.scores.index, start=1))
        names.text(0.0, 1.0, said, va="top", fontsize=8, color=INK, linespacing=1.6, transform=names.transAxes)
        names.set_axis_off()
        panel.set_xlabel(f"{self.score}, synthetic", fontsize=9, color=INK)
        panel.set_ylabel(f"{self.score}, real", fontsize=9, color=INK)
        panel.set_title(str(self), fontsize=8, color=INK)
        panel.margins(0.1)
        dress(panel)
        return figure

    def __str__(self) -> str:
        rho, tau = self.spearman, self.kendall
        return (
            f"{len(self.scores)} learners: Spearman {rho[0]:.2f} ({rho[1]:.2f} to {rho[2]:.2f}), "
            f"Kendall {tau[0]:.2f} ({tau[1]:.2f} to {tau[2]:.2f})"
        )


def agreement(
    synthetic: Mapping[str, Float[np.ndarray, " case"]],
    real: Mapping[str, Float[np.ndarray, " case"]],
    *,
    seed: int = 0,
    score: str = "mean absolute error",
) -> Agreement:
    """Rank correlation of mean scores; cases of both sides are resampled for the intervals.

    Args:
        synthetic: Scores of each learner on synthetic cases (subjects, epitopes).
        real: Scores of the same learners on real cases.
        seed: Seed of the bootstrap.
        score: What the scores are.

    Raises:
        ProblemError: other learners on one side than on the other, or fewer than three.
    """
    names = list(synthetic)
    if set(names) != set(real) or len(names) < 3:
        raise ProblemError(
            f"{len(names)} and {len(real)} learners are scored", expected="the same learners, at least three"
        )
    s, r = (np.stack([np.asarray(side[name], dtype=float) for name in names]) for side in (synthetic, real))
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(BOOTSTRAPS):
        one = s[:, rng.integers(s.shape[1], size=s.shape[1])].mean(axis=1)
        two = r[:, rng.integers(r.shape[1], size=r.shape[1])].mean(axis=1)
        draws.append(_correlations(one, two))
    low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    rho, tau = _correlations(s.mean(axis=1), r.mean(axis=1))
    scores = pd.DataFrame({"synthetic": s.mean(axis=1), "real": r.mean(axis=1)}, index=pd.Index(names, name="learner"))
    return Agreement(scores, (rho, float(low[0]), float(high[0])), (tau, float(low[1]), float(high[1])), score)


def _correlations(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return float(stats.spearmanr(one, two)[0]), float(stats.kendalltau(one, two)[0])


def learner_errors(
    real: Examples, synthetic: Examples, names: list[str] | None = None
) -> dict[str, dict[str, Float[np.ndarray, " subject"]]]:
    """Absolute errors of every learner: "synthetic" (trained on half of the synthetic subjects, tested on the rest),
    "transfer" (trained on that half, tested on real subjects) and "real" (leave one real subject out)."""
    half = len(synthetic) // 2
    taught, asked = synthetic.take(range(half)), synthetic.take(range(half, len(synthetic)))
    found: dict[str, dict[str, np.ndarray]] = {"synthetic": {}, "transfer": {}, "real": {}}
    for name in names or list(LEARNERS):
        predict = train(name, taught.x, taught.y)
        found["synthetic"][name] = np.abs(predict(asked.x) - asked.y)
        found["transfer"][name] = np.abs(predict(real.x) - real.y)
        left_out = []
        for i in range(len(real)):
            rest = real.take([j for j in range(len(real)) if j != i])
            left_out.append(abs(float(train(name, rest.x, rest.y)(real.x[i : i + 1])[0] - real.y[i])))
        found["real"][name] = np.array(left_out)
    return found
