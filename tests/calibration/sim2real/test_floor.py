"""The noise floor against quadrature, simulation and known noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scoringrules
from scipy.integrate import quad
from scipy.stats import norm

from calibration.sim2real.floor import difference_sigma, expected_crps, noise_floor, replicate_sigma
from twin.errors import ProblemError


def test_without_a_limit_the_floor_is_sigma_over_root_pi() -> None:
    sigma = np.array([0.1, 1.0, 7.0])
    floor = expected_crps(sigma, np.array([0.0, 5.0, -3.0]), np.full(3, -np.inf))
    np.testing.assert_allclose(floor, sigma / np.sqrt(np.pi), rtol=1e-12)


@pytest.mark.parametrize("centre", [-4.0, -1.0, 0.5, 1.0, 3.0, 30.0])
def test_with_a_limit_it_is_the_integral_of_f_times_one_minus_f(centre: float) -> None:
    sigma, limit = 0.7, 0.5
    value, _ = quad(
        lambda x: norm.cdf(x, centre, sigma) * norm.sf(x, centre, sigma),
        limit,
        max(limit, centre) + 15 * sigma,
        points=[max(limit, centre)],
        epsabs=1e-13,
    )
    ours = expected_crps(np.array([sigma]), np.array([centre]), np.array([limit]))[0]
    assert ours == pytest.approx(value, abs=1e-10)
    assert ours >= 0.0


def test_it_is_what_a_perfect_forecaster_scores_in_simulation() -> None:
    rng, n = np.random.default_rng(0), 20_000
    truth, limit = 0.3, 0.0
    readings = np.maximum(truth + rng.standard_normal(n), limit)
    score = scoringrules.crps_ensemble(
        readings,
        np.sort(np.maximum(truth + rng.standard_normal((n, 100)), limit)),
        estimator="pwm",
        sorted_ensemble=True,
        backend="numpy",
    )
    expected = expected_crps(np.ones(1), np.array([truth]), np.array([limit]))[0]
    assert abs(score.mean() - expected) < 4 * score.std() / np.sqrt(n)


def test_no_scatter_has_no_floor() -> None:
    np.testing.assert_array_equal(expected_crps(np.zeros(2), np.ones(2), np.array([-np.inf, 1.0])), 0.0)


def test_differences_recover_the_noise_of_a_smooth_curve_at_unequal_times(table_of) -> None:
    times = np.sort(np.random.default_rng(1).uniform(0, 10, 400))
    table = table_of(lambda t: 3 * np.sin(t / 2), times=times, subjects=2, sd=0.5)
    sigma, triples = difference_sigma(table, table["value"].to_numpy())
    assert triples == 2 * 398
    # The estimator's relative sd is about 1 / sqrt(n) (its pseudo-residuals are correlated).
    assert sigma == pytest.approx(0.5, rel=4 / np.sqrt(triples))


def test_differences_are_exact_zero_for_a_straight_line_and_skip_censored_triples(table_of) -> None:
    line = table_of(lambda t: 2 * t - 1)
    assert difference_sigma(line, line["value"].to_numpy())[0] == pytest.approx(0.0, abs=1e-12)
    cut = table_of(lambda t: 2 * t - 1, limit=9.0)
    sigma, triples = difference_sigma(cut, cut["value"].to_numpy())
    assert sigma == pytest.approx(0.0, abs=1e-12)
    assert triples == (cut["censoring"] == "").sum() - 2


def test_replicates_are_preferred(table_of) -> None:
    table = pd.concat([table_of(lambda t: 20 * np.sin(3 * t), sd=0.5, seed=s) for s in range(6)], ignore_index=True)
    sigma, df = replicate_sigma(table, table["value"].to_numpy())
    assert df == 5 * 21
    assert sigma == pytest.approx(0.5, rel=4 / np.sqrt(2 * df))
    floor = noise_floor(table)
    assert "replicates" in floor.sources["load"]
    np.testing.assert_allclose(floor.score, sigma / np.sqrt(np.pi))


def test_order_of_the_sources(table_of) -> None:
    table = table_of(lambda t: np.sin(t), sd=0.3)
    estimate = noise_floor(table)
    assert "differences" in estimate.sources["load"]
    assert "posterior" in noise_floor(table, posterior={"load": 0.01}).sources["load"]
    assert "differences" in noise_floor(table, posterior={"load": 9.0}).sources["load"]
    column = noise_floor(table.assign(noise=0.2), posterior={"load": 0.01})
    np.testing.assert_allclose(column.sigma, 0.2)
    declared = noise_floor(table.assign(noise=0.2), declared={"load": 0.4})
    np.testing.assert_allclose(declared.sigma, 0.4)
    assert declared.sources["load"] == "declared"


def test_the_noise_column_is_taken_to_the_log_scale(table_of) -> None:
    table = table_of(lambda t: np.exp(t) + 1.0)
    relative = table.assign(noise=0.01 * table["value"])
    sigma = noise_floor(relative, scale={"load": "log10"}).sigma
    np.testing.assert_allclose(sigma, 0.01 / np.log(10))
    logs = noise_floor(table.assign(noise=0.01), scale={"load": "log10"}, families={"load": "log_normal"}).sigma
    np.testing.assert_allclose(logs, 0.01 / np.log(10))


def test_a_censored_reading_has_half_the_floor_at_most(table_of) -> None:
    table = table_of(lambda t: t, limit=5.0, sd=0.1)
    floor = noise_floor(table, declared={"load": 0.1})
    censored = (table["censoring"] == "left").to_numpy()
    np.testing.assert_allclose(floor.score[censored], 0.05 / np.sqrt(np.pi))
    known = noise_floor(table, declared={"load": 0.1}, centre=table["time"].to_numpy())
    assert known.score[0] == pytest.approx(0.0, abs=1e-12)


def test_unknown_noise_is_refused(table_of) -> None:
    table = table_of(times=np.array([0.0, 1.0]))
    with pytest.raises(ProblemError, match="no way to tell the measurement noise"):
        noise_floor(table)
    with pytest.raises(ProblemError, match="declared noise is -1"):
        noise_floor(table, declared={"load": -1.0})
    with pytest.raises(ProblemError, match="not positive"):
        noise_floor(table.assign(noise=0.0))
