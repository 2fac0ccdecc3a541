"""Walks whose parameter is pulled instead of held: the same profiles, and profiles beside solutions that blow up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from calibration import Problem, profile
from calibration.optimise.objective import Objective
from calibration.profiles.curve import STRUCTURALLY_NOT
from calibration.profiles.likelihood import Walks
from calibration.profiles.reference import find_reference
from calibration.profiles.walk import walk
from twin.model import Model
from twin.model.parts import Observable, Parameter, Reaction, State
from twin.precision import float64
from twin.progress import Progress
from twin.study import Estimate, Noise

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
SD = 0.2
DESIGN = np.stack([-TIMES, np.ones(6)], axis=1)
"""ln y = ln A0 - k t: linear in (k, ln A0)."""
COVARIANCE = np.linalg.inv(DESIGN.T @ DESIGN / SD**2)
THRESHOLD = float(chi2.ppf(0.95, 1))

type Rows = Callable[..., pd.DataFrame]


def walked(decay: Model, table_of_rows: Rows, lower: float, upper: float) -> tuple[np.ndarray, Walks]:
    """Walks of a problem whose log-likelihood is quadratic, all pulled, and its optimum."""
    logarithm = np.log(2.0) - 0.5 * TIMES + SD * np.random.default_rng(2).normal(size=6)
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(logarithm), strict=True)])
    estimates = [Estimate("k", lower, upper, scale="lin"), Estimate("A0", 0.01, 100.0, scale="log")]
    problem = Problem(decay, table, estimates, Noise("log_normal", SD), rtol=1e-10, atol=1e-12)
    optimum = COVARIANCE @ DESIGN.T @ logarithm / SD**2
    with float64():
        objective = Objective(problem, with_prior=False)
        reference = find_reference(problem, objective, optimum)
        walks = Walks(problem, objective, reference, [0, 1])
        for lane in walks.lanes:
            lane.pulls = True
        walk(walks.lanes, walks.solve, THRESHOLD, 60, Progress("", 1, quiet=True))
    return optimum, walks


def test_intervals_are_the_analytic_ones(decay: Model, table_of_rows: Rows) -> None:
    optimum, walks = walked(decay, table_of_rows, 0.01, 5.0)
    half = np.sqrt(THRESHOLD * np.diag(COVARIANCE))
    for index, curve in enumerate(walks.curves(walks.reference.value, None, THRESHOLD)):
        np.testing.assert_allclose(
            curve.interval, (optimum[index] - half[index], optimum[index] + half[index]), rtol=1e-4
        )
        away = curve.position - optimum[index]
        np.testing.assert_allclose(curve.rise, away**2 / COVARIANCE[index, index], atol=1e-4)
        np.testing.assert_allclose(curve.slope, 2.0 * away / COVARIANCE[index, index], rtol=1e-2, atol=1e-2)
        assert curve.ends == ("threshold", "threshold")
        assert curve.converged.all()


def test_they_come_to_rest_on_bounds(decay: Model, table_of_rows: Rows) -> None:
    optimum, walks = walked(decay, table_of_rows, 0.43, 5.0)
    curve = walks.curves(walks.reference.value, None, THRESHOLD)[0]
    assert curve.ends == ("bound", "threshold")
    assert curve.position[0] == 0.43
    np.testing.assert_allclose(curve.rise[0], (0.43 - optimum[0]) ** 2 / COVARIANCE[0, 0], atol=1e-4)
    np.testing.assert_allclose(curve.slope[0], 2.0 * (0.43 - optimum[0]) / COVARIANCE[0, 0], rtol=1e-2)


@pytest.fixture(scope="module")
def explosive() -> Model:
    """dx/dt = (a + b^2) x^2 from 1: x(1) = 1 / (1 - a - b^2), and no solution beyond a + b^2 = 1."""
    return Model(
        "explosive",
        [State("x", 1.0)],
        [Parameter("a", 0.5), Parameter("b", 0.5)],
        [Reaction("growth", "-> x", "(a + b^2) * x^2")],
        observables=[Observable("y", "x")],
    )


def test_a_valley_beside_solutions_that_blow_up(explosive: Model, table_of_rows: Rows) -> None:
    """a + b^2 is known to 1e-5 of what blows up: the straight line along the valley leaves it after a 300th."""
    value = 1e5
    table = table_of_rows([("e", str(subject), "y", 1.0, value) for subject in (1, 2)])
    estimates = [Estimate("a", 0.2, 1.5, scale="lin"), Estimate("b", 0.0, 1.5, scale="lin")]
    problem = Problem(explosive, table, estimates, Noise("log_normal", 0.5), rtol=1e-10, atol=1e-10, max_steps=5000)
    b = 0.5
    found = profile(problem, np.array([1.0 - 1.0 / value - b**2, b]), ["b"], quiet=True)
    assert found.flags == (STRUCTURALLY_NOT,)
    assert found.along == (("a",),)
    assert found["b"].ends == ("bound", "threshold")
    assert found["b"].converged.all()
    # Once a is at its bound, x(1) follows from b, up to the value whose two readings cost the threshold.
    highest = value * np.exp(0.5 * np.sqrt(THRESHOLD / 2))
    np.testing.assert_allclose(found["b"].interval, (-np.inf, np.sqrt(1.0 - 1.0 / highest - 0.2)), rtol=1e-7)
