"""Claim: grades, and an instrument that saturates in a way nobody measured, still tell how fast a drug leaves.

A drug leaves by exp(-k t) after three doses. One laboratory writes grades 1 to 5 only. Another reads a dye that
saturates with the amount, and has no calibration curve. The rate is estimated from either, thresholds and curve with
it, and for comparison from the dye as if it were proportional to the amount. Writes out/qualitative_readings.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import calibration
import twin

RATE, DOSES = 0.4, (1.0, 2.0, 4.0)
TIMES = np.repeat(np.arange(0.0, 8.5, 0.5), 2)
THRESHOLDS = (0.3, 0.8, 1.5, 2.5)
SCATTER, SD = 0.25, 0.02

DRUG = twin.Model(
    "drug",
    states=[twin.State("A", 0.0)],
    parameters=[twin.Parameter("k", RATE)],
    reactions=[twin.Reaction("loss", "A ->", "k * A")],
    observables=[twin.Observable("amount", "A")],
)
EXPERIMENTS = {f"dose {dose:g}": twin.Experiment(initial={"A": dose}) for dose in DOSES}
SHARED = [twin.Estimate("k", 0.05, 5.0, nominal=1.0)]


def dye(amount: np.ndarray) -> np.ndarray:
    """What the instrument shows, and nobody knows."""
    return 0.1 + amount**1.5 / (0.7 + amount**1.5)


def table(values: np.ndarray) -> pd.DataFrame:
    """Readings of all doses, dose by dose."""
    experiment, time = (part.ravel() for part in np.meshgrid(list(EXPERIMENTS), TIMES, indexing="ij"))
    return pd.DataFrame({"experiment": experiment, "observable": "amount", "time": time, "value": values})


def rate_of(problem: calibration.Problem, inner: bool) -> tuple[float, float, np.ndarray]:
    """The rate, its standard error, and the whole vector."""
    found = calibration.fit(problem, starts=8, seed=0, inner=inner, quiet=True).best
    at = problem.names.index("k")
    rate = float(problem.parameters.linear(found)[at])
    # The estimate is a decadic logarithm; its error is that of the rate by the delta method.
    error = float(calibration.fisher_information(problem, found).standard_errors[at]) * rate * np.log(10.0)
    return rate, error, found


def main() -> None:
    """Estimate the rate three times and draw what was found."""
    rng = np.random.default_rng(4)
    amount = np.concatenate([dose * np.exp(-RATE * TIMES) for dose in DOSES])
    graded = table(1.0 + np.searchsorted(THRESHOLDS, amount + SCATTER * rng.normal(size=amount.shape)))
    dyed = table(dye(amount) + SD * rng.normal(size=amount.shape))

    grades = calibration.ordinal(DRUG, graded, "amount", within=(0.0, 4.0), noise=twin.Noise("normal", SCATTER))
    curve = calibration.monotone(DRUG, dyed, "amount", within=(0.0, 4.0), pieces=10, noise=twin.Noise("normal", "sd"))
    noise = twin.Estimate("sd", 0.001, 1.0, nominal=0.05)
    gain = twin.Estimate("gain", 0.01, 10.0, nominal=0.3)
    plain = twin.Model(
        "drug", DRUG.states, [*DRUG.parameters, twin.Parameter("gain", 1.0)], DRUG.reactions,
        observables=[twin.Observable("amount", "gain * A")],
    )  # fmt: skip
    problems = {
        "grades": calibration.Problem(
            grades.model, grades.measurements, [*SHARED, *grades.estimates], grades.noise, experiments=EXPERIMENTS
        ),
        "dye, curve unknown": calibration.Problem(
            curve.model, curve.measurements, [*SHARED, noise, *curve.estimates], curve.noise, experiments=EXPERIMENTS
        ),
        "dye as if proportional": calibration.Problem(
            plain, dyed, [*SHARED, noise, gain], twin.Noise("normal", "sd"), experiments=EXPERIMENTS
        ),
    }
    found = {name: rate_of(problem, inner=name.startswith("dye, ")) for name, problem in problems.items()}
    for name, (rate, error, _) in found.items():
        print(f"{name:<23}: rate {rate:.3f} ± {error:.3f} (truth {RATE})")
    heights = curve.heights(problems["dye, curve unknown"], found["dye, curve unknown"][2])[0]
    path = Path("out") / "qualitative_readings.png"
    draw(graded, dyed, curve.knots, heights, path)
    print(f"Picture: {path}")
    near = {name: abs(rate - RATE) < 3.0 * error for name, (rate, error, _) in found.items()}
    assert near == {"grades": True, "dye, curve unknown": True, "dye as if proportional": False}, near
    print("Claim: grades and an unknown, saturating curve tell the rate; taking the curve for a line does not.")


def draw(graded: pd.DataFrame, dyed: pd.DataFrame, knots: np.ndarray, heights: np.ndarray, path: Path) -> None:
    """Grades over time on the left, the curve that was found beside the true one on the right."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (name, rows) in enumerate(graded.groupby("experiment", sort=True)):
        shift = 0.12 * (number - 1)
        left.plot(rows["time"] + shift, rows["value"] + shift, "os^"[number], ms=4, alpha=0.7, label=name)
    left.set(xlabel="time", ylabel="grade", title="what one laboratory writes", yticks=range(1, 6))
    left.legend(frameon=False, fontsize=8)
    fine = np.linspace(knots[0], knots[-1], 200)
    right.plot(fine, dye(fine), color="0.6", lw=4, label="what the instrument does")
    right.plot(knots, heights, "o-", color="C3", ms=4, label="found from the readings alone")
    right.set(xlabel="amount", ylabel="dye", title="the other's instrument")
    right.legend(frameon=False, fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
