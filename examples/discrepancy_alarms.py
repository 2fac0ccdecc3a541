"""Claim: a mechanism that is right is rarely blamed; 90 % intervals cover sizes such as the prior expects.

Readings of a mechanism with two unknown amplitudes, ``b0 + b1 exp(-0.2 t)``, and unknown noise; the posterior of the
size is exact, without draws, so every line is of as many data sets as one likes. A data set is flagged if the size
exceeds half the noise scale with a posterior probability above 0.95.

    uv run python examples/discrepancy_alarms.py
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import binom, binomtest

from calibration.discrepancy.kernel import length_prior
from calibration.discrepancy.linear import draw_readings, size_posterior

READINGS, SIZES = (10, 20, 40), (0.0, 0.5, 1.0, 2.0, 4.0)


def study(readings: int, size: float | None, count: int, seed: int) -> tuple[int, int]:
    """Numbers of data sets that are flagged, and whose interval covers the size (None draws it from the prior)."""
    rng = np.random.default_rng([seed, readings, 99 if size is None else int(10 * size)])
    times = np.linspace(0.0, 10.0, readings)
    design = np.stack([np.ones(readings), np.exp(-0.2 * times)], axis=1)
    centre, spread = length_prior(times)
    truth = rng.exponential(size=count) if size is None else np.full(count, size)
    simulated = draw_readings(times, truth, np.exp(centre + spread * rng.normal(size=count)), rng)
    found = size_posterior(times, design, simulated)
    inside = (found.quantile(0.05) < truth) & (truth < found.quantile(0.95))
    return int(found.flagged.sum()), int(inside.sum())


def main() -> None:
    """Print rates with exact 95 % intervals, and hold them to their bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=400, help="data sets per line")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    count, alarms = args.datasets, 0
    print(f"Claim: {__doc__.split('Claim: ')[1].splitlines()[0]}")
    print("readings  true size   flagged                     90 % interval covers")
    for readings in READINGS:
        for size in (*SIZES, None):
            flagged, inside = study(readings, size, count, args.seed)
            alarms += flagged if size == 0 else 0
            name = "prior" if size is None else f"{size:g}"
            # An interval of positive numbers never covers zero.
            covers = "" if size == 0 else percent(inside, count)
            print(f"{readings:8d}  {name:>9s}   {percent(flagged, count):26s}  {covers}")
            if size is None:
                low, high = binom.ppf([0.001, 0.999], count, 0.9)
                assert low <= inside <= high, "intervals do not cover as they promise"
    null = len(READINGS) * count
    print(f"false alarms: {percent(alarms, null)} of {null} data sets")
    assert alarms <= binom.ppf(0.999, null, 0.05), "more than 5 % false alarms"


def percent(part: int, whole: int) -> str:
    """A share with its exact 95 % interval (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404)."""
    interval = binomtest(part, whole).proportion_ci(0.95, method="exact")
    return f"{part / whole:.1%} ({interval.low:.1%} to {interval.high:.1%})"


if __name__ == "__main__":
    main()
