"""The law of the two-state gene: against its generator, runs of the library's model, and known rates found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

import models
from calibration.stochastic.snapshots import two_state_log_pmf
from twin.errors import ProblemError
from twin.stochastic import simulate_jumps

GOLDING = {"k_on": 1 / 37, "k_off": 1 / 6, "k_tx": 0.5, "gamma": 0.0139}


def by_generator(k_on: float, k_off: float, k_tx: float, gamma: float, most: int) -> np.ndarray:
    """Steady state of gene and transcripts, the latter up to `most` (finite state projection)."""
    size = most + 1
    generator = np.zeros((2 * size, 2 * size))
    for gene in (0, 1):
        for m in range(size):
            here = gene * size + m
            moves = {(1 - gene) * size + m: k_off if gene else k_on}
            if gene and m < most:
                moves[here + 1] = k_tx
            if m:
                moves[here - 1] = gamma * m
            for to, rate in moves.items():
                generator[here, to] += rate
                generator[here, here] -= rate
    balance = np.vstack([generator.T, np.ones(2 * size)])
    law = np.linalg.lstsq(balance, np.append(np.zeros(2 * size), 1.0))[0]
    return law.reshape(2, size).sum(axis=0)


@pytest.mark.parametrize(
    "rates",
    [(1 / 37, 1 / 6, 0.5, 0.0139), (0.3, 0.4, 20.0, 1.0), (4.0, 2.0, 30.0, 1.0)],
    ids=["golding", "slow", "fast"],
)
def test_the_law_is_that_of_the_generator(rates: tuple[float, float, float, float]) -> None:
    counts = np.arange(40)
    np.testing.assert_allclose(
        np.exp(two_state_log_pmf(counts, *rates)), by_generator(*rates, most=140)[:40], rtol=1e-6, atol=1e-12
    )


def test_runs_of_the_library_model_follow_it() -> None:
    runs = 1500
    found = simulate_jumps(models.load("mrna_golding"), [600.0], variables=["m", "on"], runs=runs, seed=1)
    assert set(np.unique(found["on"])) == {0.0, 1.0}
    law = np.exp(two_state_log_pmf(np.arange(200), **GOLDING))
    counts = found["m"].to_numpy()[:, 0]
    mean, variance = law @ np.arange(200), law @ np.arange(200) ** 2 - (law @ np.arange(200)) ** 2
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / runs))
    # Kolmogorov and Smirnov's distance stays below 1.95 / sqrt(n) in 99.9 % (less often beyond it for a discrete law).
    seen = np.searchsorted(np.sort(counts), np.arange(200), side="right") / runs
    assert np.abs(seen - np.cumsum(law)).max() < 1.95 / np.sqrt(runs)


@pytest.mark.slow
def test_known_rates_are_found_again() -> None:
    """Twenty samples of two thousand cells: estimates of the three rates scatter around the truth."""
    rng, rates = np.random.default_rng(2), (0.8, 1.5, 40.0)
    found = []
    for _ in range(20):
        counts = rng.poisson(rates[2] * rng.beta(rates[0], rates[1], 2000))
        worth = lambda x, n=counts: -two_state_log_pmf(n, *np.exp(x), 1.0).sum()  # noqa: E731
        found.append(optimize.minimize(worth, np.log([0.5, 3.0, 60.0]), method="Nelder-Mead").x)
    off = np.array(found) - np.log(rates)
    assert (np.abs(off.mean(axis=0)) < 4 * off.std(axis=0) / np.sqrt(20)).all()
    assert (off.std(axis=0) < 0.2).all()


def test_what_is_refused() -> None:
    with pytest.raises(ProblemError, match="k_on is -1"):
        two_state_log_pmf([1], -1.0, 1.0, 1.0, 1.0)
    with pytest.raises(ProblemError, match="no whole numbers"):
        two_state_log_pmf([0.5], 1.0, 1.0, 1.0, 1.0)
