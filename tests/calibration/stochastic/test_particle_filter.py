"""The particle filter against the master equation; failures, refusals."""

from __future__ import annotations

import birth_death
import numpy as np
import pytest

from calibration.stochastic.particle_filter import ParticleFilter
from twin.errors import ProblemError, UnsupportedModelError

pytestmark = pytest.mark.xdist_group("particle_filter")
REPEATS = 60


def relative(value: np.ndarray, exact: float) -> tuple[float, float]:
    """Mean of estimated over exact likelihoods, and its standard error."""
    ratio = np.exp(value - exact)
    return ratio.mean(), ratio.std(ddof=1) / np.sqrt(len(ratio))


def test_few_molecules_against_the_master_equation() -> None:
    """Ten molecules: estimates of the likelihood itself, not its logarithm, are right on average."""
    problem = birth_death.problem(start=4.0, into=5.0)
    theta = problem.nominal
    exact = birth_death.by_master_equation(problem, theta, start=4)
    few, many = (ParticleFilter(problem, n).estimate(theta, repeats=REPEATS, seed=1) for n in (30, 120))
    for found in (few, many):
        mean, error = relative(found.value, exact)
        assert abs(mean - 1) < 4 * error and found.failed == 0
    # A quarter of the variance, as estimated from sixty repeats each.
    assert many.value.var() < few.value.var() / 2


def test_failed_particles_are_counted() -> None:
    problem = birth_death.problem()
    found = ParticleFilter(problem, 50, max_events=15).estimate(problem.nominal, repeats=2)
    assert 0 < found.failed <= 1


def test_what_is_refused() -> None:
    problem = birth_death.problem()
    with pytest.raises(ProblemError, match="the method is 'euler'"):
        ParticleFilter(problem, method="euler")
    with pytest.raises(ProblemError, match="there are 0 particles"):
        ParticleFilter(problem, 0)
    cell = birth_death.problem_in_a_cell()
    with pytest.raises(UnsupportedModelError, match="'V' decides what a reaction changes"):
        ParticleFilter(cell)
