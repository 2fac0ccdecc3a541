"""How often is a dose flagged at which the mechanism is right? The table of docs/discrepancy.md.

    uv run python -m tests.benchmarks.dose_alarms [--datasets 40] [--seed 0]

A dose decays, as the mechanism says; three doses are read in two series each, 14 times, and the noise scale is
estimated. At the highest one a sine is added, of nothing or of several noise scales. A line says at which doses the
discrepancy, with a size for each, was flagged, and how often the 90 % interval holds the size at the highest.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from scipy.stats import binomtest

import calibration
import twin
from calibration.discrepancy import sample_discrepancy

TIMES = np.linspace(0.25, 10.0, 14)
DOSES = (1.0, 2.0, 3.0)
NOISE, SERIES, RATE, FREQUENCY = 0.1, 2, 0.2, 1.2
LENGTHS = {"starts": 4, "chains": 2, "warmup": 150, "draws": 200, "quiet": True}


def problem(wave: float, seed: int) -> calibration.Problem:
    """Readings of all doses; at the highest a sine of so many noise scales is added."""
    model = twin.Model(
        "dosed",
        [twin.State("A", 1.0)],
        parameters=[twin.Parameter("k", RATE)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    rng, parts = np.random.default_rng([seed, 3]), []
    for dose in DOSES:
        for series in range(SERIES):
            away = wave * np.sin(FREQUENCY * TIMES) * (dose == DOSES[-1]) + rng.normal(size=len(TIMES))
            part = pd.DataFrame({"time": TIMES, "value": dose * np.exp(-RATE * TIMES) + NOISE * away})
            parts.append(part.assign(experiment=f"dose {dose:g}", subject=f"{dose:g} {series}"))
    table = pd.concat(parts, ignore_index=True).assign(observable="y", noise=np.nan, censoring="")
    experiments = {f"dose {dose:g}": twin.Experiment(initial={"A": dose}) for dose in DOSES}
    estimates = [twin.Estimate("k", 0.02, 2.0), twin.Estimate("sd", 0.01, 2.0, nominal=NOISE)]
    return calibration.Problem(model, table, estimates, twin.Noise("normal", "sd"), experiments=experiments)


def line(wave: float, datasets: int, seed: int) -> str:
    """One line of the table."""
    truth = wave * np.sqrt(np.mean(np.sin(FREQUENCY * TIMES) ** 2))
    flagged, held, begin = np.zeros(len(DOSES), int), 0, time.perf_counter()
    for index in range(datasets):
        found = sample_discrepancy(problem(wave, 1000 * seed + index), along="A", seed=index, **LENGTHS)
        sizes = found.by_dose().set_index("dose")
        flagged += sizes["flagged"].to_numpy(dtype=int)
        held += int(sizes.loc[DOSES[-1], "lower"] < truth < sizes.loc[DOSES[-1], "upper"])
    ends = [binomtest(int(n), datasets).proportion_ci(0.95, method="exact") for n in flagged]
    cells = [
        f"{n} of {datasets} ({100 * x.low:.0f} to {100 * x.high:.0f} %)" for n, x in zip(flagged, ends, strict=True)
    ]
    covered = f"{held} of {datasets}" if wave else "–"
    seconds = (time.perf_counter() - begin) / datasets
    return f"| {truth:.2g} | {' | '.join(cells)} | {covered} | {seconds:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Flags of a discrepancy along a dose")
    parser.add_argument("--datasets", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(
        f"| size at dose {DOSES[-1]:g} | {' | '.join(f'flagged at {dose:g}' for dose in DOSES)} | 90 % holds it | s |"
    )
    print("|---|" + "---|" * (len(DOSES) + 2))
    for wave in (0.0, 3.0, 5.0):
        print(line(wave, args.datasets, args.seed), flush=True)


if __name__ == "__main__":
    main()
