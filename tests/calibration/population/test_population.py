"""Marginal likelihoods in closed form and by quadrature; estimates, shrinkage and checks of known populations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration import Problem
from calibration.population import MarginalLikelihood, PopulationFit, fit_population, predictive_check
from twin.errors import ProblemError, SimulationError
from twin.model import Model, Observable, Parameter, State
from twin.precision import float64
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.5, 1.0, 2.0, 4.0])
SUBJECTS, MEAN, SPREAD, NOISE = 40, 2.0, 0.6, 0.3
HALF = Prior("half_normal", scale=1.0)

pytestmark = pytest.mark.xdist_group("population")  # one process fits


def table_of(values: np.ndarray) -> pd.DataFrame:
    """Readings [subject, time] as a table."""
    rows = [
        ("default", str(subject), "y", time, value, np.nan, "")
        for subject, row in enumerate(values, start=1)
        for time, value in zip(TIMES, row, strict=True)
    ]
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    return pd.DataFrame(rows, columns=columns)


def model(rate: str) -> Model:
    """x(0) = A, x' = rate."""
    return Model(
        "course",
        [State("x", "A")],
        [Parameter("A", 1.0), Parameter("k", 0.5)],
        odes={"x": rate},
        observables=[Observable("y", "x")],
    )


@pytest.fixture(scope="module")
def levels() -> np.ndarray:
    """Readings around a level of each subject."""
    rng = np.random.default_rng(3)
    return MEAN + SPREAD * rng.normal(size=(SUBJECTS, 1)) + NOISE * rng.normal(size=(SUBJECTS, len(TIMES)))


@pytest.fixture(scope="module")
def linear(levels: np.ndarray) -> Problem:
    """The level of each subject is normal: everything has a closed form."""
    estimates = [
        Estimate("A", -10.0, 10.0, scale="lin", per="subject", between=HALF, nominal=1.0),
        Estimate("sd", 0.01, 5.0, scale="log", nominal=0.5),
    ]
    return Problem(model("0 * k"), table_of(levels), estimates, Noise("normal", "sd"))


def exact(levels: np.ndarray, mean: float, spread: float, noise: float) -> float:
    """Negative log of the marginal likelihood of levels."""
    count = levels.shape[1]
    covariance = noise**2 * np.eye(count) + spread**2
    return -float(stats.multivariate_normal(np.full(count, mean), covariance).logpdf(levels).sum())


@pytest.fixture(scope="module")
def fitted(linear: Problem) -> PopulationFit:
    return fit_population(linear, starts=2, quiet=True)


def test_a_linear_model_has_its_closed_form(linear: Problem, levels: np.ndarray) -> None:
    likelihood = MarginalLikelihood(linear)
    assert likelihood.names == ("A", "A_between", "sd")
    for mean, spread, noise in ((1.0, 0.5, 0.5), (2.3, 0.1, 0.4), (2.0, 2.0, 0.2)):
        with float64():
            theta = np.array([mean, spread, np.log(noise)])
            value, gradient, modes = likelihood.value_and_gradient(theta, np.zeros(SUBJECTS))
        assert modes.found.all()
        assert value == pytest.approx(exact(levels, mean, spread, noise), rel=1e-9)
        step = 1e-5
        slope = [
            (exact(levels, *_linear(theta + step * unit)) - exact(levels, *_linear(theta - step * unit))) / (2 * step)
            for unit in np.eye(3)
        ]
        np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-3)


def _linear(theta: np.ndarray) -> tuple[float, float, float]:
    return theta[0], theta[1], float(np.exp(theta[2]))


def test_the_maximum_and_its_errors(fitted: PopulationFit, levels: np.ndarray) -> None:
    """Balanced one-way analysis of variance: the maximum has a closed form (Searle, Casella & McCulloch 1992, 3.7)."""
    count = len(TIMES)
    within = levels.var(axis=1).sum() / (SUBJECTS * (count - 1) / count)
    between = levels.mean(axis=1).var() - within / count
    table = fitted.table
    assert fitted.converged
    assert table.loc["A", "estimate"] == pytest.approx(levels.mean(), abs=1e-4)
    assert table.loc["A_between", "estimate"] == pytest.approx(np.sqrt(between), rel=1e-3)
    assert table.loc["sd", "estimate"] == pytest.approx(np.sqrt(within), rel=1e-3)
    assert table.loc["A", "se"] == pytest.approx(np.sqrt((between + within / count) / SUBJECTS), rel=1e-3)
    assert table.loc["sd", "rse"] == pytest.approx(100 / np.sqrt(2 * SUBJECTS * (count - 1)), rel=1e-2)
    assert fitted.nllh[0] == pytest.approx(fitted.nllh[-1], abs=1e-5)


