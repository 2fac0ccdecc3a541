"""The gap of forecasters whose quality is known, its interval, and the verdict's words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from calibration.sim2real.floor import noise_floor
from calibration.sim2real.gap import Gap, measure_gap, resample_counts
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


def gap_of(table: pd.DataFrame, name: str, **options: float) -> Gap:
    draws = forecasts(table)
    floor = noise_floor(table, declared={"load": SD}).score
    return measure_gap(
        score_readings(table, draws[name]),
        {
            "spline": score_readings(table, draws["baseline"])["crps"].to_numpy(),
            "mean": np.full(len(table), 99.0),
        },
        floor,
        **options,  # type: ignore[arg-type]
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


def test_the_same_seed_gives_the_same_interval(table: pd.DataFrame) -> None:
    assert gap_of(table, "oracle", seed=3) == gap_of(table, "oracle", seed=3)
    assert gap_of(table, "oracle", seed=3).low != gap_of(table, "oracle", seed=4).low


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
    assert gap.defined and gap.high == math.inf
    assert gap.unbounded == pytest.approx(0.75**4, abs=0.05)
    verdict = judge(gap)
    assert verdict.label == "no better"
    assert "unbounded" in verdict.sentence


def test_series_are_resampled_whole_and_few_series_in_blocks(table_of) -> None:
    rng = np.random.default_rng(0)
    many = table_of(subjects=5)
    counts, what, units = resample_counts(many, 50, rng)
    assert (what, units) == ("series", 5)
    assert np.all(counts.reshape(50, 5, 21) == counts.reshape(50, 5, 21)[:, :, :1])
    assert np.all(counts.sum(axis=1) == len(many))
    one = table_of(subjects=1)
    counts, what, units = resample_counts(one, 50, rng)
    assert (what, units) == ("blocks of readings", 7)
    assert np.all(counts.sum(axis=1) == len(one))
    assert counts.std() > 0


def test_bootstrap_interval_has_the_width_of_the_normal_one(table_of) -> None:
    """For a mean over independent clusters the interval of the difference is known."""
    n = 200
    rows = table_of(subjects=n, times=np.array([0.0]))
    crps = np.random.default_rng(0).normal(1.0, 0.2, n)
    gap = measure_gap(rows.assign(crps=crps), {"mean": np.full(n, 2.0)}, np.full(n, 0.5))
    width = 2 * 1.96 * crps.std() / np.sqrt(n)
    assert gap.difference_high - gap.difference_low == pytest.approx(width, rel=0.1)
    assert gap.high - gap.low == pytest.approx(width / 1.5, rel=0.1)


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
