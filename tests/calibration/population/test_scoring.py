"""Scoring steps where the data see little more than a sum."""

from __future__ import annotations

import numpy as np

from calibration.population.scoring import LONGEST, scoring_step

WIDTH = np.array([3.0, 3.0])


def test_a_short_step_is_newtons() -> None:
    information = np.array([[40.0, 5.0], [5.0, 20.0]])
    gradient = np.array([0.3, -0.2])
    np.testing.assert_allclose(scoring_step(information, gradient, WIDTH), -np.linalg.solve(information, gradient))


def test_what_is_said_of_the_sum_is_kept_where_the_difference_is_not_seen() -> None:
    information = 100.0 * np.ones((2, 2)) + 1e-7 * np.eye(2)
    gradient = information @ np.array([0.02, 0.02]) + 5.0 * np.array([1.0, -1.0])
    step = scoring_step(information, gradient, WIDTH)
    np.testing.assert_allclose(step.sum(), -0.04, rtol=1e-6)
    np.testing.assert_allclose(step[1] - step[0], np.sqrt(2.0) * LONGEST * WIDTH[0], rtol=1e-6)


def test_no_information_gives_a_finite_step() -> None:
    assert np.isfinite(scoring_step(np.zeros((2, 2)), np.array([1.0, 0.0]), WIDTH)).all()
    assert (scoring_step(np.zeros((2, 2)), np.zeros(2), WIDTH) == 0.0).all()
