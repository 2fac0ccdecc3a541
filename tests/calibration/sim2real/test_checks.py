"""Posterior predictive tests and biological checks on arrays with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.sim2real.checks import (
    STATISTICS,
    conservation,
    pit_uniformity,
    positivity,
    predictive_tests,
    published_ranges,
)
from twin.errors import ProblemError


def test_replicates_of_the_true_law_pass_and_shifted_ones_fail(table_of) -> None:
    table = table_of(lambda t: np.sin(t), sd=0.3, subjects=2)
    truth = np.sin(table["time"].to_numpy())
    draws = truth + 0.3 * np.random.default_rng(9).standard_normal((500, len(table)))
    good = predictive_tests(table, draws)
    assert len(good) == 2 * (len(STATISTICS) - 1)  # no limit, so no fraction censored
    assert (good["p_value"] > 0.001).all() and (good["p_value"] <= 1.0).all()
    bad = predictive_tests(table, draws + 2.0).set_index(["subject", "statistic"])
    assert bad.loc[("1", "mean"), "p_value"] == 0.0
    assert bad.loc[("1", "sd"), "p_value"] > 0.001


def test_statistics_are_taken_on_the_score_scale_in_time_order(table_of) -> None:
    table = table_of(lambda t: 10.0**t, times=np.array([3.0, 1.0, 2.0]), limit=50.0)
    draws = np.tile(table["value"].to_numpy(), (4, 1))
    result = predictive_tests(table, draws, scale={"load": "log10"}).set_index("statistic")
    assert result.loc["last value", "observed"] == pytest.approx(3.0)
    assert result.loc["time of max", "observed"] == 3.0
    assert result.loc["min", "observed"] == pytest.approx(np.log10(50.0))
    assert result.loc["fraction censored", "observed"] == pytest.approx(1 / 3)
    assert (result["p_value"] == 1.0).all()


def test_positivity_allows_solver_error_only() -> None:
    up = np.linspace(0.0, 1.0, 5)
    result = positivity({"ok": up[None] - 1e-9, "bad": np.stack([up, up - 0.1])}).set_index("state")
    assert result.loc["ok", "passed"] and not result.loc["bad", "passed"]
    assert result.loc["bad", "draws_negative"] == 0.5
    assert result.loc["bad", "lowest"] == pytest.approx(-0.1)
    assert not positivity({"broken": np.array([[np.nan, 1.0]])}).loc[0, "passed"]


def test_conserved_totals_may_not_drift() -> None:
    flat = np.full((2, 4), 7.0)
    result = conservation({"kept": flat, "lost": flat * np.linspace(1, 0.9, 4), "none": 0 * flat})
    assert list(result["passed"]) == [True, False, True]
    assert result.loc[1, "drift"] == pytest.approx(0.1)
    assert not conservation({"broken": flat * np.nan}).loc[0, "passed"]


def test_published_values_and_ranges() -> None:
    draws = np.linspace(0.0, 10.0, 1001)
    result = published_ranges(
        {"a": draws, "b": draws.reshape(7, 143), "c": draws, "unpublished": draws},
        {"a": 5.0, "b": 9.9, "c": (9.0, 16.0)},
    ).set_index("parameter")
    assert list(result.index) == ["a", "b", "c"]
    assert list(result["inside"]) == [True, False, True]
    assert result.loc["a", "lower_90"] == pytest.approx(0.5) and result.loc["a", "ratio"] == pytest.approx(1.0)
    assert result.loc["c", "ratio"] == pytest.approx(5.0 / 12.0)
    with pytest.raises(ProblemError, match="upside down"):
        published_ranges({"a": draws}, {"a": (2.0, 1.0)})
    with pytest.raises(ProblemError, match="not finite"):
        published_ranges({"a": draws * np.nan}, {"a": 1.0})


def test_uniform_pits_pass_and_others_fail() -> None:
    rng = np.random.default_rng(1)
    assert pit_uniformity(rng.uniform(size=200)).p_value > 0.001
    assert pit_uniformity(rng.beta(3, 3, size=200)).p_value < 1e-3
    with pytest.raises(ProblemError, match="outside"):
        pit_uniformity(np.array([1.2]))
    with pytest.raises(ProblemError, match="none"):
        pit_uniformity(np.array([]))
