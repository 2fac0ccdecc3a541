"""The linear noise likelihood: closed form, finite differences, batches, refusals."""

from __future__ import annotations

import birth_death
import jax
import numpy as np
import pytest

from calibration.problem import Problem
from calibration.stochastic.linear_noise import LinearNoiseLikelihood
from twin.errors import ProblemError, UnsupportedModelError
from twin.experiment import Bolus, Experiment
from twin.study import Noise

pytestmark = pytest.mark.xdist_group("linear_noise_likelihood")


@pytest.fixture(scope="module")
def problem() -> Problem:
    return birth_death.problem()


@pytest.fixture(scope="module")
def likelihood(problem: Problem) -> LinearNoiseLikelihood:
    return LinearNoiseLikelihood(problem)


def test_closed_form_and_finite_differences(likelihood: LinearNoiseLikelihood, problem: Problem) -> None:
    thetas = problem.nominal + np.array([[0.0, 0.0, 0.0], [0.2, -0.1, 0.3], [-0.3, 0.2, -0.2]])
    values, slopes = likelihood.log_likelihood_and_gradient_many(thetas)
    wanted = [birth_death.by_closed_form(problem, theta) for theta in thetas]
    np.testing.assert_allclose(values, wanted, rtol=1e-6)
    for theta, slope in zip(thetas, slopes, strict=True):
        steps = 1e-5 * np.eye(3)
        both = [[birth_death.by_closed_form(problem, theta + s * step) for s in (1, -1)] for step in steps]
        np.testing.assert_allclose(slope, [(up - down) / 2e-5 for up, down in both], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_it_is_a_function_of_jax(likelihood: LinearNoiseLikelihood, problem: Problem) -> None:
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(likelihood.log_posterior)(jax.numpy.asarray(problem.nominal))
    assert float(value) == pytest.approx(
        birth_death.by_closed_form(problem, problem.nominal) + float(problem.log_prior(problem.nominal)), rel=1e-6
    )
    assert np.isfinite(slope).all()
    with pytest.raises(ProblemError, match="theta has shape"):
        likelihood.log_likelihood(problem.nominal[:2])


def test_what_is_refused(problem: Problem) -> None:
    with pytest.raises(UnsupportedModelError, match="the noise of 'x' is laplace"):
        LinearNoiseLikelihood(birth_death.problem(noise=Noise("laplace", "sd")))
    dosed = {"": Experiment(doses=(Bolus("X", 5.0, 1.0),))}
    name = next(iter(problem.experiments))
    with pytest.raises(UnsupportedModelError, match="there are doses"):
        LinearNoiseLikelihood(birth_death.problem(experiments={name: dosed[""]}))
