"""The gap of forecasters whose quality is known, its interval, and the verdict's words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from calibration.sim2real.floor import noise_floor
from calibration.sim2real.gap import Gap, measure_gap
from calibration.sim2real.scores import score_readings
from calibration.sim2real.verdict import judge, judge_coverage
from twin.errors import ProblemError

SD = 0.5
DRAWS = 300


def forecasts(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Draws of the noise-only oracle, of a blurred baseline, and of a wrong forecaster."""
    rng = np.random.default_rng(1)
    truth = 3 * np.sin(table["time"].to_numpy())
    noise = rng.standard_normal((DRAWS, len(table)))
    return {
        "oracle": truth + SD * noise,
        "baseline": truth.mean() + np.hypot(SD, truth.std()) * noise,
        "wrong": -2.0 * truth + SD * noise,
    }


@pytest.fixture
def table(table_of) -> pd.DataFrame:
    return table_of(lambda t: 3 * np.sin(t), subjects=20, sd=SD, seed=4)


def gap_of(table: pd.DataFrame, name: str) -> Gap:
    draws = forecasts(table)
    floor = noise_floor(table, declared={"load": SD}).score
    return measure_gap(
        score_readings(table, draws[name]),
        {
            "spline": score_readings(table, draws["baseline"])["crps"].to_numpy(),
            "mean": np.full(len(table), 99.0),
        },
        floor,
    )


def test_the_oracle_has_no_gap(table: pd.DataFrame) -> None:
    gap = gap_of(table, "oracle")
    spread = score_readings(table, forecasts(table)["oracle"])["crps"].std() / np.sqrt(len(table))
    assert abs(gap.twin - gap.floor) < 4 * spread
    assert abs(gap.value) < 4 * spread / (gap.baseline - gap.floor)
    assert gap.low < 0.05 and gap.high < 0.2
    verdict = judge(gap, 0.9)
    assert verdict.label == "better"
    assert "Better than any curve through the points" in verdict.sentence
    assert "a spline" in verdict.sentence


def test_the_baseline_itself_has_gap_one(table: pd.DataFrame) -> None:
    gap = gap_of(table, "baseline")
    assert gap.value == pytest.approx(1.0)
    assert gap.low == pytest.approx(1.0) and gap.high == pytest.approx(1.0)
    assert gap.baseline_name == "spline" and gap.baselines["mean"] == 99.0
    verdict = judge(gap)
    assert verdict.label == "no better"
    assert verdict.sentence.startswith("No better than a spline")
    assert verdict.calibration == "not judged" and str(verdict) == verdict.sentence


def test_a_wrong_forecaster_is_worse(table: pd.DataFrame) -> None:
    gap = gap_of(table, "wrong")
    assert gap.low > 1.0
    assert judge(gap, 0.1).label == "worse"
    assert judge(gap, 0.1).sentence.startswith("Worse than a spline")
    assert "too narrow" in judge(gap, 0.1).remark


def test_a_baseline_at_the_floor_makes_the_gap_undefined_not_huge(table: pd.DataFrame) -> None:
    scores = score_readings(table, forecasts(table)["oracle"])
    gap = measure_gap(scores, {"spline": scores["crps"].to_numpy() + 0.2}, scores["crps"].to_numpy() + 0.3)
    assert not gap.defined
    assert math.isnan(gap.value) and math.isnan(gap.low) and math.isnan(gap.high)
    assert gap.difference == pytest.approx(-0.2)
    verdict = judge(gap)
    assert verdict.label == "undefined"
    assert "no worse than the noise floor" in verdict.sentence
    assert "better than a spline there" in verdict.sentence


def test_an_interval_that_cannot_be_bounded_says_so(table_of) -> None:
    rows = table_of(subjects=4, times=np.array([0.0]))
    scores = rows.assign(crps=[2.0, 2.0, 2.0, 1.0])
    gap = measure_gap(scores, {"spline": np.array([1.0, 1.0, 1.0, 3.0])}, np.full(4, 1.0))
    assert gap.defined and not gap.bounded and gap.high == math.inf
    verdict = judge(gap)
    assert verdict.label == "no better"
    assert "cannot tell a spline from the noise floor, so the interval is unbounded" in verdict.sentence


def test_the_interval_is_students_where_the_floor_is_far(table_of) -> None:
    """With one value per series and a constant baseline both intervals are Student's."""
    n = 7
    rows = table_of(subjects=n, times=np.array([0.0]))
    crps = np.random.default_rng(0).normal(1.0, 0.2, n)
    gap = measure_gap(rows.assign(crps=crps), {"mean": np.full(n, 2.0)}, np.full(n, 0.5))
    expected = t.interval(0.95, n - 1, crps.mean(), crps.std(ddof=1) / np.sqrt(n))
    assert (gap.difference_low, gap.difference_high) == pytest.approx(np.array(expected) - 2.0)
    assert (gap.low, gap.high) == pytest.approx((np.array(expected) - 0.5) / 1.5)
    assert (gap.unit, gap.units) == ("series", 7)


def test_better_means_that_the_difference_excludes_nought(table_of) -> None:
    rng, labels = np.random.default_rng(2), set()
    for subjects in (1, 3, 5):
        for _ in range(20):
            rows = table_of(subjects=subjects, times=np.arange(6.0))
            crps, curve = rng.gamma(4.0, 0.25, len(rows)), rng.gamma(6.0, 0.25, len(rows))
            gap = measure_gap(rows.assign(crps=crps), {"mean": curve}, np.full(len(rows), 0.6))
            if gap.defined:
                labels.add(judge(gap).label)
                assert gap.low <= gap.value <= gap.high
                assert (gap.high < 1.0) == (gap.difference_high < 0.0)
                assert (gap.low > 1.0) == (gap.difference_low > 0.0)
    assert labels == {"better", "no better"}


def test_baselines_without_scores_are_left_out_by_name(table: pd.DataFrame) -> None:
    scores = score_readings(table, forecasts(table)["oracle"])
    nothing = np.full(len(table), np.nan)
    gap = measure_gap(
        scores,
        {"mean": np.ones(len(table)), "spline": nothing},
        np.zeros(len(table)),
        left_out={"persistence": "no last value"},
    )
    assert gap.left_out == {"persistence": "no last value", "spline": "no score for some readings"}
    with pytest.raises(ProblemError, match="no baseline is defined"):
        measure_gap(scores, {"spline": nothing}, np.zeros(len(table)))
    with pytest.raises(ProblemError, match="3 scores for"):
        measure_gap(scores, {"spline": np.ones(3)}, np.zeros(len(table)))
    with pytest.raises(ProblemError, match="not finite"):
        measure_gap(scores, {"spline": np.ones(len(table))}, nothing)
    with pytest.raises(ProblemError, match="no held-out readings"):
        measure_gap(scores.iloc[:0], {"spline": np.ones(0)}, np.zeros(0))


@pytest.mark.parametrize(
    ("coverage", "readings", "expected"),
    [
        (0.9, 100, "about right"),
        (0.5, 100, "too narrow"),
        (1.0, 100, "too wide"),
        (1.0, 6, "about right"),
        (None, 6, "not judged"),
    ],
)
def test_coverage_is_judged_with_its_sampling_error(coverage: float | None, readings: int, expected: str) -> None:
    assert judge_coverage(coverage, readings)[0] == expected


def test_readings_at_a_limit_count_in_part() -> None:
    assert "only 4.7 of 12 held-out readings (39 %; those at a limit count in part)" in judge_coverage(4.7 / 12, 12)[1]
    assert "only 5 of 12 held-out readings (42 %) lie" in judge_coverage(5 / 12, 12)[1]
