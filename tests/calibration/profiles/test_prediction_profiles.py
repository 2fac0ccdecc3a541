"""Profiles of predictions against closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from calibration import Problem, profile_prediction
from twin.errors import ProblemError
from twin.model import Model
from twin.study import Estimate, Noise

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
SD = 0.2
DESIGN = np.stack([-TIMES, np.ones(6)], axis=1)
COVARIANCE = np.linalg.inv(DESIGN.T @ DESIGN / SD**2)
AHEAD = (3.0, 10.0)


@pytest.fixture(scope="module")
def linear(decay: Model, table_of_rows: Callable[..., pd.DataFrame]) -> tuple[Problem, np.ndarray]:
    """ln y = ln A0 - k t, so -2 log L is quadratic in the logarithm of any prediction."""
    logarithm = np.log(2.0) - 0.5 * TIMES + SD * np.random.default_rng(2).normal(size=6)
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(logarithm), strict=True)])
    estimates = [Estimate("k", 0.01, 5.0, scale="lin"), Estimate("A0", 0.01, 100.0, scale="log")]
    problem = Problem(decay, table, estimates, Noise("log_normal", SD), rtol=1e-10, atol=1e-12)
    return problem, COVARIANCE @ DESIGN.T @ logarithm / SD**2


def test_intervals_are_the_analytic_ones(linear: tuple[Problem, np.ndarray]) -> None:
    problem, optimum = linear
    found = profile_prediction(problem, optimum, "y", AHEAD, quiet=True)
    for time, curve in zip(AHEAD, found.curves, strict=True):
        row = np.array([-time, 1.0])
        centre, variance = row @ optimum, row @ COVARIANCE @ row
        # Every point is exact at the value that it reached, wherever its target was.
        np.testing.assert_allclose(curve.rise, (np.log(curve.position) - centre) ** 2 / variance, atol=1e-3)
        half = np.sqrt(chi2.ppf(0.95, 1) * variance)
        np.testing.assert_allclose(curve.interval, np.exp([centre - half, centre + half]), rtol=5e-3)
    table = found.table()
    np.testing.assert_allclose(table["prediction"], np.exp([np.array([-t, 1.0]) @ optimum for t in AHEAD]), rtol=1e-5)
    assert list(found.to_dataset()["time"]) == list(AHEAD)
    assert found.plot().axes
    assert "2 times" in repr(found)


def test_bad_input_is_refused(linear: tuple[Problem, np.ndarray]) -> None:
    problem, optimum = linear
    with pytest.raises(ProblemError, match="'z' is no measured observable"):
        profile_prediction(problem, optimum, "z", 1.0)
    with pytest.raises(ProblemError, match="no experiment 'f'"):
        profile_prediction(problem, optimum, "y", 1.0, experiment="f")
    with pytest.raises(ProblemError, match="no subject '2'"):
        profile_prediction(problem, optimum, "y", 1.0, subject="2")
    with pytest.raises(ProblemError, match="the times are"):
        profile_prediction(problem, optimum, "y", [np.inf])
    with pytest.raises(ProblemError, match="the level is"):
        profile_prediction(problem, optimum, "y", 1.0, level=2.0)
