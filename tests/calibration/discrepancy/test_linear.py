"""The exact posterior of the size: what it does not depend on, its coverage, and how often it raises a false alarm."""

import numpy as np
import pytest
from scipy.stats import binom

from calibration.discrepancy.linear import draw_readings, size_posterior
from calibration.discrepancy.posterior import length_prior
from twin.errors import ProblemError

TIMES = np.linspace(0.0, 10.0, 20)
DESIGN = np.stack([np.ones(20), np.exp(-0.2 * TIMES)], axis=1)
DATASETS = 200


def simulated(amplitude: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre, spread = length_prior(TIMES)
    return draw_readings(TIMES, amplitude, np.exp(centre + spread * rng.normal(size=len(amplitude))), rng)


def test_whatever_the_mechanism_can_make_does_not_matter():
    y = simulated(np.array([2.0]), seed=4)
    moved = 3.7 * y + DESIGN @ np.array([5.0, -40.0])
    np.testing.assert_allclose(
        size_posterior(TIMES, DESIGN, moved).weight, size_posterior(TIMES, DESIGN, y).weight, atol=1e-9
    )


def test_intervals_cover_sizes_drawn_from_the_prior():
    """Exact by construction; 90 % intervals of 200 data sets, within the central 99.8 % of the binomial."""
    truth = np.random.default_rng(5).exponential(size=DATASETS)
    found = size_posterior(TIMES, DESIGN, simulated(truth, seed=6))
    inside = (found.quantile(0.05) < truth) & (truth < found.quantile(0.95))
    low, high = binom.ppf([0.001, 0.999], DATASETS, 0.9)
    assert low <= inside.sum() <= high


def test_false_alarms_are_rare_and_large_sizes_are_flagged():
    """Bound: more alarms than this have a probability of 0.001 if the rate is 5 %."""
    none = size_posterior(TIMES, DESIGN, simulated(np.zeros(DATASETS), seed=7))
    assert none.flagged.sum() <= binom.ppf(0.999, DATASETS, 0.05)
    large = size_posterior(TIMES, DESIGN, simulated(np.full(DATASETS, 5.0), seed=8))
    assert large.flagged.mean() > 0.5


def test_too_few_readings_or_parameters_alike_are_refused():
    with pytest.raises(ProblemError, match="at least two readings more than parameters"):
        size_posterior(TIMES[:3], DESIGN[:3], np.zeros((1, 3)))
    with pytest.raises(ProblemError, match="rank 1"):
        size_posterior(TIMES, np.ones((20, 2)), np.zeros((1, 20)))
    with pytest.raises(ProblemError, match="3, to tell a discrepancy from noise"):
        size_posterior(np.repeat([0.0, 1.0], 10), np.ones((20, 1)), np.zeros((1, 20)))
