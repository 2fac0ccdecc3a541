"""How often are the intervals of a twin that is right called too narrow or too wide? Two rules, twins in closed form.

    uv run python -m tests.benchmarks.coverage_alarms [--datasets 2000] [--seed 0]

Readings are y = m + u + e: a mean m that eight training readings of three series estimate, an effect u of the series, e
the noise; the twin knows both variances, so that its predictive of held-out series is exact. A line compares Wilson's
interval, which takes readings for independent, with `replicates`, which looks at the twin's own draws.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from calibration.sim2real.replicates import replicated_coverage
from calibration.sim2real.verdict import judge_coverage

DRAWS, READINGS, TRAINED, EACH = 1000, 8, 3, 8
"""Predictive draws; held-out readings of a series; training series and their readings."""
NOISE = 1.0


def predicted(series: int, effect: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Predictive draws and the readings; all from the posterior of m under a flat prior."""
    spread = np.sqrt((effect**2 + NOISE**2 / EACH) / TRAINED)

    def made(count: int, centre: np.ndarray) -> np.ndarray:
        away = np.repeat(effect * rng.standard_normal((count, series)), READINGS, axis=1)
        return centre[:, None] + away + NOISE * rng.standard_normal((count, series * READINGS))

    estimate = spread * rng.standard_normal()
    return made(DRAWS, estimate + spread * rng.standard_normal(DRAWS)), made(1, np.zeros(1))[0]


def line(series: int, effect: float, datasets: int, seed: int) -> str:
    """Shares of the four wrong judgements."""
    rng = np.random.default_rng([seed, series, round(10 * effect)])
    found: dict[str, list[str]] = {"wilson": [], "replicates": []}
    for _ in range(datasets):
        draws, reading = predicted(series, effect, rng)
        count = len(reading)
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        coverage = float(np.mean((reading >= low) & (reading <= high)))
        rows = pd.DataFrame({"observable": ["y"] * count, "value": reading, "censoring": ""})
        own = replicated_coverage(rows, draws, 0.9, scale={}, limits=np.full(count, -np.inf))
        found["wilson"].append(judge_coverage(coverage, count)[0])
        found["replicates"].append(judge_coverage(coverage, count, own)[0])
    shares = [
        f"{100 * np.mean([x == word for x in found[rule]]):.1f} %"
        for rule in ("wilson", "replicates")
        for word in ("too narrow", "too wide")
    ]
    return f"| {series} | {effect:g} | {' | '.join(shares)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="False alarms of the judgement of coverage")
    parser.add_argument("--datasets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("| series | effect / noise | Wilson: too narrow | too wide | replicates: too narrow | too wide |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for series in (1, 4, 12):
        for effect in (0.0, 1.0, 3.0):
            print(line(series, effect, asked.datasets, asked.seed), flush=True)


if __name__ == "__main__":
    main()
