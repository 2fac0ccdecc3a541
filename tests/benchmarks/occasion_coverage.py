"""Recovery of both spreads from many simulated crossover studies: bias in standard errors, coverage of 95 % intervals.

The studies are those of `examples/occasions.py` with other random numbers.

Run: uv run python -m tests.benchmarks.occasion_coverage --studies 20
"""

from __future__ import annotations

import argparse
import runpy
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.population import fit_population

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "occasions.py"))


def main() -> None:
    """Simulate and fit study after study."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=20)
    count, begin, rows, drawn = parser.parse_args().studies, time.perf_counter(), [], []
    truth = pd.Series(EXAMPLE["TRUTH"])
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1000, 1000 + count):
            path, visits = EXAMPLE["event_table"](Path(folder) / "study.csv", seed)
            found = fit_population(EXAMPLE["problem"](path, with_visits=True), starts=1, quiet=True)
            table = found.table.loc[truth.index]
            away = (table["estimate"] - truth) / table["se"]
            held = (table["lower"] <= truth) & (truth <= table["upper"])
            log = np.log(visits["clearance"])
            within = log - log.groupby(visits["patient"]).transform("mean")
            drawn.append(np.sqrt(np.sum(within**2) / (len(log) - visits["patient"].nunique())))
            rows.append(pd.DataFrame({"estimate": table["estimate"], "away": away, "held": held}))
            print(seed, found.converged, away.round(2).to_dict(), flush=True)
    every = pd.concat(rows, keys=range(count))
    of_number = every.groupby(level=1, sort=False)
    summary = pd.DataFrame(
        {
            "truth": truth,
            "mean estimate": of_number["estimate"].mean(),
            "sd of estimates": of_number["estimate"].std(),
            "mean distance in standard errors": of_number["away"].mean(),
            "intervals that hold": of_number["held"].sum(),
        }
    )
    print(summary.round(4).to_string())
    print(f"{int(every['held'].sum())} of {len(every)} intervals hold; {time.perf_counter() - begin:.0f} s")
    print(f"spread of the clearances that were drawn, within patients: {np.mean(drawn):.4f}")
    print(f"error of a mean distance: {1 / np.sqrt(count):.2f}")


if __name__ == "__main__":
    main()