def test_individuals_are_shrunken_means(fitted: PopulationFit, levels: np.ndarray) -> None:
    """Best linear unbiased predictions: the mean of a subject, drawn towards that of all."""
    mean, spread, noise = fitted.table["estimate"]
    weight = spread**2 / (spread**2 + noise**2 / len(TIMES))
    expected = mean + weight * (levels.mean(axis=1) - mean)
    np.testing.assert_allclose(fitted.individuals["A"], expected, rtol=1e-6)
    assert fitted.individuals.index.tolist() == [str(i) for i in range(1, SUBJECTS + 1)]
    assert fitted.shrinkage["A"] == pytest.approx(1 - np.sqrt(weight), abs=1e-3)
    assert fitted.eta_sd == pytest.approx(np.full(SUBJECTS, np.sqrt(1 - weight)), rel=1e-6)


def test_a_decay_against_quadrature() -> None:
    """Rates that vary: Laplace's approximation is within 0.02 per subject of a sum over a fine grid of deviations."""
    rng = np.random.default_rng(5)
    rates = 0.5 * np.exp(0.3 * rng.normal(size=8))
    values = 3.0 * np.exp(-rates[:, None] * TIMES) + 0.05 * rng.normal(size=(8, len(TIMES)))
    estimates = [
        Estimate("k", 0.05, 5.0, scale="log", per="subject", between=HALF, nominal=0.5),
        Estimate("sd", 0.01, 5.0, scale="log", nominal=0.05),
    ]
    problem = Problem(model("-k * x"), table_of(values), estimates, Noise("normal", "sd"), fixed={"A": 3.0})
    likelihood = MarginalLikelihood(problem)
    theta = np.array([np.log(0.5), 0.3, np.log(0.05)])
    grid = np.linspace(-7.0, 7.0, 7001)
    rate = 0.5 * np.exp(0.3 * grid)
    each = stats.norm(3.0 * np.exp(-rate[:, None, None] * TIMES), 0.05).pdf(values).prod(axis=2)  # [node, subject]
    by_quadrature = -np.log(np.trapezoid(each * stats.norm.pdf(grid)[:, None], grid, axis=0)).sum()
    with float64():
        value, _, _ = likelihood.value_and_gradient(theta, np.zeros(8))
    assert value == pytest.approx(by_quadrature, abs=0.02 * 8)


def test_a_predictive_check_sees_a_wrong_spread(fitted: PopulationFit, linear: Problem) -> None:
    right = predictive_check(fitted, studies=200)
    assert (right.tests() > 0.01).all()
    middle = right.bins[right.bins["percentile"] == 50.0]
    assert ((middle["lower"] <= middle["observed"]) & (middle["observed"] <= middle["upper"])).mean() >= 0.75
    narrow = fitted.theta.copy()
    narrow[1] = 0.2 * SPREAD
    wrong = PopulationFit(
        fitted.likelihood, narrow, fitted.nllh, fitted.covariance, fitted.eta, fitted.eta_sd, fitted.converged
    )
    assert predictive_check(wrong, studies=200).tests()["variance"] < 1e-3


def test_the_picture(fitted: PopulationFit, tmp_path) -> None:
    figure = predictive_check(fitted, studies=40).plot(tmp_path / "check.png")
    assert (tmp_path / "check.png").stat().st_size > 10_000
    assert [panel.get_ylabel() for panel in figure.axes] == ["y (dimensionless)", "prediction error (npde)"]


def test_what_is_refused(linear: Problem, fitted: PopulationFit, levels: np.ndarray) -> None:
    shared = [Estimate("A", -10.0, 10.0, scale="lin", nominal=1.0), Estimate("sd", 0.01, 5.0, nominal=0.5)]
    with pytest.raises(ProblemError, match="no parameter varies around a typical value"):
        MarginalLikelihood(Problem(model("0 * k"), table_of(levels), shared, Noise("normal", "sd")))
    with pytest.raises(ProblemError, match="there are 3 studies"):
        predictive_check(fitted, studies=3)


def test_starts_that_cannot_be_integrated_are_an_error(levels: np.ndarray) -> None:
    estimates = [
        Estimate("A", 5.0, 10.0, scale="lin", per="subject", between=0.1, nominal=6.0),
        Estimate("sd", 0.01, 5.0, scale="log", nominal=0.5),
    ]
    problem = Problem(model("x^2"), table_of(levels[:2]), estimates, Noise("normal", "sd"))
    with pytest.raises(SimulationError, match="none of 2 starts could be integrated"):
        fit_population(problem, starts=2, quiet=True)
