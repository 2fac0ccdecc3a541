"""The discrepancy given readings: its course and predictions with it, against the same algebra in NumPy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import calibration
import twin
from calibration.discrepancy.likelihood import MarginalLikelihood
from calibration.discrepancy.posterior import Discrepancy
from calibration.discrepancy.prediction import predict_with_discrepancy
from twin.errors import ProblemError

pytestmark = [pytest.mark.xdist_group("discrepancy"), pytest.mark.slow]

TIMES = np.linspace(0.0, 10.0, 12)
SIGMA, AMPLITUDE, LENGTH, DRAWS = 0.1, 2.0, 2.0, 1000


def two_subjects(family: str) -> calibration.Problem:
    """First-order decay of two subjects, the first of which waves."""
    model = twin.Model(
        "decay",
        [twin.State("A", 3.0)],
        parameters=[twin.Parameter("k", 0.2)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    rng, parts = np.random.default_rng(3), []
    for subject, wave in (("1", 3.0), ("2", 0.0)):
        away = SIGMA * (wave * np.sin(TIMES) + rng.normal(size=len(TIMES)))
        exact = 3 * np.exp(-0.2 * TIMES)
        value = exact * np.exp(away) if family == "log_normal" else exact + away
        parts.append(pd.DataFrame({"subject": subject, "time": TIMES, "value": value}))
    table = pd.concat(parts, ignore_index=True).assign(experiment="e", observable="y", noise=np.nan, censoring="")
    return calibration.Problem(
        model, table, [twin.Estimate("k", 0.02, 2.0), twin.Estimate("sd", 0.01, 2.0)], twin.Noise(family, "sd")
    )


@pytest.fixture(scope="module", params=["normal", "log_normal"])
def problem(request) -> calibration.Problem:
    return two_subjects(request.param)


def known(problem: calibration.Problem, shared: bool) -> Discrepancy:
    """A posterior that knows everything: all draws are the same."""
    theta = np.broadcast_to(np.log10([0.2, SIGMA]), (1, DRAWS, 2))
    amplitude, length = (np.full((1, DRAWS, 1), x) for x in (AMPLITUDE, LENGTH))
    return Discrepancy(MarginalLikelihood(problem, shared=shared), theta, amplitude, length, 0)


def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    scaled = np.sqrt(5) * np.abs(one[:, None] - other) / LENGTH
    return AMPLITUDE**2 * (1 + scaled + scaled**2 / 3) * np.exp(-scaled)


def expected(residual: np.ndarray, read: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the process at `at`."""
    gain = np.linalg.solve(kernel(read, read) + np.eye(len(read)), kernel(read, at)).T
    return gain @ residual, AMPLITUDE**2 - np.sum(gain * kernel(at, read), axis=1)


def residuals(problem: calibration.Problem) -> np.ndarray:
    table, exact = problem.measurements.table, 3 * np.exp(-0.2 * np.tile(TIMES, 2))
    value = table["value"].to_numpy()
    positive = problem.noise_models["y"].positive
    return (np.log(value) - np.log(exact) if positive else value - exact) / SIGMA


def monte_carlo(draws: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> None:
    """Mean and variance of draws agree within five standard errors."""
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 5 * np.sqrt(variance / len(draws)) + 1e-4)
    assert np.all(np.abs(draws.var(axis=0) / variance - 1) < 5 * np.sqrt(2 / len(draws)))


def test_course_of_each_series_and_of_all(problem):
    at, away = np.array([0.5, 4.2, 13.0]), residuals(problem)
    own, shared = known(problem, shared=False), known(problem, shared=True)
    for subject, rows in (("1", slice(0, 12)), ("2", slice(12, 24))):
        draws = own.course(at, "y", ("e", subject), draws=DRAWS)
        monte_carlo(draws, *expected(away[rows], TIMES, at))
    monte_carlo(shared.course(at, "y", draws=DRAWS), *expected(away, np.tile(TIMES, 2), at))


def test_predictions_of_rows_that_were_not_used():
    problem = two_subjects("normal")
    train = (problem.measurements.table["subject"] == "1") | (problem.measurements.table["time"] < 5)
    train = train.to_numpy()
    away, times, own = residuals(problem), np.tile(TIMES, 2), np.arange(24) >= 12
    found = known(problem.with_rows(train), shared=False)
    predicted = predict_with_discrepancy(found, problem, train, seed=1)
    assert predicted.ok.all()
    mean, left = expected(away[train & own], times[train & own], times[~train])
    exact = 3 * np.exp(-0.2 * times[~train])
    positive = problem.noise_models["y"].positive
    drawn = predicted.reading[:, ~train]
    standard = ((np.log(drawn) - np.log(exact)) if positive else (drawn - exact)) / SIGMA
    monte_carlo(standard, mean, 1 + left)
    density = norm.logpdf(away[~train], mean, np.sqrt(1 + left)) - np.log(SIGMA)
    if positive:
        density -= np.log(problem.bindings.value[~train])
    np.testing.assert_allclose(predicted.log_likelihood[0, ~train], density, rtol=1e-3)
    with pytest.raises(ProblemError, match="24 training rows, but the discrepancy was sampled on"):
        predict_with_discrepancy(found, problem, np.ones(24, dtype=bool))
