"""Coverage against replicates: counted as the scores count it, its level where readings hang together, its power."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from calibration.sim2real.replicates import of_all_folds, replicated_coverage, tails
from calibration.sim2real.scores import score_readings
from calibration.sim2real.verdict import EACH_TAIL, judge_coverage

SERIES, EACH, DRAWS = 4, 8, 400


def rows_of(value: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"value": value, "time": np.tile(np.arange(float(EACH)), SERIES)})
    return table.assign(
        experiment="e", subject=np.repeat(np.arange(SERIES), EACH).astype(str), observable="y", noise=np.nan,
        censoring="",
    )  # fmt: skip


def draws_of(rng: np.random.Generator, count: int, spread: float = 1.0) -> np.ndarray:
    """Series with an effect of twice the noise."""
    effect = np.repeat(2.0 * rng.standard_normal((count, SERIES)), EACH, axis=1)
    return spread * (effect + rng.standard_normal((count, SERIES * EACH)))


def judged(rng: np.random.Generator, spread: float) -> tuple[str, str]:
    """Judgement by replicates and by Wilson's interval of a forecast with this spread for its true one."""
    draws, reading = draws_of(rng, DRAWS, spread), draws_of(rng, 1)[0]
    rows, limits = rows_of(reading), np.full(SERIES * EACH, -np.inf)
    coverage = float(score_readings(rows, draws, limits=limits)["coverage_90"].mean())
    own = replicated_coverage(rows, draws, 0.9, scale={}, limits=limits)
    return judge_coverage(coverage, len(rows), own)[0], judge_coverage(coverage, len(rows))[0]


def test_a_twin_that_is_right_is_rarely_called_too_narrow_and_one_that_is_sure_of_itself_often_is() -> None:
    rng, datasets = np.random.default_rng(0), 200
    right = [judged(rng, 1.0) for _ in range(datasets)]
    counts = [sum(each[rule] == "too narrow" for each in right) for rule in (0, 1)]
    assert binom.sf(counts[0] - 1, datasets, EACH_TAIL) > 0.001
    # Wilson's interval takes readings of a series for independent.
    assert binom.sf(counts[1] - 1, datasets, EACH_TAIL) < 1e-6
    sure = [judged(rng, 0.3)[0] for _ in range(50)]
    assert sure.count("too narrow") > 40


def test_a_draw_is_scored_as_a_reading_would_be() -> None:
    rng = np.random.default_rng(1)
    draws = np.maximum(draws_of(rng, 60), -0.5)
    rows, limits = rows_of(draws[0]), np.full(SERIES * EACH, -0.5)
    others = score_readings(rows, draws[1:], limits=limits)
    for level in (0.5, 0.9):
        found = replicated_coverage(rows, draws, level, scale={}, limits=limits)
        assert found.shape == (60,)
        assert found[0] == pytest.approx(others[f"coverage_{round(100 * level)}"].mean(), abs=1e-12)
    # A draw among the others covers what it promises on average, ties included.
    assert found.mean() == pytest.approx(0.9, abs=1e-12)


def test_folds_are_weighted_by_their_readings() -> None:
    both = of_all_folds([np.full(30, 1.0), np.full(20, 0.5)], [1, 3])
    np.testing.assert_allclose(both, np.full(20, 0.625))


def test_tails_are_rank_p_values_with_ties_on_both_sides() -> None:
    assert tails(0.5, np.array([0.25, 0.5, 0.75])) == (0.75, 0.75)
    assert tails(0.1, np.full(99, 0.9)) == (0.01, 1.0)


def test_the_remark_names_what_replicates_have() -> None:
    label, remark = judge_coverage(0.25, 8, np.full(99, 0.875))
    assert label == "too narrow" and "replicates of its own have 88 %" in remark
    assert judge_coverage(1.0, 8, np.full(99, 0.875))[0] == "too wide"
