"""Intervals of shares against published numbers and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from twin.scenario.compare import mean_of, paired_shares, wilson


def test_wilson() -> None:
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I: 81 of 263.
    np.testing.assert_allclose(wilson(81, 263), (0.3080, 0.2553, 0.3662), atol=5e-5)
    np.testing.assert_allclose(wilson(0, 20), (0.0, 0.0, 0.1611), atol=5e-5)
    assert all(map(math.isnan, wilson(0, 0)))


@pytest.mark.parametrize(("share", "other"), [(0.3, 0.5), (0.02, 0.05)])
def test_intervals_of_paired_shares_cover(share: float, other: float) -> None:
    """95 % intervals of 2000 studies of 200 pairs whose answers agree more often than by chance."""
    rng = np.random.default_rng(1)
    covered, studies = 0, 2000
    for _ in range(studies):
        u = rng.random(200)
        v = np.where(rng.random(200) < 0.6, u, rng.random(200))
        a, b = u < share, v < other
        _, low, high = paired_shares(int((b & ~a).sum()), int((a & ~b).sum()), 200)
        covered += low <= other - share <= high
    # Agresti and Min find coverage from 94 to 97 %; the Monte-Carlo error is 0.5 %.
    assert 0.93 <= covered / studies <= 0.98


def test_means() -> None:
    assert mean_of(np.array([1.0, 3.0])) == 2.0
    assert math.isnan(mean_of(np.array([1.0, np.inf]))) and math.isnan(mean_of(np.array([])))
