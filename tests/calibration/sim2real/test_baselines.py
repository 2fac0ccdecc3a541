"""Baselines: what each must do on data made for it, their spread, and when they say no."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from calibration.sim2real import baselines
from calibration.sim2real.baselines import BASELINES, Prediction, predict_baselines
from calibration.sim2real.baselines.curve import fit_curve
from calibration.sim2real.baselines.spread import fit_growth
from calibration.sim2real.baselines.suite import covariate_axis
from calibration.sim2real.scores import score_readings
from calibration.sim2real.splits import split_experiment, split_subject, split_time
from twin.errors import ProblemError


def predict(table: pd.DataFrame, split: str, **options: object) -> tuple[dict[str, Prediction], pd.DataFrame]:
    """All baselines on the first fold of a split, and its test rows."""
    fold = {"time": split_time, "subject": split_subject}.get(split, lambda t: split_experiment(t, [split]))(table)
    first = fold.folds[0]
    made = predict_baselines(table, first.train, first.test, draws=400, **options)  # type: ignore[arg-type]
    return made, table.loc[first.test]


def crps(made: Mapping[str, Prediction], rows: pd.DataFrame) -> dict[str, float]:
    """Mean CRPS of the defined baselines."""
    return {
        name: float(score_readings(rows, p.draws, on_score_scale=True)["crps"].mean())
        for name, p in made.items()
        if p.draws is not None
    }


def test_public_names() -> None:
    assert sorted(baselines.__all__) == [
        "BASELINES",
        "Forecast",
        "Prediction",
        "Task",
        "UndefinedBaselineError",
        "predict_baselines",
    ]
    assert list(BASELINES) == ["mean", "persistence", "spline", "gaussian process"]


def test_a_straight_line_is_extrapolated(table_of) -> None:
    made, rows = predict(table_of(lambda t: 2.0 * t, sd=0.1, subjects=2), "time")
    score = crps(made, rows)
    assert score["spline"] < 0.3 and score["gaussian process"] < 0.3
    assert score["mean"] > 3.0 and score["persistence"] > 1.0


def test_smooth_data_of_an_unseen_subject(table_of) -> None:
    table = table_of(lambda t: 5 * np.sin(t), sd=0.3, subjects=6, between=0.3)
    made, rows = predict(table, "subject")
    score = crps(made, rows)
    assert made["persistence"].draws is None
    assert "2 held-out series have no training reading" in made["persistence"].reason
    # The noise and the spread between subjects alone cost sqrt(0.3^2 + 0.3^2) / sqrt(pi) = 0.24.
    assert all(score[name] < 0.35 for name in ("mean", "spline", "gaussian process"))


def test_curves_beat_the_mean_between_the_times_of_training(table_of) -> None:
    table = table_of(lambda t: 5 * np.sin(t), sd=0.1)
    test = np.arange(len(table)) % 4 == 2
    made = predict_baselines(table, ~test, test, draws=400)
    score = crps(made, table.loc[test])
    for name in ("spline", "gaussian process"):
        assert score[name] < 0.5 * score["mean"]
        error = np.median(made[name].draws, axis=0) - table.loc[test, "value"]  # type: ignore[arg-type]
        # Noise of 0.1 in the readings and the curve; half a radian between points adds as much.
        assert np.sqrt(np.mean(error**2)) < 0.3


def test_a_random_walk_is_forecast_best_by_persistence_with_growing_spread(table_of) -> None:
    table = table_of(subjects=20, times=np.arange(20.0))
    rng = np.random.default_rng(3)
    table["value"] = np.concatenate([np.cumsum(rng.standard_normal(20)) for _ in range(20)])
    quick = {name: BASELINES[name] for name in ("mean", "persistence", "spline")}
    made, rows = predict(table, "time", baselines=quick)
    draws = made["persistence"].draws
    assert draws is not None
    spread = pd.Series(draws.std(axis=0)).groupby(rows["time"].to_numpy()).mean()
    horizon = spread.index.to_numpy() - rows["time"].min() + 1.0
    np.testing.assert_allclose(spread.to_numpy(), np.sqrt(horizon), rtol=0.35)
    assert spread.is_monotonic_increasing
    score = crps(made, rows)
    assert score["persistence"] < score["mean"] and score["persistence"] < score["spline"]
    coverage = score_readings(rows, draws, on_score_scale=True)["coverage_90"].mean()
    assert 0.8 < coverage <= 1.0


@pytest.mark.parametrize("name", list(BASELINES))
def test_spread_is_honest_for_noise_around_a_constant(table_of, name: str) -> None:
    table = table_of(lambda t: 0.0 * t, sd=1.0, subjects=8, seed=5)
    made, rows = predict(table, "time", baselines={name: BASELINES[name]})
    scores = score_readings(rows, made[name].draws, on_score_scale=True)  # type: ignore[arg-type]
    # The readings of a series share its forecast: the sampling error is that of the series' means.
    coverage = scores.groupby("subject")["coverage_90"].mean()
    assert coverage.mean() > 0.9 - 3 * coverage.std() / np.sqrt(len(coverage))
    # Noise alone costs 1 / sqrt(pi) = 0.56; persistence keeps one noisy value and pays sqrt(2) times that.
    cost = scores.groupby("subject")["crps"].mean()
    assert cost.mean() - 3 * cost.std() / np.sqrt(len(cost)) < np.sqrt(2.0 / np.pi)
    assert cost.mean() < 1.0


def test_the_covariate_carries_to_an_unseen_dose(table_of) -> None:
    doses = {"d0": 0.0, "d1": 1.0, "d10": 10.0, "d30": 30.0, "d100": 100.0}
    table = pd.concat(
        [
            table_of(lambda t, d=dose: -0.4 * np.log10(1 + d) * t, sd=0.1, experiments=(name,), seed=int(dose))
            for name, dose in doses.items()
        ],
        ignore_index=True,
    )
    with_dose = crps(*predict(table, "d10", covariate=doses))
    without = crps(*predict(table, "d10"))
    for name in ("spline", "gaussian process"):
        assert with_dose[name] < 0.4 * without[name]
    assert with_dose["mean"] == pytest.approx(without["mean"])


def test_a_useless_covariate_is_not_used_by_the_spline(table_of) -> None:
    doses = {f"e{i}": 1.0 + i / 4 for i in range(16)}
    table = table_of(lambda t: 5 * np.sin(t), sd=0.1, between=1.0, experiments=tuple(doses))
    made, _ = predict(table, "e4", covariate=doses, baselines={"spline": BASELINES["spline"]})
    assert "covariate" not in " ".join(made["spline"].notes)


def test_covariate_axis() -> None:
    np.testing.assert_allclose(covariate_axis({"a": 0.0, "b": 2.0, "c": 198.0}, ["a", "b", "c"]), [0, np.log10(2), 2])
    np.testing.assert_array_equal(covariate_axis({"a": 1.0, "b": 2.0}, ["b", "a", "b"]), [2.0, 1.0, 2.0])
    assert covariate_axis({"a": 1.0}, ["a", "b"]) is None
    assert covariate_axis(None, ["a"]) is None


def test_test_values_are_never_read(table_of) -> None:
    table = table_of(lambda t: np.exp(t / 3), sd=0.1, subjects=3)
    fold = split_time(table).folds[0]
    spoiled = table.copy()
    spoiled.loc[fold.test, "value"] = np.nan
    for one, other in zip(
        predict_baselines(table, fold.train, fold.test, draws=50, seed=2).values(),
        predict_baselines(spoiled, fold.train, fold.test, draws=50, seed=2).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one.draws, other.draws)


def test_draws_follow_the_rows_of_the_table_and_the_seed(table_of) -> None:
    two = pd.concat([table_of(lambda t: t), table_of(lambda t: 100 + t).assign(observable="other")])
    table = two.sample(frac=1.0, random_state=0)
    fold = split_time(table).folds[0]
    made = predict_baselines(table, fold.train, fold.test, draws=100, seed=1)
    rows = table.loc[fold.test] if table.index.is_unique else table[fold.test]
    for prediction in made.values():
        assert prediction.draws is not None and prediction.draws.shape == (100, int(fold.test.sum()))
        middle = np.median(prediction.draws, axis=0)
        assert np.all((middle > 50.0) == (rows["observable"] == "other").to_numpy())
    again = predict_baselines(table, fold.train, fold.test, draws=100, seed=1)
    np.testing.assert_array_equal(made["gaussian process"].draws, again["gaussian process"].draws)
    other = predict_baselines(table, fold.train, fold.test, draws=100, seed=2)
    assert not np.array_equal(made["mean"].draws, other["mean"].draws)


def test_log_scale_and_censored_training_readings(table_of) -> None:
    table = table_of(lambda t: 10.0 ** (6 - t), subjects=3, times=np.arange(10.0), limit=10.0)
    fold = split_time(table).folds[0]
    made = predict_baselines(table, fold.train, fold.test, scale={"load": "log10"}, draws=200)
    for prediction in made.values():
        assert prediction.draws is not None and np.all(np.isfinite(prediction.draws))
    spline = score_readings(table.loc[fold.test], made["spline"].draws, scale={"load": "log10"}, on_score_scale=True)
    assert spline["crps"].mean() < 0.1


def test_few_readings_give_reasons_not_numbers(table_of) -> None:
    table = table_of(times=np.array([0.0, 1.0, 2.0]))
    made = predict_baselines(table, np.array([True, False, False]), np.array([False, True, True]), draws=10)
    reasons = {name: p.reason for name, p in made.items()}
    assert all(p.draws is None for p in made.values())
    assert "too few for a mean" in reasons["mean"]
    assert "no training series has two times" in reasons["persistence"]
    assert "fewer than three training times" in reasons["spline"]
    assert "too few for a Gaussian process" in reasons["gaussian process"]
    mixed = pd.concat([table, table.assign(observable="unseen")], ignore_index=True)
    train = (mixed["observable"] == "load").to_numpy()
    assert "no training readings" in predict_baselines(mixed, train, ~train, draws=10)["mean"].reason


def test_bad_masks_are_refused(table_of) -> None:
    table = table_of()
    everything = np.ones(len(table), dtype=bool)
    with pytest.raises(ProblemError, match="overlap"):
        predict_baselines(table, everything, everything)
    with pytest.raises(ProblemError, match="shapes"):
        predict_baselines(table, everything[1:], everything)


def test_constant_training_values_do_not_break_any_baseline(table_of) -> None:
    made, rows = predict(table_of(lambda t: 0.0 * t + 3.0, subjects=2), "time")
    for prediction in made.values():
        assert prediction.draws is not None
        np.testing.assert_allclose(np.median(prediction.draws, axis=0), 3.0, atol=0.05)
    assert max(crps(made, rows).values()) < 0.1


def test_the_curve_goes_on_straight_beyond_its_points() -> None:
    x = np.linspace(0, 1, 9)
    curve = fit_curve(x, x**2)
    beyond = curve(np.array([1.0, 1.5, 2.0]))
    assert beyond[2] - beyond[1] == pytest.approx(beyond[1] - beyond[0], rel=1e-9)
    assert fit_curve(x, x**2, flat=True)(np.array([5.0]))[0] == pytest.approx(beyond[0])
    assert fit_curve(np.zeros(3), np.array([1.0, 2.0, 3.0]))(np.array([9.0]))[0] == 2.0
    np.testing.assert_allclose(fit_curve(np.array([0.0, 1.0]), np.array([1.0, 3.0]))(np.array([2.0])), 5.0)


def test_growth_recovers_a_random_walk() -> None:
    rng = np.random.default_rng(0)
    horizon = np.repeat(np.arange(1.0, 9.0), 2000)
    growth = fit_growth(horizon, np.sqrt(0.5 + 2.0 * horizon) * rng.standard_normal(len(horizon)), 50)
    np.testing.assert_allclose(growth.deviation(np.array([1.0, 8.0])), np.sqrt([2.5, 16.5]), rtol=0.05)
    assert growth.df == 50
    assert np.all(fit_growth(horizon, 0 * horizon, 2).deviation(horizon) == 0.0)
