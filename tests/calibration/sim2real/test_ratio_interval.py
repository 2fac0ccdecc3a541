"""Fieller's interval, and how means scatter over readings that hang together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.sim2real.ratio_interval import Scatter, mean_interval, ratio_interval, scatter_of_means


def scatter(*covariance: float, freedom: int = 1000) -> Scatter:
    return Scatter(np.reshape(covariance, (2, 2)), freedom, "series", freedom + 1)


def test_series_are_the_units_where_there_are_three(table_of) -> None:
    rows = table_of(subjects=5, times=np.arange(4.0))
    values = np.random.default_rng(0).normal(size=(20, 2))
    found = scatter_of_means(rows, values)
    means = values.reshape(5, 4, 2).mean(axis=1)
    assert found.covariance == pytest.approx(np.cov(means.T) / 5)
    assert (found.freedom, found.unit, found.units) == (4, "series", 5)


def test_readings_in_blocks_where_there_are_few_series(table_of) -> None:
    """Shuffled readings scatter as the mean of independent ones does; blocks of equal neighbours as the blocks do."""
    rows = table_of(subjects=1, times=np.arange(1000.0))
    independent = np.random.default_rng(1).normal(size=(1000, 1))
    found = scatter_of_means(rows, independent)
    assert (found.unit, found.units, found.freedom) == ("blocks of readings", 100, 99)
    assert found.covariance[0, 0] == pytest.approx(1e-3, rel=0.2)
    equal = np.repeat(np.random.default_rng(1).normal(size=200), 5)[:, None]
    assert scatter_of_means(rows, equal).covariance[0, 0] > 3e-3


def test_one_reading_says_nothing_of_scatter(table_of) -> None:
    found = scatter_of_means(table_of(subjects=1, times=np.array([0.0])), np.ones((1, 2)))
    assert found.freedom == 0
    assert mean_interval(1.0, 0.0, 0, 0.95) == (-math.inf, math.inf)
    assert ratio_interval(np.array([1.0, 2.0]), found, 0.95) == (-math.inf, math.inf)


def test_two_series_with_a_reading_each_count_as_one_sequence(table_of) -> None:
    found = scatter_of_means(table_of(subjects=2, times=np.array([0.0])), np.array([[0.0, 1.0], [2.0, 1.0]]))
    assert (found.units, found.freedom) == (2, 1)
    assert found.covariance == pytest.approx(np.array([[1.0, 0.0], [0.0, 0.0]]))


def test_a_sure_denominator_gives_the_interval_of_the_numerator() -> None:
    low, high = ratio_interval(np.array([3.0, 2.0]), scatter(0.04, 0.0, 0.0, 0.0), 0.95)
    assert (low, high) == pytest.approx(np.array(mean_interval(3.0, 0.04, 1000, 0.95)) / 2.0)


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ((3.0, 1.0), "high"),
        ((-3.0, 1.0), "low"),
        ((0.1, 0.1), "both"),
    ],
)
def test_a_denominator_that_may_be_nought_opens_the_interval(means: tuple[float, float], expected: str) -> None:
    low, high = ratio_interval(np.array(means), scatter(1.0, 0.0, 0.0, 1.0), 0.95)
    assert low < means[0] / means[1] < high
    open_ends = {"low": (True, False), "high": (False, True), "both": (True, True)}[expected]
    assert (math.isinf(low), math.isinf(high)) == open_ends


def test_the_interval_holds_the_ratio_as_often_as_it_says() -> None:
    """Normal units, correlated, six of them: exact by Fieller's argument."""
    rng, inside = np.random.default_rng(3), 0
    root = np.linalg.cholesky([[1.0, 0.6], [0.6, 0.5]])
    for _ in range(2000):
        units = np.array([2.0, 4.0]) + rng.standard_normal((6, 2)) @ root.T
        spread = Scatter(np.cov(units.T) / 6, 5, "series", 6)
        low, high = ratio_interval(units.mean(axis=0), spread, 0.9)
        inside += low <= 0.5 <= high
    assert inside / 2000 == pytest.approx(0.9, abs=3 * math.sqrt(0.09 / 2000))
