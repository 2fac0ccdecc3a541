"""Posteriors of intrinsic noise: against grids by the master equation and in closed form; what is drawn and refused."""

from __future__ import annotations

import birth_death
import jax
import numpy as np
import pytest
import xarray as xr
from arviz_stats import ess, mcse, rhat

from calibration import Problem, loo, sample_linear_noise, sample_pseudo_marginal
from calibration.stochastic import particle_number, pseudo_marginal
from calibration.stochastic.linear_noise import LinearNoiseLikelihood
from calibration.stochastic.particle_filter import Estimates, ParticleFilter
from calibration.stochastic.particle_number import Pilot, filter_of
from calibration.stochastic.pseudo_marginal import _Steps, _Walk, _warn
from calibration.stochastic.start import guessed_covariance, start_of
from twin.errors import ProblemError, SimulationError, TwinWarning
from twin.precision import float64
from twin.progress import Progress
from twin.study import Noise

pytestmark = pytest.mark.xdist_group("noisy_posteriors")
START, INTO, SD = 4, 5.0, 2.0
WITHIN = 4.0
"""Monte-Carlo errors by which an estimate may be off; five are compared."""


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Ten molecules, two rates to be found."""
    return birth_death.problem(start=float(START), into=INTO, sd=SD, rtol=1e-6, atol=1e-8)


def with_sd(theta: np.ndarray) -> np.ndarray:
    return np.append(theta, np.log10(SD))


def assert_moments(tree: xr.DataTree, wanted: birth_death.Moments) -> None:
    """Means, standard deviations and the correlation are those of the grid, within Monte-Carlo errors."""
    theta = tree["posterior"]["theta"]
    for index in range(2):
        values = theta.isel(entry=index)
        assert float(np.asarray(rhat(values))) < 1.03
        mean, sd = float(values.mean()), float(values.std(ddof=1))
        assert abs(mean - wanted.mean[index]) < WITHIN * float(np.asarray(mcse(values, method="mean")))
        assert abs(sd - wanted.sd[index]) < WITHIN * float(np.asarray(mcse(values, method="sd")))
    standard = (theta - wanted.mean) / wanted.sd
    product = standard.prod("entry")
    assert abs(float(product.mean()) - wanted.correlation) < WITHIN * float(np.asarray(mcse(product, method="mean")))


@pytest.mark.slow
def test_nuts_with_linear_noise_has_the_moments_of_a_grid(problem: Problem) -> None:
    likelihood = LinearNoiseLikelihood(problem)
    tree = sample_linear_noise(likelihood, seed=1, warmup=200, draws=900, quiet=True)
    exact = birth_death.moments_on_grid(
        problem, lambda theta: birth_death.by_closed_form(problem, with_sd(theta), start=START)
    )
    assert_moments(tree, exact)
    assert float(np.asarray(ess(tree["posterior"]["into"]))) > 150
    assert float(tree["sample_stats"]["diverging"].mean()) < 0.01
    terms = tree["log_density_one_ahead"]["reading"].sum("row").to_numpy()
    theta = tree["posterior"]["theta"].to_numpy()
    wanted = birth_death.by_closed_form(problem, with_sd(theta[0, 0]), start=START)
    assert terms[0, 0] == pytest.approx(wanted, rel=1e-5)
    assert "log_likelihood" not in tree.children
    with pytest.raises(ProblemError, match="one-ahead densities"):
        loo(problem, tree)
    _readings_scatter_as_the_law_says(likelihood)


def _readings_scatter_as_the_law_says(courses: LinearNoiseLikelihood | ParticleFilter) -> None:
    """Moments of immigration and death at one vector; both ways of drawing have them exactly."""
    problem, count = courses.problem, 500
    thetas = np.tile(problem.nominal, (count, 1))
    with float64():
        course, reading = map(np.asarray, courses.draw_many(thetas, jax.random.key(3))[:2])
    t = problem.measurements.table["time"].to_numpy()
    left, limit = np.exp(-0.5 * t), INTO / 0.5
    mean = START * left + limit * (1 - left)
    variance = START * left * (1 - left) + limit * (1 - left)
    assert np.all(np.abs(np.mean(course, axis=0) - mean) <= 4 * np.sqrt(variance / count) + 1e-5)
    error = np.sqrt(variance / count + SD**2 / count)
    assert np.all(np.abs(np.mean(reading, axis=0) - mean) < 4 * error)
    # The standard error of a variance is that of a nearly normal law.
    total = variance + SD**2
    assert np.all(np.abs(np.var(reading, axis=0) / total - 1) < 5 * np.sqrt(2 / count))
    # Readings of one course: those of the first subject at 1.5 and 2.0 are correlated as the death rate says.
    found = np.cov(course, rowvar=False)[2, 3]
    assert found == pytest.approx(variance[2] * np.exp(-0.25), abs=5 * variance[3] / np.sqrt(count))


@pytest.mark.slow
def test_pseudo_marginal_chains_have_the_moments_of_the_master_equation(problem: Problem) -> None:
    covariance = [[0.14, 0.19], [0.19, 0.31]]
    tree = sample_pseudo_marginal(
        problem, seed=1, start=problem.nominal, covariance=covariance, warmup=500, draws=1500, quiet=True
    )
    exact = birth_death.moments_on_grid(
        problem, lambda theta: birth_death.by_master_equation(problem, with_sd(theta), start=START, most=45)
    )
    assert_moments(tree, exact)
    assert 0.1 < tree.attrs["acceptance_rate"] < 0.6
    assert tree.attrs["failed_particles"] == 0
    assert tree["posterior_predictive"]["reading"].sizes["row"] == len(problem.measurements)
    assert np.isfinite(tree["posterior_predictive"]["reading"]).all()
    _readings_scatter_as_the_law_says(ParticleFilter(problem, 16))


@pytest.mark.slow
def test_where_linear_noise_does_not_apply_the_means_give_the_start() -> None:
    problem = birth_death.problem(start=float(START), into=INTO, sd=SD, noise=Noise("laplace", SD))
    found = start_of(problem, quiet=True)
    assert found.found_by == "means without fluctuations"
    assert found.log_posterior == pytest.approx(float(problem.log_posterior(found.theta)), abs=1e-4)
    covariance = guessed_covariance(problem, found)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    assert np.all(np.sqrt(np.diag(covariance)) < problem.upper - problem.lower)


class Noisy:
    """Estimates of a normal log-likelihood, unbiased after the exponential, as a filter's are."""

    particles, ways = 10, 10

    def __init__(self, problem: Problem, variance: float, worth: float = 0.0) -> None:
        self.problem, self.variance, self.worth, self.programs = problem, variance, worth, {}

    def log_likelihood_many(self, thetas: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise = np.sqrt(self.variance) * jax.random.normal(key, thetas.shape[:1]) - self.variance / 2
        off = (thetas - self.problem.nominal) / np.array([0.1, 0.2])
        value = -0.5 * (off**2).sum(axis=1) + noise + self.worth
        return value, jax.numpy.zeros(len(value), int)


def test_noise_of_the_estimates_leaves_the_posterior_as_it_is(problem: Problem) -> None:
    filtered = Noisy(problem, variance=1.0)
    with float64():
        walk = _Walk(filtered, np.diag([0.5, 0.02]), seed=0)  # type: ignore[arg-type]
        walk.begin(problem.nominal, chains=4)
        walk.warm_up(500, Progress("", 1, quiet=True))
        steps = walk.draw(1010, 500, Progress("", 1, quiet=True))
    assert steps.theta.shape == (4, 1010, 2)
    assert 0.1 < steps.accepted.mean() < 0.5
    for index, sd in enumerate((0.1, 0.2)):
        values = steps.theta[..., index]
        error = float(np.asarray(mcse(values, method="mean")))
        assert abs(values.mean() - problem.nominal[index]) < WITHIN * error
        assert abs(values.std() - sd) < WITHIN * float(np.asarray(mcse(values, method="sd")))


def test_chains_without_an_estimate_are_refused(problem: Problem) -> None:
    with float64():
        walk = _Walk(Noisy(problem, 1.0, worth=-np.inf), 0.1 * np.eye(2), seed=0)  # type: ignore[arg-type]
        walk.begin(problem.nominal, chains=4)
        with pytest.raises(
            SimulationError, match="4 of 4 chains found no finite estimate of the likelihood in 50 steps"
        ):
            walk.warm_up(50, Progress("", 1, quiet=True))


@pytest.mark.parametrize(("times_variance", "wanted"), [(10.0, 16), (100.0, 100), (9000.0, 9000)])
def test_the_variance_of_estimates_decides_the_particles(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, times_variance: float, wanted: int
) -> None:
    """A variance of so much over the particles; at first, fewer than all estimates are finite."""

    def pilot(filtered: ParticleFilter, theta: np.ndarray, seed: int) -> Pilot:
        return Pilot(filtered, 1.0, times_variance / filtered.particles)

    monkeypatch.setattr(particle_number, "pilot", pilot)
    found = filter_of(problem, problem.nominal, 0, method="direct", max_events=1000)
    assert found.filtered.particles == pytest.approx(wanted, rel=0.01)
    assert found.variance == pytest.approx(times_variance / wanted, rel=0.01)


def test_many_particles_are_estimated_in_parts(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def estimate(self: ParticleFilter, theta: np.ndarray, *, repeats: int, seed: int) -> Estimates:
        asked.append((repeats, seed))
        return Estimates(np.append(np.random.default_rng(seed).normal(size=repeats - 1), -np.inf), 0.0)

    monkeypatch.setattr(ParticleFilter, "estimate", estimate)
    found = particle_number.pilot(ParticleFilter(problem, 2500), problem.nominal, 1)
    assert [repeats for repeats, _ in asked] == [20, 20, 20]
    assert len({seed for _, seed in asked}) == 3
    # Two of the fifty that count are not finite; the variance is of the others.
    assert found.finite == pytest.approx(0.96)
    assert 0.4 < found.variance < 2.0


def test_too_many_particles_are_refused(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(particle_number, "pilot", lambda filtered, theta, seed: Pilot(filtered, 0.2, np.inf))
    with pytest.raises(SimulationError, match="20% of the estimates of the log-likelihood are finite"):
        filter_of(problem, problem.nominal, 0, method="direct", max_events=1000)


def test_what_is_refused(problem: Problem) -> None:
    with pytest.raises(ProblemError, match="draws is 0"):
        sample_linear_noise(problem, draws=0)
    with pytest.raises(ProblemError, match="chains is 0"):
        sample_pseudo_marginal(problem, chains=0)
    with pytest.raises(ProblemError, match=r"start has shape \(1,\)"):
        sample_pseudo_marginal(problem, start=[0.5])
    with pytest.raises(ProblemError, match="start lies outside the bounds"):
        sample_pseudo_marginal(problem, start=[9.0, 9.0])
    with pytest.raises(ProblemError, match="not positive definite"):
        sample_pseudo_marginal(problem, start=problem.nominal, covariance=[[1.0, 2.0], [2.0, 1.0]])


@pytest.mark.parametrize(("finite", "variance"), [(0.0, np.inf), (1.0, 500.0)])
def test_a_start_without_usable_estimates_is_refused(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, finite: float, variance: float
) -> None:
    monkeypatch.setattr(pseudo_marginal, "pilot", lambda filtered, theta, seed: Pilot(filtered, finite, variance))
    with pytest.raises(
        SimulationError, match=f"at the start {finite:.0%} of the estimates .* by 2 particles are finite"
    ):
        sample_pseudo_marginal(problem, start=problem.nominal, covariance=0.01 * np.eye(2), particles=2)


def test_noisy_estimates_and_failed_particles_are_warned_of(problem: Problem) -> None:
    filtered = ParticleFilter(problem, 2)
    nothing = np.zeros((4, 10))
    failed = np.full((4, 10), filtered.ways // 2)
    with (
        pytest.warns(TwinWarning, match=r"estimates of the log-likelihood have variance 3.5: above 3.3 chains stick"),
        pytest.warns(TwinWarning, match=r"0.5 of the ways of particles of 'immigration' failed"),
    ):
        _warn(Pilot(filtered, 1.0, 3.5), _Steps(nothing[..., None], nothing, nothing, nothing > 0, failed))
