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
        figure = blank_figure(5.4, 4.2)
        panel = figure.add_subplot()
        panel.plot(self.scores["synthetic"], self.scores["real"], "o", color="#1f5f8b", markersize=5)
        for name, row in self.scores.iterrows():
            panel.annotate(
                str(name), (row["synthetic"], row["real"]), xytext=(4, 3), textcoords="offset points", fontsize=7
            )
        panel.set_xlabel(f"{self.score}, synthetic", fontsize=9, color=INK)
        panel.set_ylabel(f"{self.score}, real", fontsize=9, color=INK)
        panel.set_title(str(self), fontsize=8, color=INK)
        panel.margins(x=0.2)
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
