"""Noise in the states: the likelihood and the courses in closed form, sizes that are found, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import twin
from calibration import Problem
from calibration.discrepancy import sample_diffusion
from calibration.discrepancy.diffusion import MEAN, Diffusion, size_name
from calibration.stochastic.linear_noise import LinearNoiseLikelihood
from calibration.stochastic.smoother import draw_courses
from twin.errors import ProblemError, UnsupportedModelError
from twin.precision import float64

pytestmark = pytest.mark.xdist_group("diffusion")

TIMES = np.array([0.5, 1.0, 2.5, 4.0, 6.0, 9.0])
RATE, SD, SIZE = 0.3, 0.1, 0.2


def growth(
    courses: int = 1, size: float = SIZE, seed: int = 0, times: np.ndarray = TIMES, widened: bool = False
) -> Problem:
    """Exponential growth whose logarithm also wanders as a Brownian motion, read with log-normal noise."""
    rng = np.random.default_rng(seed)
    tables = []
    for subject in range(courses):
        steps = rng.normal(size=len(times)) * np.sqrt(np.diff(times, prepend=0.0))
        logarithm = RATE * times + size * np.cumsum(steps) + SD * rng.normal(size=len(times))
        tables.append(pd.DataFrame({"subject": str(subject), "time": times, "value": 5 * np.exp(logarithm)}))
    table = pd.concat(tables, ignore_index=True).assign(experiment="e", observable="y", noise=np.nan, censoring="")
    parameters = [twin.Parameter("k", RATE)] + [twin.Parameter("s", SIZE)] * widened
    model = twin.Model(
        "growth", [twin.State("X", 5.0)], parameters, odes={"X": "k * X"}, observables=[twin.Observable("y", "X")]
    )
    estimates = [twin.Estimate("k", 0.03, 3.0), twin.Estimate("sd", 0.01, 1.0, nominal=SD)]
    estimates += [twin.Estimate("s", 0.002, 2.0)] * widened
    return Problem(model, table, estimates, twin.Noise("log_normal", "sd"), rtol=1e-9, atol=1e-11)


@pytest.fixture(scope="module")
def likelihood() -> LinearNoiseLikelihood:
    return LinearNoiseLikelihood(growth(courses=2, widened=True), {"X": "s"})


def covariances(rate: float, sd: float, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the logarithms, covariance of the wandering, and of the readings."""
    wandering = size**2 * np.minimum(TIMES[:, None], TIMES)
    return np.log(5) + rate * TIMES, wandering, wandering + sd**2 * np.eye(len(TIMES))


def test_readings_of_growth_that_wanders_are_normal_in_their_logarithms(likelihood: LinearNoiseLikelihood) -> None:
    for change in (np.zeros(3), np.array([0.1, -0.2, 0.3])):
        theta = likelihood.problem.nominal + change
        mean, _, covariance = covariances(*10**theta)
        logarithms = np.log(likelihood.problem.bindings.value).reshape(2, -1)
        wanted = stats.multivariate_normal(mean, covariance).logpdf(logarithms).sum() - logarithms.sum()
        assert float(likelihood.log_likelihood(theta)) == pytest.approx(wanted, rel=1e-7)


def test_drawn_courses_have_their_law_given_the_readings(likelihood: LinearNoiseLikelihood) -> None:
    draws = 4000
    theta = likelihood.problem.nominal
    found = draw_courses(likelihood, np.tile(theta, (draws, 1)), 1, seed=3)
    np.testing.assert_array_equal(found.time, TIMES)
    np.testing.assert_allclose(found.mean[0, :, 0], 5 * np.exp(RATE * TIMES), rtol=1e-6)
    relative = found.deviation[..., 0] / found.mean[..., 0]
    mean, wandering, covariance = covariances(RATE, SD, SIZE)
    off = np.log(likelihood.problem.bindings.value).reshape(2, -1)[1] - mean
    gain = wandering @ np.linalg.inv(covariance)
    left = wandering - gain @ wandering
    sd = np.sqrt(np.diag(left))
    np.testing.assert_allclose((relative.mean(axis=0) - gain @ off) / sd, 0, atol=4 / np.sqrt(draws))
    np.testing.assert_allclose(np.cov(relative.T) / np.outer(sd, sd), left / np.outer(sd, sd), atol=6 / np.sqrt(draws))


