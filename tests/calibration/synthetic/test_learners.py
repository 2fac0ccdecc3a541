"""Learners on synthetic and real subjects, where what helps is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calibration.synthetic.adapt import coral, importance_weights
from calibration.synthetic.early import Examples, early_examples
from calibration.synthetic.help import learning_curve
from calibration.synthetic.learners import LEARNERS, train
from calibration.synthetic.ranking import agreement
from twin.errors import MeasurementError, ProblemError


def line(count: int, seed: int, slope: float = 2.0) -> Examples:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2))
    return Examples(x, slope * x[:, 0] + 0.1 * rng.normal(size=count), tuple(map(str, range(count))))


def test_every_learner_learns() -> None:
    taught, asked = line(120, 0), line(60, 1)
    guess = np.mean(np.abs(asked.y))
    for name in LEARNERS:
        error = np.mean(np.abs(train(name, taught.x, taught.y)(asked.x) - asked.y))
        assert (error < 0.6 * guess) == (name != "mean"), name


def test_right_synthetic_subjects_help_and_wrong_ones_harm() -> None:
    real = line(12, 2)
    good, bad = (learning_curve(real, line(100, 3, slope), "ridge", (2, 8), repeats=5) for slope in (2.0, -2.0))
    assert good.difference(("real", 2), ("synthetic", 0))[1] > 0
    assert bad.difference(("real", 8), ("synthetic", 0))[2] < 0
    assert set(good.table["way"]) == {"real", "synthetic", "pooled", "corrected", "reverse", "weights", "coral"}


def test_adaptations_move_towards_the_real() -> None:
    rng = np.random.default_rng(0)
    synthetic, real = rng.normal(size=(200, 2)), rng.normal([1.0, 0.0], 1.0, size=(200, 2))
    x, weight = importance_weights(synthetic, real)
    assert np.average(x[:, 0], weights=weight) > 0.5
    moved, _ = coral(synthetic, real)
    np.testing.assert_allclose(moved.mean(axis=0), real.mean(axis=0), atol=1e-9)


def test_rank_correlation() -> None:
    rng = np.random.default_rng(0)
    scores = {f"l{i}": i + 0.01 * rng.normal(size=20) for i in range(8)}
    same = agreement(scores, scores)
    assert (same.spearman[0], same.kendall[0]) == pytest.approx((1.0, 1.0))
    opposite = agreement(scores, {name: -each for name, each in scores.items()})
    assert opposite.spearman[2] < 0
    with pytest.raises(ProblemError, match="8 and 1 learners"):
        agreement(scores, {"l0": scores["l0"]})


def test_early_readings() -> None:
    rows = [("e", s, "y", t, v * (4.0 - t)) for s, v in (("1", 1.0), ("2", 2.0)) for t in range(5)]
    table = pd.DataFrame(rows, columns=["experiment", "subject", "observable", "time", "value"])
    found = early_examples(table, (0.0, 0.5), "area", covariate={"e": 7.0})
    np.testing.assert_allclose(found.x, [[4.0, 3.5, 7.0], [8.0, 7.0, 7.0]])
    np.testing.assert_allclose(found.y, [8.0, 16.0])
    with pytest.raises(MeasurementError, match="no endpoint 'aria'"):
        early_examples(table, (0.0,), "aria")
    with pytest.raises(MeasurementError, match="0 subjects have"):
        early_examples(table, (0.0, 9.0), "area")
    with pytest.raises(ProblemError, match="of 12 real subjects"):
        learning_curve(line(12, 0), line(20, 1), "ridge", (12,))
