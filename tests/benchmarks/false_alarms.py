"""How often does an assessment raise an alarm where nothing is wrong? Whole assessments of data that the model made.

    uv run python -m tests.benchmarks.false_alarms [--datasets 100] [--seed 0] [--out false_alarms.jsonl]
        [--part 0/1] [--without-discrepancy]

Four subjects whose rate of decay varies between them are read twelve times each; the model that is calibrated is the
one that made the readings. Every dataset goes through `calibration.assess` from fit to verdict, discrepancy included.
A line per dataset is added to the file, and a dataset that has a line is not computed again, so that a run which was
killed goes on where it was. Processes with ``--part 0/2`` and ``--part 1/2`` share the work and the file.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

import calibration
import twin

TIMES = np.arange(0.0, 6.0, 0.5)
SUBJECTS, RATE, BETWEEN, START, NOISE = 4, 0.5, 0.1, 10.0, 0.3
"""Subjects; rate of decay and its standard deviation between them on the decadic logarithm; first value; noise."""
SETTINGS = {"starts": 4, "chains": 4, "warmup": 150, "draws": 250}

STATED = {
    "verdict: worse": 0.025,
    "verdict: too narrow": 0.025,
    "verdict: too wide": 0.025,
    "loo_pit": 0.01,
    "loo_pit_ecdf": 0.01,
    "pit": 0.01,
    "pit_ecdf": 0.01,
    "coverage_50": 0.05,
    "coverage_90": 0.05,
    "mmd": 0.05,
    "c2st": 0.05,
    "sliced_wasserstein": 0.05,
    "energy_train": 0.05,
    "energy_held_out": 0.05,
}
"""Rates that the rules promise where a rule promises one: levels of tests, and of intervals on the side that alarms."""


def decay(number: int, seed: int) -> calibration.Problem:
    """The dataset of this number, and the model that made it."""
    rng = np.random.default_rng([seed, number])
    parts = []
    for subject in range(1, SUBJECTS + 1):
        rate = RATE * 10 ** (BETWEEN * rng.standard_normal())
        value = START * np.exp(-rate * TIMES) + NOISE * rng.standard_normal(len(TIMES))
        parts.append(pd.DataFrame({"subject": str(subject), "time": TIMES, "value": value}))
    table = pd.concat(parts, ignore_index=True).assign(experiment="arm", observable="y", noise=np.nan, censoring="")
    model = twin.Model(
        "decay",
        [twin.State("A", "A0")],
        [twin.Parameter("k", RATE), twin.Parameter("A0", START)],
        [twin.Reaction("loss", "A ->", "k * A")],
        observables=[twin.Observable("y", "A")],
    )
    estimates = [
        twin.Estimate("k", 0.05, 5.0, per="subject", between=BETWEEN),
        twin.Estimate("A0", 1.0, 100.0),
        twin.Estimate("sd", 0.03, 3.0, nominal=NOISE),
    ]
    return calibration.Problem(model, table, estimates, twin.Noise("normal", "sd"))


def assessed(number: int, seed: int, discrepancy: bool = True) -> dict[str, Any]:
    """What an assessment of a dataset says: every judgement (True: passed, False: an alarm, None: not judged)."""
    begin = time.perf_counter()
    report = calibration.assess(decay(number, seed), "time", seed=seed + number, discrepancy=discrepancy, quiet=True,
                                **SETTINGS)  # fmt: skip
    judged = {"verdict: worse": report.verdict.label != "worse"}
    judged |= {f"verdict: {word}": report.verdict.calibration != word for word in ("too narrow", "too wide")}
    values = {}
    for table in report.layers.values():
        for row in table.to_dict("records"):
            judged[row["key"]] = None if row["passed"] is None else bool(row["passed"])
            values[row["key"]] = float(row["value"])
    gap = {name: float(getattr(report.gap, name)) for name in ("value", "low", "high")}
    return {
        "number": number,
        "seed": seed,
        **SETTINGS,
        "label": report.verdict.label,
        "gap": gap,
        "judged": judged,
        "values": values,
        "seconds": time.perf_counter() - begin,
    }


def kept(path: Path, seed: int) -> list[dict[str, Any]]:
    """Lines of the file that are of this seed and these settings; a line that was cut off is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if row["seed"] == seed and all(row[name] == value for name, value in SETTINGS.items()):
            found.append(row)
    return found


def run(datasets: int, seed: int, path: Path, part: int, parts: int, discrepancy: bool) -> list[dict[str, Any]]:
    """Assess the datasets of this part that the file lacks, and say after each how many alarms there were so far."""
    done = {row["number"] for row in kept(path, seed)}
    for number in range(part, datasets, parts):
        if number in done:
            continue
        row = assessed(number, seed, discrepancy)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        rows = [row for row in kept(path, seed) if row["number"] < datasets]
        counts = [f"{key} {raised}" for key, raised, _ in alarms(rows) if raised]
        print(f"{len(rows)} of {datasets}, {row['seconds']:.0f} s: {', '.join(counts) or 'no alarm'}", flush=True)
    return [row for row in kept(path, seed) if row["number"] < datasets]


def alarms(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, int, int]]:
    """Every check that could raise an alarm: its key, how often it did, and how often it was judged."""
    keys = dict.fromkeys(key for row in rows for key, passed in row["judged"].items() if passed is not None)
    for key in keys:
        found = [row["judged"].get(key) for row in rows]
        yield key, found.count(False), len(found) - found.count(None)


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table: alarms among the datasets that have the check, with the exact 95 % interval of the rate."""
    yield "| check | alarms | rate, 95 % interval | stated | judged |"
    yield "| --- | ---: | --- | ---: | ---: |"
    for key, raised, judged in alarms(rows):
        present = sum(key in row["judged"] for row in rows)
        ends = binomtest(raised, present).proportion_ci(0.95)
        stated = f"{100 * STATED[key]:g} %" if key in STATED else "–"
        interval = f"{100 * raised / present:.0f} % ({100 * ends.low:.1f} to {100 * ends.high:.1f})"
        yield f"| `{key}` | {raised} of {present} | {interval} | {stated} | {judged} |"


def main() -> None:
    """Print the table of false alarms."""
    parser = argparse.ArgumentParser(description="False alarms of whole assessments")
    parser.add_argument("--datasets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("false_alarms.jsonl"), help="a line per dataset; goes on")
    parser.add_argument("--part", default="0/1", metavar="I/N", help="this share of the datasets")
    parser.add_argument("--without-discrepancy", action="store_false", dest="discrepancy", help="a third less time")
    asked = parser.parse_args()
    rows = run(asked.datasets, asked.seed, asked.out, *map(int, asked.part.split("/")), asked.discrepancy)
    print("\n".join(table(rows)))
    labels = [row["label"] for row in rows]
    print("verdicts: " + ", ".join(f"{labels.count(label)} {label}" for label in sorted(set(labels))))
    print(f"{len(rows)} datasets, median {np.median([row['seconds'] for row in rows]):.0f} s each")


if __name__ == "__main__":
    main()