def test_readings_of_drawn_courses_have_the_same_law(likelihood: LinearNoiseLikelihood) -> None:
    import jax

    draws = 4000
    with float64():
        thetas = np.tile(likelihood.problem.nominal, (draws, 1))
        _, reading, _ = likelihood.draw_many(thetas, jax.random.key(1))
    mean, _, covariance = covariances(RATE, SD, SIZE)
    logarithms = np.log(np.asarray(reading))[:, : len(TIMES)]
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((logarithms.mean(axis=0) - mean) / sd, 0, atol=4 / np.sqrt(draws))
    seen = np.cov(logarithms.T) / np.outer(sd, sd)
    np.testing.assert_allclose(seen, covariance / np.outer(sd, sd), atol=6 / np.sqrt(draws))


@pytest.fixture(scope="module")
def found() -> Diffusion:
    problem = growth(courses=4, times=np.linspace(0.75, 9.0, 12))
    return sample_diffusion(problem, chains=2, warmup=200, draws=300, starts=4, quiet=True)


@pytest.mark.slow
def test_a_known_size_is_found_within_its_interval(found: Diffusion) -> None:
    row = found.table().iloc[0]
    assert row["state"] == "X" and row["r_hat"] < 1.05 and found.diverging < 10
    assert row["lower"] < SIZE * 3 < row["upper"] < 3 * SIZE * 2
    assert row["flagged"] and row["practical"] > 0.99
    time, course = found.course("X", ("e", "2"), draws=100)
    assert course.shape == (100, len(time)) and np.isfinite(course).all()
    # The course behind the third series' readings: growth and the Brownian motion that was drawn for it.
    rng = np.random.default_rng(0)
    for _ in range(3):
        truth = RATE * time + SIZE * np.cumsum(rng.normal(size=len(time)) * np.sqrt(np.diff(time, prepend=0.0)))
        rng.normal(size=len(time))
    drawn = draw_courses(found.likelihood, found.theta.reshape(-1, 3), 2)
    logarithm = np.log(drawn.mean[..., 0] / 5) + drawn.deviation[..., 0] / drawn.mean[..., 0]
    np.testing.assert_allclose((logarithm.mean(axis=0) - truth) / logarithm.std(axis=0), 0, atol=3.5)
    with pytest.raises(ProblemError, match="no state 'Y'"):
        found.course("Y")
    with pytest.raises(ProblemError, match="no series"):
        found.course("X", ("e", "9"))


@pytest.mark.slow
def test_nothing_is_found_where_the_mechanism_is_right() -> None:
    problem = growth(courses=4, size=0.0, times=np.linspace(0.75, 9.0, 12))
    row = sample_diffusion(problem, chains=2, warmup=200, draws=300, starts=4, quiet=True).table().iloc[0]
    assert row["upper"] < MEAN / 2 and not row["flagged"]


def test_what_is_refused() -> None:
    with pytest.raises(ProblemError, match="no state 'Y'"):
        sample_diffusion(growth(), ["Y"])
    with pytest.raises(ProblemError, match="no state is named"):
        sample_diffusion(growth(), [])
    with pytest.raises(ProblemError, match="fewer than three times"):
        sample_diffusion(growth(times=np.array([1.0, 2.0])))
    moved = growth()
    dosed = moved.rebuilt(experiments={"e": twin.Experiment(doses=(twin.Bolus("X", 1.0, 1.0),))})
    with pytest.raises(UnsupportedModelError, match="there are doses"):
        sample_diffusion(dosed)
    driven = twin.Model(
        "driven",
        [twin.State("X", 5.0)],
        [twin.Parameter("k", RATE)],
        odes={"X": "k * X * time"},
        observables=[twin.Observable("y", "X")],
    )
    with pytest.raises(UnsupportedModelError, match="depends on time"):
        sample_diffusion(moved.rebuilt(model=driven))
    named = twin.Model(
        "named",
        [twin.State("X", 5.0)],
        [twin.Parameter("k", RATE), twin.Parameter(size_name("X"), 1.0)],
        odes={"X": "k * X"},
        observables=[twin.Observable("y", "X")],
    )
    with pytest.raises(ProblemError, match="is taken"):
        sample_diffusion(moved.rebuilt(model=named))
