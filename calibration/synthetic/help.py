"""Do synthetic subjects help a learner on real ones? Learning curves over real subjects, and adaptation.

Ways of training, each tested on real subjects that no way has seen: "real" on k real subjects; "synthetic" on synthetic
ones only; "pooled" on both, the real ones with half of the weight; "corrected": trained on synthetic subjects, then
shifted by the mean error on the k real ones, shrunken by k / (k + 1); adaptations move synthetic features by those of
real subjects whose targets stay unknown. "reverse" is trained on k real subjects and tested on synthetic ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.synthetic.adapt import ADAPTATIONS
from calibration.synthetic.early import Examples
from calibration.synthetic.learners import LEARNERS, train
from twin.errors import ProblemError, suggestion

BOOTSTRAPS = 1000
LEVELS = (2.5, 97.5)


@dataclass(frozen=True)
class Curve:
    """Mean absolute errors by way of training.

    Args:
        table: Columns way, k, error, low, high: 95 %, by resampling test subjects ("reverse": over the choices of
            training subjects).
        by_subject: Mean absolute error of every test subject, by (way, k).
        learner: The learner.
    """

    table: pd.DataFrame
    by_subject: dict[tuple[str, int], Float[np.ndarray, " subject"]]
    learner: str

    def difference(self, first: tuple[str, int], second: tuple[str, int], seed: int = 0) -> tuple[float, float, float]:
        """Error of the first minus that of the second with its 95 % interval, paired by subject."""
        paired = self.by_subject[first] - self.by_subject[second]
        return (float(np.nanmean(paired)), *interval(paired, seed))


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean, by resampling subjects."""
    rng = np.random.default_rng(seed)
    draws = np.nanmean(values[rng.integers(len(values), size=(BOOTSTRAPS, len(values)))], axis=1)
    low, high = np.percentile(draws, LEVELS)
    return float(low), float(high)


def learning_curve(
    real: Examples,
    synthetic: Examples,
    learner: str,
    ks: Sequence[int] = (1, 2, 4, 8),
    *,
    repeats: int = 20,
    adaptations: Sequence[str] = ("weights", "coral"),
    seed: int = 0,
) -> Curve:
    """Errors on real subjects against the number of real subjects trained on.

    Args:
        real: Real subjects.
        synthetic: Synthetic subjects.
        learner: A key of `LEARNERS`.
        ks: Numbers of real training subjects; at least one real subject must be left.
        repeats: Random choices of training subjects.
        adaptations: Keys of `ADAPTATIONS`; they see the features of max(ks) real subjects.
        seed: Seed of the choices.

    Raises:
        ProblemError: an unknown learner or adaptation, or too few real subjects.
    """
    for name, known in ((learner, LEARNERS), *((each, ADAPTATIONS) for each in adaptations)):
        if name not in known:
            raise ProblemError(f"there is no {name!r}", where="learning_curve", fix=suggestion(name, known))
    most = max(ks)
    if min(ks) < 1 or most >= len(real):
        raise ProblemError(
            f"{list(ks)} of {len(real)} real subjects", where="ks", expected=f"numbers from 1 to {len(real) - 1}"
        )
    rng = np.random.default_rng(seed)
    errors: dict[tuple[str, int], np.ndarray] = {}

    def note(way: str, k: int, repeat: int, tested: np.ndarray, error: np.ndarray) -> None:
        errors.setdefault((way, k), np.full((repeats, len(real)), np.nan))[repeat, tested] = np.abs(error)

    from_synthetic = train(learner, synthetic.x, synthetic.y)
    backwards: dict[int, list[float]] = {k: [] for k in ks}
    for repeat in range(repeats):
        order = rng.permutation(len(real))
        tested, seen = order[most:], real.take(order[:most])
        x, y = real.x[tested], real.y[tested]
        note("synthetic", 0, repeat, tested, from_synthetic(x) - y)
        for name in adaptations:
            moved, weight = ADAPTATIONS[name](synthetic.x, seen.x)
            note(name, 0, repeat, tested, train(learner, moved, synthetic.y, weight)(x) - y)
        for k in ks:
            few = seen.take(range(k))
            alone = train(learner, few.x, few.y)
            note("real", k, repeat, tested, alone(x) - y)
            backwards[k].append(float(np.mean(np.abs(alone(synthetic.x) - synthetic.y))))
            shift = k / (k + 1) * float(np.mean(few.y - from_synthetic(few.x)))
            note("corrected", k, repeat, tested, from_synthetic(x) + shift - y)
            # Every real subject as often as it takes for half of the examples to be real.
            times = max(1, round(len(synthetic) / k))
            both_x = np.concatenate([synthetic.x, np.tile(few.x, (times, 1))])
            both_y = np.concatenate([synthetic.y, np.tile(few.y, times)])
            note("pooled", k, repeat, tested, train(learner, both_x, both_y)(x) - y)
    return Curve(_table(errors, backwards), {key: _by_subject(each) for key, each in errors.items()}, learner)


def _by_subject(errors: np.ndarray) -> np.ndarray:
    there = np.isfinite(errors).any(axis=0)
    return np.array([np.nanmean(errors[:, i]) if there[i] else np.nan for i in range(errors.shape[1])])


def _table(errors: dict[tuple[str, int], np.ndarray], backwards: dict[int, list[float]]) -> pd.DataFrame:
    rows = []
    for (way, k), each in errors.items():
        mean = _by_subject(each)
        rows.append((way, k, float(np.nanmean(mean)), *interval(mean)))
    for k, each in backwards.items():
        rows.append(("reverse", k, float(np.mean(each)), *np.percentile(each, LEVELS)))
    table = pd.DataFrame(rows, columns=["way", "k", "error", "low", "high"])
    return table.sort_values(["way", "k"], ignore_index=True)
