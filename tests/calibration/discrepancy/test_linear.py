"""The exact posterior of the size: against SciPy's densities, its coverage, and how often it raises a false alarm."""

import numpy as np
import pytest
from scipy.stats import binom, multivariate_normal

from calibration.discrepancy.kernel import length_prior
from calibration.discrepancy.linear import AMPLITUDES, draw_readings, size_posterior
from twin.errors import ProblemError

TIMES = np.linspace(0.0, 10.0, 20)
DESIGN = np.stack([np.ones(20), np.exp(-0.2 * TIMES)], axis=1)
DATASETS = 200


def simulated(amplitude: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre, spread = length_prior(TIMES)
    return draw_readings(TIMES, amplitude, np.exp(centre + spread * rng.normal(size=len(amplitude))), rng)


def test_it_is_the_integral_over_everything_else():
    """Parameters and noise by brute force: a normal prior of b that is flat beside what an amplitude of 8 adds."""
    y = simulated(np.array([1.5]), seed=2)[0]
    centre, spread = length_prior(TIMES)
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    picked = np.arange(60, 150, 25)
    wanted = []
    for a in AMPLITUDES[picked]:
        total = 0.0
        for node, weight in zip(nodes, weights, strict=True):
            x = np.sqrt(5) * np.abs(TIMES[:, None] - TIMES) / np.exp(centre + spread * node)
            noise = np.eye(20) + a**2 * (1 + x + x**2 / 3) * np.exp(-x)
            wide = 1e6 * DESIGN @ DESIGN.T
            # Down to 0.01: with an amplitude of 8 the noise is an eighth of what scatters.
            for s in np.exp(np.linspace(np.log(0.01), np.log(10), 60)):
                # In units of s, so that the matrix stays well conditioned; s**2 undoes what that does to a flat prior.
                density = multivariate_normal.logpdf(y, np.zeros(20), s**2 * (noise + wide))
                total += weight * s**2 * np.exp(density)
        wanted.append(total * a * np.exp(-a))
    found = size_posterior(TIMES, DESIGN, y[None]).weight[0, picked]
    np.testing.assert_allclose(found / found.sum(), np.array(wanted) / np.sum(wanted), rtol=2e-3)


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
