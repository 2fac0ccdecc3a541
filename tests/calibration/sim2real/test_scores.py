"""Scores against closed forms, their propriety under censoring, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from scipy.stats import kstest, norm

from calibration.sim2real.scale import detection_limits
from calibration.sim2real.scores import elpd, energy_scores, score_readings, summarise_scores
from twin.errors import ProblemError


def test_crps_of_normal_draws_matches_the_closed_form(table_of) -> None:
    rows = table_of(times=np.linspace(-3.0, 3.0, 7))
    draws = np.random.default_rng(1).normal(0.5, 2.0, (20_000, 7))
    scores = score_readings(rows, draws)
    expected = scoringrules.crps_normal(rows["value"].to_numpy(), 0.5, 2.0)
    # Monte-Carlo error of a mean of |x - X| over 20,000 draws of sd 2: below 2 * 2 / sqrt(20,000) twice over.
    np.testing.assert_allclose(scores["crps"], expected, atol=4 * 2.0 / np.sqrt(20_000))
    np.testing.assert_allclose(scores["lower_90"], 0.5 - 2 * norm.ppf(0.95), atol=0.1)


def test_crps_is_the_fair_estimator_so_few_draws_are_no_handicap(table_of) -> None:
    rng = np.random.default_rng(2)
    rows = table_of(times=np.arange(4000.0)).assign(value=rng.standard_normal(4000))
    draws = rng.standard_normal((8, 4000))
    few = score_readings(rows, draws)["crps"]
    value = rows["value"].to_numpy()
    fair = scoringrules.crps_ensemble(value, draws.T, estimator="fair", backend="numpy")
    np.testing.assert_allclose(few, fair, rtol=1e-9, atol=1e-12)
    # Expected CRPS of the perfect normal forecast is 1 / sqrt(pi), for any number of draws.
    assert abs(few.mean() - 1 / np.sqrt(np.pi)) < 4 * few.std() / np.sqrt(4000)


def test_a_perfect_forecaster_is_calibrated_with_and_without_censoring(table_of) -> None:
    n, rng = 3000, np.random.default_rng(3)
    for limit in (None, 0.2):
        truth = rng.standard_normal(n)
        rows = table_of(times=np.arange(float(n))).assign(value=truth)
        if limit is not None:
            rows.loc[truth < limit, ["value", "censoring"]] = [limit, "left"]
        scores = score_readings(rows, rng.standard_normal((200, n)))
        for level in (50, 90):
            # Binomial error of a proportion; fractions scatter less.
            assert abs(scores[f"coverage_{level}"].mean() - level / 100) < 4 * 0.5 / np.sqrt(n)
        assert kstest(scores["pit"], "uniform").pvalue > 1e-3
        assert scores["coverage_50"].between(0, 1).all()


def test_overconfidence_and_bias_show(table_of) -> None:
    rng = np.random.default_rng(4)
    rows = table_of(times=np.arange(400.0)).assign(value=rng.standard_normal(400))
    right = score_readings(rows, rng.standard_normal((500, 400)))
    narrow = score_readings(rows, 0.2 * rng.standard_normal((500, 400)))
    shifted = score_readings(rows, 1.5 + rng.standard_normal((500, 400)))
    assert narrow["coverage_90"].mean() < 0.5
    assert kstest(narrow["pit"], "uniform").pvalue < 1e-6
    for worse in (narrow, shifted):
        assert worse["crps"].mean() > right["crps"].mean()
        assert worse["interval_score_90"].mean() > right["interval_score_90"].mean()


@pytest.mark.parametrize("wrong", [(0.8, 1.0), (-0.8, 1.0), (0.0, 0.4), (0.0, 2.5)])
def test_censored_scores_are_proper(table_of, wrong: tuple[float, float]) -> None:
    """The true law has the best mean score, though 62 % of the readings are below the limit."""
    n, limit = 4000, 0.3
    truth = np.random.default_rng(5).standard_normal(n)
    rows = table_of(times=np.arange(float(n))).assign(value=np.maximum(truth, limit))
    rows["censoring"] = np.where(truth < limit, "left", "")
    common = np.random.default_rng(6).standard_normal((300, n))
    right = score_readings(rows, common)
    other = score_readings(rows, wrong[0] + wrong[1] * common)
    for score in ("crps", "interval_score_90"):
        difference = (other[score] - right[score]).to_numpy()
        assert difference.mean() > 2 * difference.std() / np.sqrt(n)


def test_the_limit_holds_for_every_reading_of_the_observable(table_of) -> None:
    table = table_of(lambda t: 5.0 - t, limit=1.0)
    other = table_of().assign(observable="other")
    limits = detection_limits(table)
    assert np.all(limits == 1.0)
    assert np.all(detection_limits(other) == -np.inf)
    # A forecast below the limit is right about a censored reading wherever exactly it lies.
    censored = table.loc[table["censoring"] == "left"]
    scores = score_readings(censored, np.full((10, len(censored)), -50.0), limits=limits[censored.index])
    np.testing.assert_array_equal(scores["crps"], 0.0)
    assert scores["coverage_90"].to_numpy() == pytest.approx(0.9)


def test_log_scale_and_natural_scale_agree(table_of) -> None:
    rows = table_of(lambda t: 10.0 ** (t / 3.0), limit=5.0)
    logs = np.random.default_rng(7).normal(1.5, 1.0, (100, len(rows)))
    natural = score_readings(rows, 10.0**logs, scale={"load": "log10"})
    direct = score_readings(rows, logs, scale={"load": "log10"}, on_score_scale=True)
    np.testing.assert_allclose(natural["crps"], direct["crps"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(natural["limit"], np.log10(5.0))


def test_elpd_is_the_log_of_the_mean_likelihood() -> None:
    density = np.array([[0.2, 0.0], [0.4, 0.5]])
    with np.errstate(divide="ignore"):
        result = elpd(np.log(density), 2)
    np.testing.assert_allclose(result, np.log([0.3, 0.25]))


def test_summary_means_and_sums(table_of) -> None:
    rows = table_of(subjects=2, limit=1.0)
    draws = np.random.default_rng(8).normal(5, 3, (50, len(rows)))
    scores = score_readings(rows, draws, log_likelihood=np.full((50, len(rows)), -1.0))
    total = summarise_scores(scores)
    assert total.loc[0, "readings"] == len(rows)
    assert total.loc[0, "elpd"] == pytest.approx(-len(rows))
    assert total.loc[0, "censored"] == int((rows["censoring"] == "left").sum())
    by = summarise_scores(scores, by=["subject"])
    assert list(by["subject"]) == ["1", "2"]
    assert by["crps"].mean() == pytest.approx(total.loc[0, "crps"])
    assert summarise_scores(score_readings(rows, draws))["elpd"].isna().all()


def test_what_cannot_be_scored_is_refused(table_of) -> None:
    rows = table_of(lambda t: t + 1.0)
    good = np.ones((5, len(rows)))
    with pytest.raises(ProblemError, match="shape"):
        score_readings(rows, good[:, 1:])
    with pytest.raises(ProblemError, match="two draws or more"):
        score_readings(rows, good[:1])
    with pytest.raises(ProblemError, match="not finite"):
        score_readings(rows, good * np.nan)
    with pytest.raises(ProblemError, match="not positive"):
        score_readings(rows, -good, scale={"load": "log10"})
    with pytest.raises(ProblemError, match="'lin' or 'log10'"):
        score_readings(rows, good, scale={"load": "sqrt"})
    with pytest.raises(ProblemError, match="one column per reading"):
        score_readings(rows, good, log_likelihood=good[:, 1:])
    with pytest.raises(ProblemError, match="NaN"):
        elpd(np.array([[np.nan]]), 1)


def test_the_energy_score_of_one_reading_is_its_crps(table_of) -> None:
    rows = table_of(times=np.array([0.0]), subjects=3)
    draws = np.random.default_rng(4).normal(1.0, 2.0, (300, 3))
    np.testing.assert_allclose(energy_scores(rows, draws), score_readings(rows, draws)["crps"], rtol=1e-9)


def test_the_energy_score_sees_that_readings_hang_together(table_of) -> None:
    """Means and spreads are right in both forecasts; only one knows that the two readings of a series move as one."""
    rng, series = np.random.default_rng(6), 400
    rows = table_of(times=np.array([0.0, 1.0]), subjects=series)
    rows["value"] = np.repeat(rng.standard_normal(series), 2)
    joint = np.repeat(rng.standard_normal((200, series)), 2, axis=1)
    apart = rng.standard_normal((200, 2 * series))
    difference = (energy_scores(rows, apart) - energy_scores(rows, joint))[::2]
    assert difference.mean() > 4 * difference.std() / np.sqrt(series) > 0.0
    crps = score_readings(rows, apart)["crps"] - score_readings(rows, joint)["crps"]
    assert abs(crps.mean()) < difference.mean() / 3
