"""Does the gap's interval hold what it promises? Simulated held-out readings whose true gap is known in closed form.

    uv run python -m tests.benchmarks.gap_coverage [--datasets 2000] [--seed 0]

Readings are y = u + e with an effect u of the series, shared by its readings, and noise e. Twin and baseline issue
normal forecasts with a bias each; the expected CRPS of such a forecast has a closed form (Gneiting, Raftery 2007,
doi:10.1198/016214506000001437, equation 20, as E|X - Y| - E|X - X'| / 2), and so has the gap.
`false_alarms.py` asks the same of whole assessments.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scoringrules
from scipy.stats import norm

from calibration.sim2real.gap import Gap, measure_gap
from calibration.sim2real.verdict import judge

NOISE, EFFECT = 1.0, 0.5
"""Standard deviations of e and u."""
READINGS = 8
"""Held-out readings per series; a single series has `ALONE`."""
ALONE = 24


@dataclass(frozen=True)
class Case:
    """Forecasts with a known gap.

    Args:
        name: What the case is.
        twin: Bias of the twin's forecast.
        baseline: Bias of the baseline's.
    """

    name: str
    twin: float
    baseline: float


CASES = (Case("twin is the truth", 0.0, 1.5), Case("as good as the curve", 1.2, -1.2), Case("worse", 1.8, 0.9))
SERIES = (1, 3, 6, 12, 30)


def expected_crps(bias: float, spread: float, scatter: float) -> float:
    """Expected CRPS of the forecast N(bias, spread^2) of a reading from N(0, scatter^2)."""
    width = math.hypot(spread, scatter)
    apart = width * math.sqrt(2 / math.pi) * math.exp(-((bias / width) ** 2) / 2) + bias * (
        1 - 2 * norm.cdf(-bias / width)
    )
    return apart - spread / math.sqrt(math.pi)


def true_gap(case: Case, effect: float) -> float:
    """The gap that infinitely many series would give."""
    scatter = math.hypot(NOISE, effect)
    floor = NOISE / math.sqrt(math.pi)
    twin, other = (expected_crps(bias, scatter, scatter) for bias in (case.twin, case.baseline))
    return (twin - floor) / (other - floor)


def simulated_gap(case: Case, series: int, rng: np.random.Generator, level: float) -> Gap:
    """The gap that one simulated dataset gives."""
    # A single series has no effect to speak of: it would be a bias that no resampling of its readings can see.
    effect, each = (0.0, ALONE) if series == 1 else (EFFECT, READINGS)
    y = effect * np.repeat(rng.standard_normal(series), each) + NOISE * rng.standard_normal(series * each)
    scatter = math.hypot(NOISE, effect)
    twin, other = (np.asarray(scoringrules.crps_normal(y, bias, scatter)) for bias in (case.twin, case.baseline))
    scores = pd.DataFrame(
        {
            "experiment": "arm",
            "subject": np.repeat([f"{number}" for number in range(series)], each),
            "observable": "y",
            "time": np.tile(np.arange(float(each)), series),
            "crps": twin,
        }
    )
    floor = np.full(len(y), NOISE / math.sqrt(math.pi))
    return measure_gap(scores, {"curve": other}, floor, level=level)


def coverage(case: Case, series: int, datasets: int, seed: int) -> dict[str, float]:
    """Share of datasets whose 90 % interval holds the true gap, and of verdicts by the 95 % interval."""
    rng = np.random.default_rng([seed, CASES.index(case), series])
    truth = true_gap(case, 0.0 if series == 1 else EFFECT)
    inside, labels = [], []
    for _ in range(datasets):
        gap = simulated_gap(case, series, rng, 0.90)
        # Where the gap is undefined there is no interval; it holds nothing.
        inside.append(gap.defined and gap.low <= truth <= gap.high)
        labels.append(judge(simulated_gap(case, series, rng, 0.95)).label)
    return {"gap": truth, "covered": float(np.mean(inside))} | {
        label: labels.count(label) / datasets for label in ("better", "no better", "worse", "undefined")
    }


def main() -> None:
    """Print a table of coverage and false alarms."""
    parser = argparse.ArgumentParser(description="Coverage of the interval of the gap")
    parser.add_argument("--datasets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    begin = time.perf_counter()
    print("| case | series | true gap | in the 90 % interval | better | no better | worse | undefined |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for case in CASES:
        for series in SERIES:
            row = coverage(case, series, asked.datasets, asked.seed)
            shares = " | ".join(f"{100 * row[k]:.1f} %" for k in ("better", "no better", "worse", "undefined"))
            print(
                f"| {case.name} | {series} | {row['gap']:.2f} | {100 * row['covered']:.1f} % | {shares} |", flush=True
            )
    print(f"\n{asked.datasets} datasets a row, {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
