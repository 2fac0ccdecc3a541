"""Claim: what an assay says when it gives no number is worth using; without it rates are far off.

A virus decays by exp(-k t). The assay gives numbers from 5 to 50 only: more is ">50", less than 1 "<1", and between 1
and 5 a dilution series says no more than that. Twenty-four simulated patients, each with estimates of its own, are
fitted in three ways: with what is known of the censored readings, with their limits (or the middle of the interval)
taken for numbers, and without them. Writes out/censored_readings.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import calibration
import twin

RATE, START, SD = 0.8, 100.0, 0.4
TIMES = np.arange(0.0, 7.5, 0.5)
PATIENTS = 24

DECAY = twin.Model(
    "decay",
    states=[twin.State("virus", "V0")],
    parameters=[twin.Parameter("k", RATE), twin.Parameter("V0", START)],
    odes={"virus": "-k * virus"},
    observables=[twin.Observable("titre", "virus")],
)


def assay(true: pd.DataFrame) -> pd.DataFrame:
    """The table as the laboratory writes it."""
    read = true["value"]
    kinds = [read < 1.0, read > 50.0, read < 5.0]
    return true.assign(
        value=np.select(kinds, [1.0, 50.0, 1.0], read),
        censoring=np.select(kinds, ["left", "right", "interval"], ""),
        upper=np.where(~kinds[0] & ~kinds[1] & kinds[2], 5.0, np.nan),
    )


def patients(seed: int) -> pd.DataFrame:
    """Readings of all patients before the assay cuts them off."""
    rng = np.random.default_rng(seed)
    subject, time = (part.ravel() for part in np.meshgrid(np.arange(PATIENTS), TIMES, indexing="ij"))
    value = START * np.exp(-RATE * time + SD * rng.normal(size=time.shape))
    return pd.DataFrame({"subject": subject.astype(str), "observable": "titre", "time": time, "value": value})


def fitted(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of rate and initial titre of every patient."""
    estimates = [twin.Estimate("k", 0.05, 10, per="subject"), twin.Estimate("V0", 1, 1e5, per="subject")]
    problem = calibration.Problem(DECAY, table, estimates, twin.Noise("log_normal", SD))
    found = problem.parameters.linear(calibration.fit(problem, starts=1, seed=0, quiet=True).best)
    return found[:PATIENTS], found[PATIENTS:]


def draw(table: pd.DataFrame, found: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """One patient with the three curves, and the rates of all patients."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    one = table[table["subject"] == "0"]
    for word, marker, label in (("", "o", "number"), ("left", "v", "below limit"), ("right", "^", "above limit")):
        rows = one[one["censoring"] == word]
        left.plot(rows["time"], rows["value"], marker, color="black", label=label)
    between = one[one["censoring"] == "interval"]
    left.vlines(between["time"], between["value"], between["upper"], color="black", linewidth=2, label="in an interval")
    colours = ("tab:blue", "tab:orange", "tab:green")
    for colour, (name, (rate, start)) in zip(colours, found.items(), strict=True):
        left.plot(TIMES, start[0] * np.exp(-rate[0] * TIMES), color=colour, label=name)
    left.plot(TIMES, START * np.exp(-RATE * TIMES), "--", color="gray", label="truth")
    left.set(yscale="log", xlabel="day", ylabel="titre", title="one patient")
    left.legend(fontsize=7)
    for row, (colour, (rate, _)) in enumerate(zip(colours, found.values(), strict=True)):
        scatter = np.linspace(-0.2, 0.2, PATIENTS)
        right.plot(rate, row + scatter, "o", color=colour, alpha=0.5, markersize=4)
        right.errorbar(rate.mean(), row, xerr=2 * rate.std(ddof=1) / np.sqrt(PATIENTS), fmt="s", color="black")
    right.axvline(RATE, linestyle="--", color="gray")
    right.set_yticks(range(3), list(found))
    right.set(xlabel="estimated rate [1/day]", title=f"{PATIENTS} patients, mean ± 2 s.e.")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    table = assay(patients(seed=1))
    middle = table["upper"].fillna(table["value"])
    numbers = table.assign(value=(table["value"] + middle) / 2, censoring="").drop(columns="upper")
    seen = table[table["censoring"] == ""].drop(columns="upper")
    found = {
        "used": fitted(table),
        "as numbers": fitted(numbers),
        "left out": fitted(seen),
    }
    counts = table["censoring"].value_counts()
    print(
        f"{len(table)} readings: {counts['left']} below, {counts['right']} above, {counts['interval']} between limits"
    )
    errors = {}
    for name, (rate, _) in found.items():
        errors[name] = rate.std(ddof=1) / np.sqrt(PATIENTS)
        print(f"censored readings {name:10}: rate {rate.mean():.3f} ± {errors[name]:.3f} (truth {RATE})")
    draw(table, found, Path("out/censored_readings.png"))
    bias = {name: rate.mean() - RATE for name, (rate, _) in found.items()}
    assert abs(bias["used"]) < 3 * errors["used"]
    assert abs(bias["as numbers"]) > 5 * errors["as numbers"]
    assert abs(bias["left out"]) > 5 * errors["left out"]
    print("Claim: what an assay says when it gives no number is worth using; without it rates are far off.")


if __name__ == "__main__":
    main()
