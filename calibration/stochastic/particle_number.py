"""How many particles: as many as make the variance of the log-likelihood's estimates about 1.

Fewer make chains stick at estimates that were too high by chance, more cost more than they gain. The variance falls
with the number of particles, inversely where they are many.

References:
    Doucet, Pitt, Deligiannidis & Kohn (2015), doi:10.1093/biomet/asu075: a standard deviation between 1 and 1.7.
    Sherlock, Thiery, Roberts & Rosenthal (2015), doi:10.1214/14-AOS1278: a variance of 3.3, and little loss below.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from calibration.problem import Problem
from calibration.stochastic.particle_filter import ParticleFilter
from twin.errors import SimulationError

VARIANCE = 1.0
LEAST, MOST_VARIANCE = 0.5, 1.5
"""Variances that are near enough to 1: fifty estimates tell it to a fifth."""
FIRST, FEWEST, MOST = 64, 16, 20_000
REPEATS = 50
LANES = 100_000
"""Particles of one compiled call: fifty estimates with the most particles would else be millions of lanes."""
APART = 7919
"""Between the seeds of such calls, so that they are none of those of another pilot."""
ATTEMPTS = 5


class Pilot(NamedTuple):
    """Estimates at one vector.

    Args:
        filtered: The filter that made them.
        finite: Share of them that is finite.
        variance: Variance of those; infinite where fewer than half are finite.
    """

    filtered: ParticleFilter
    finite: float
    variance: float


def pilot(filtered: ParticleFilter, theta: Float[np.ndarray, " parameter"], seed: int) -> Pilot:
    """Estimates of the log-likelihood at one vector, and how they scatter."""
    lanes = filtered.particles * len(filtered.problem.bindings.series)
    together = min(max(LANES // lanes, 1), REPEATS)
    parts = [
        filtered.estimate(theta, repeats=together, seed=seed + APART * index).value
        for index in range(-(-REPEATS // together))
    ]
    value = np.concatenate(parts)[:REPEATS]
    good = value[np.isfinite(value)]
    finite = len(good) / len(value)
    # Before a deviation is taken of them: minus infinity among the estimates would make it NaN.
    return Pilot(filtered, finite, float(np.var(good, ddof=1)) if finite > 0.5 else np.inf)


def filter_of(
    problem: Problem, theta: Float[np.ndarray, " parameter"], seed: int, *, method: str, max_events: int
) -> Pilot:
    """A particle filter with as many particles as the variance of the log-likelihood at a vector asks for.

    Args:
        problem: The problem.
        theta: Where, estimation scale: in the middle of the posterior.
        seed: Seed.
        method: "direct" or "tau_leap".
        max_events: Most reactions per particle from one reading time to the next.

    Raises:
        SimulationError: more than 20,000 particles would be needed, or no estimate is finite.
    """
    count, found = FIRST, None
    for attempt in range(ATTEMPTS):
        filtered = ParticleFilter(problem, count, method=method, max_events=max_events)
        found = pilot(filtered, theta, seed + attempt)
        few_enough = found.variance >= LEAST or count == FEWEST
        if found.finite == 1.0 and found.variance <= MOST_VARIANCE and few_enough:
            return found
        wanted = count * found.variance / VARIANCE if np.isfinite(found.variance) else 8.0 * count
        wanted = wanted if found.finite == 1.0 else max(wanted, 2.0 * count)
        # Far from 1 the law of the variance is only a direction.
        wanted = int(np.ceil(np.clip(wanted, count / 8, 8 * count)))
        if wanted > MOST:
            break
        count = max(wanted, FEWEST)
    assert found is not None
    if found.finite == 1.0 and found.variance <= 2 * MOST_VARIANCE:
        return found
    raise SimulationError(
        f"with {found.filtered.particles} particles {found.finite:.0%} of the estimates of the log-likelihood are "
        f"finite, with variance {found.variance:.3g}",
        where=f"{problem.name} at the vector where the chains would begin",
        expected="a variance of about 1",
        fix="check the start, give particles=, or take sample_linear_noise (nearly exact readings or long series)",
    )
