"""The posterior of the Langevin equation with its path: moments of paths, gradients, grids of other likelihoods."""

from __future__ import annotations

import birth_death
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.problem import Problem
from calibration.stochastic.langevin_path import LangevinPath
from calibration.stochastic.langevin_posterior import _default_step, _warn_of_few, sample_langevin
from calibration.stochastic.start import Start
from twin.errors import ProblemError, TwinWarning, UnsupportedModelError
from twin.precision import float64, in_float64

pytestmark = pytest.mark.xdist_group("langevin_posterior")
MANY, SD = 200.0, 10.0


@pytest.fixture(scope="module")
def problem() -> Problem:
    return birth_death.problem(start=MANY, into=MANY, sd=SD, rtol=1e-6, atol=1e-8)


def test_paths_have_the_moments_of_the_process(problem: Problem) -> None:
    path, count = LangevinPath(problem, 0.02), 2000
    with float64():
        course, reading = map(
            np.asarray, jax.jit(path.draw_many)(np.tile(problem.nominal, (count, 1)), jax.random.key(1))
        )
    t = problem.measurements.table["time"].to_numpy()
    left, limit = np.exp(-0.5 * t), MANY / 0.5
    mean, variance = MANY * left + limit * (1 - left), MANY * left * (1 - left) + limit * (1 - left)
    # Steps of a hundredth of the time constant are wrong by half of that.
    assert (np.abs(course.mean(axis=0) - mean) <= 4 * np.sqrt(variance / count) + 0.005 * mean).all()
    total = variance + SD**2
    assert (np.abs(reading.var(axis=0) / total - 1) < 4 * np.sqrt(2 / count) + 0.01).all()
    # Two readings of the second subject at one time are of one path.
    same = np.flatnonzero(problem.measurements.table["subject"] == "2")[1:]
    np.testing.assert_array_equal(course[:, same[0]], course[:, same[1]])


def test_without_noise_a_path_is_eulers_and_with_a_state_at_zero_the_gradient_is_finite() -> None:
    problem = birth_death.problem(start=0.0, into=0.5, sd=1.0)
    path = LangevinPath(problem, 0.1)
    with float64():
        theta = jnp.asarray(problem.nominal)
        prediction = path._prediction(theta[None], jnp.zeros((1, path.size)))
        y, euler = 0.0, {0.0: 0.0}
        for step in range(1, 21):
            y += 0.1 * (0.5 - 0.5 * y)
            euler[round(0.1 * step, 1)] = y
        # The second subject's intervals are the longest; those of the first have as many steps, some of them shorter.
        second = problem.measurements.table["subject"] == "2"
        wanted = [euler[t] for t in problem.measurements.table["time"][second]]
        np.testing.assert_allclose(prediction.value[0][second.to_numpy()], wanted, rtol=1e-10)
        # Increments that keep the state below zero for long: nothing dies then.
        z = jnp.asarray(np.random.default_rng(1).normal(-0.5, 1.0, path.size))
        both = jax.grad(lambda x, z: path.log_likelihood(x[None], z[None])[0], argnums=(0, 1))
        slope, of_z = both(theta, z)
        assert np.isfinite(slope).all()
        assert np.isfinite(of_z).all()
        value = lambda x: float(path.log_likelihood(x[None], z[None])[0])  # noqa: E731
        steps = 1e-6 * np.eye(2)
        np.testing.assert_allclose(slope, [(value(theta + s) - value(theta - s)) / 2e-6 for s in steps], rtol=1e-4)


def test_the_step_is_a_share_of_the_time_constant(problem: Problem) -> None:
    with float64():
        # Deaths at 0.5 per time: 2; the shortest series is shorter than that.
        start = Start(problem.nominal, 0.0, np.eye(2), "")
        assert _default_step(problem, start) == pytest.approx(2.0 / 20)


def test_what_is_refused_and_warned_of(problem: Problem) -> None:
    with pytest.raises(ProblemError, match="dt is 0"):
        LangevinPath(problem, 0.0)
    with pytest.raises(ProblemError, match="there are 22000 increments: 5500 steps, 2 reactions, 2 series"):
        LangevinPath(problem, 0.001)
    with pytest.raises(UnsupportedModelError, match="decides what a reaction changes"):
        LangevinPath(birth_death.problem_in_a_cell(), 0.1)
    with pytest.raises(ProblemError, match="draws is 0"):
        sample_langevin(problem, draws=0)
    few = birth_death.problem(start=4.0, into=5.0, sd=2.0)
    with pytest.warns(TwinWarning, match="X of 'immigration' counts fewer than 10 molecules"):
        in_float64(_warn_of_few)(few, few.nominal[None, None])


@pytest.mark.slow
def test_many_molecules_have_the_posterior_of_linear_noise(problem: Problem) -> None:
    from test_noisy_posteriors import assert_moments

    tree = sample_langevin(problem, seed=1, dt=0.05, warmup=400, draws=500, quiet=True)
    wanted = birth_death.moments_on_grid(
        problem, lambda theta: birth_death.by_closed_form(problem, np.append(theta, np.log10(SD)), start=MANY), cells=81
    )
    assert_moments(tree, wanted)
    assert tree.attrs["increments"] == 110 * 2 * 2  # steps to the last reading at 5.5, reactions, series
    assert float(tree["sample_stats"]["diverging"].mean()) < 0.01
    assert np.isfinite(tree["posterior_predictive"]["reading"]).all()


@pytest.mark.slow
def test_tens_of_molecules_have_the_posterior_of_the_master_equation() -> None:
    from test_noisy_posteriors import assert_moments

    problem = birth_death.problem(start=20.0, into=20.0, sd=2.0, rtol=1e-6, atol=1e-8)
    tree = sample_langevin(problem, seed=1, dt=0.05, warmup=400, draws=1500, quiet=True)
    wanted = birth_death.moments_on_grid(
        problem, lambda theta: birth_death.by_master_equation(problem, np.append(theta, np.log10(2.0)), 20, most=110)
    )
    assert_moments(tree, wanted)
