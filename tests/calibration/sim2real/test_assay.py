"""Upper limits and intervals in scores: what is not told apart, propriety, and the floor of noise alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calibration.sim2real.assay import AssayLimits, assay_limits
from calibration.sim2real.floor import expected_crps
from calibration.sim2real.scores import score_readings
from twin.errors import ProblemError

EDGES = np.array([1.0, 2.0, 4.0])
READS = 4000


def table_of(read: np.ndarray) -> pd.DataFrame:
    """Readings of an assay that sees nothing below 1, nothing above 4, and one bin from 2 to 4."""
    table = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "y", "time": np.arange(len(read)) * 1.0})
    kinds = [read < EDGES[0], read >= EDGES[2], read >= EDGES[1]]
    table["value"] = np.select(kinds, [EDGES[0], EDGES[2], EDGES[1]], read)
    table["censoring"] = np.select(kinds, ["left", "right", "interval"], "")
    return table.assign(noise=np.nan, upper=np.where(table["censoring"] == "interval", EDGES[2], np.nan))


@pytest.fixture(scope="module")
def readings() -> pd.DataFrame:
    return table_of(np.random.default_rng(1).normal(2.4, 1.0, size=READS))


def test_the_mapping_is_that_of_the_assay(readings: pd.DataFrame) -> None:
    limits = assay_limits(readings)
    values = np.array([-3.0, 1.0, 1.5, 2.0, 3.9, 4.0, 9.0])
    observable = np.full(len(values), "y")
    assert list(limits[:7].map(values, observable)) == [1.0, 1.0, 1.5, 3.0, 3.0, 4.0, 4.0]
    # In order, and the same for readings as for what they were before the assay.
    read = np.random.default_rng(1).normal(2.4, 1.0, size=READS)
    everywhere = np.full(READS, "y")
    np.testing.assert_array_equal(limits.map(readings["value"].to_numpy(), everywhere), limits.map(read, everywhere))


@pytest.mark.parametrize("wrong", [(0.4, 1.0), (-0.4, 1.0), (0.0, 0.5), (0.0, 1.7)])
def test_the_true_forecast_scores_best(readings: pd.DataFrame, wrong: tuple[float, float]) -> None:
    noise = np.random.default_rng(2).normal(size=(100, READS))
    true, other = (score_readings(readings, 2.4 + shift + sd * noise) for shift, sd in ((0.0, 1.0), wrong))
    paired = other["crps"] - true["crps"]
    assert paired.mean() > 3 * paired.std() / np.sqrt(READS)


def test_coverage_of_the_true_forecast_is_nominal(readings: pd.DataFrame) -> None:
    scores = score_readings(readings, np.random.default_rng(3).normal(2.4, 1.0, size=(200, READS)))
    for level in (0.5, 0.9):
        assert scores[f"coverage_{round(100 * level)}"].mean() == pytest.approx(level, abs=4 * 0.5 / np.sqrt(READS))


def test_the_floor_is_the_score_of_the_true_forecast(readings: pd.DataFrame) -> None:
    scores = score_readings(readings, np.random.default_rng(4).normal(2.4, 1.0, size=(400, READS)))
    one = assay_limits(readings)[:1]
    floor = expected_crps(np.array([1.0]), np.array([2.4]), one, np.array(["y"]))
    assert scores["crps"].mean() == pytest.approx(floor[0], abs=4 * scores["crps"].std() / np.sqrt(READS))


@pytest.mark.parametrize(("low", "high", "floor"), [(1.5, 3.0, 1.0), (-2.0, 2.0, 0.0), (2.5, 9.0, -np.inf)])
def test_the_floor_by_quadrature(low: float, high: float, floor: float) -> None:
    """Half the mean distance of two readings; also of intervals across a limit and without any limit."""
    limits = AssayLimits(np.array([floor]), np.array([3.5]), {"y": np.array([[low, high, (low + high) / 2]])})
    rng = np.random.default_rng(5)
    pairs = limits.map(rng.normal(1.8, 0.9, size=(400_000, 1)), np.array(["y"])).reshape(2, -1)
    half = np.abs(pairs[0] - pairs[1]) / 2
    found = expected_crps(np.array([0.9]), np.array([1.8]), limits, np.array(["y"]))
    assert found[0] == pytest.approx(half.mean(), abs=4 * half.std() / np.sqrt(len(half)))


def test_on_a_logarithmic_scale(readings: pd.DataFrame) -> None:
    draws = np.exp(np.random.default_rng(6).normal(0.7, 0.4, size=(50, READS)))
    natural = score_readings(readings, draws, scale={"y": "log10"})
    there = score_readings(readings, np.log10(draws), scale={"y": "log10"}, on_score_scale=True)
    np.testing.assert_allclose(natural["crps"], there["crps"], rtol=1e-12)
    assert set(natural["reading"].round(9)) >= {0.0, round(np.log10(3.0), 9), round(np.log10(4.0), 9)}


def test_overlapping_intervals_have_no_proper_score(readings: pd.DataFrame) -> None:
    table = table_of(np.array([2.5, 3.0])).assign(upper=[4.0, 3.0])
    with pytest.raises(ProblemError, match=r"'y': the intervals from 2 to 3 and from 2 to 4 overlap"):
        assay_limits(table)
