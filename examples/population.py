"""Claim: twelve subjects as a population give the estimates that nlmixr2 prints.

Theophylline's doses and readings come as one event table, as NONMEM has it. Absorption, clearance and volume vary
between subjects, the noise is additive: the model of nlmixr2's introduction, which prints for its SAEM estimates ln ka
0.46 (standard error 0.20), ln CL 1.01 (0.084), ln V 3.45 (0.047), noise 0.694 mg/l, spreads of 72, 27 and 14 %.

Run: uv run python examples/population.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import models
import twin
from calibration import Problem
from calibration.population import fit_population, predictive_check

OUT = Path("out")
WEIGHTS = dict(
    zip(map(str, range(1, 13)), (79.6, 72.4, 70.5, 72.7, 54.6, 80, 64.6, 70.5, 86.4, 58.2, 65, 60.5), strict=True)
)
"""Body weights [kg], Boeckmann, Sheiner and Beal 1994."""
PUBLISHED = {"ka": (0.46, 0.196), "CL": (1.01, 0.0839), "V": (3.45, 0.0469)}
"""Natural logarithm and its standard error, as nlmixr2's documentation prints them for its SAEM fit."""


def event_table(path: Path) -> Path:
    """The readings of the library with doses in mg, as an event table."""
    lines = ["ID,TIME,DV,AMT"]
    for subject, rows in models.data("theophylline").groupby("subject", sort=False):
        dose = float(rows["experiment"].iloc[0].removeprefix("oral_")) * WEIGHTS[subject]
        lines.append(f"{subject},0,.,{dose:.3f}")
        lines += [f"{subject},{row.time},{row.value},." for row in rows.itertuples()]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def problem(path: Path) -> Problem:
    """Absorption, clearance and volume vary between subjects."""
    oral = twin.Model(
        "oral",
        states=[twin.State("gut", 0.0, "mg"), twin.State("body", 0.0, "mg")],
        parameters=[
            twin.Parameter("ka", 1.5, "1/hour"),
            twin.Parameter("CL", 2.8, "l/hour"),
            twin.Parameter("V", 32.0, "l"),
        ],
        reactions=[twin.Reaction("absorption", "gut -> body", "ka * gut")],
        odes={"body": "-CL / V * body"},
        observables=[twin.Observable("conc", "body / V", "mg/l")],
        time_unit="hour",
    )
    table = twin.read_event_table(path, oral, doses="gut", observables="conc")
    spread = twin.Prior("half_normal", scale=0.5)
    varying = {"ka": (0.1, 20.0), "CL": (0.3, 30.0), "V": (3.0, 300.0)}
    estimates = [
        twin.Estimate(n, low, high, scale="log", per="subject", between=spread) for n, (low, high) in varying.items()
    ]
    estimates.append(twin.Estimate("sd", 0.05, 5.0, scale="log", nominal=0.7))
    return Problem(oral, table.measurements, estimates, twin.Noise("normal", "sd"), experiments=table.experiments)


def main() -> None:
    """Fit, compare, check."""
    found = fit_population(problem(event_table(OUT / "theophylline.csv")))
    print(found)
    for name, (log_value, error) in PUBLISHED.items():
        ours = np.log(found.table.loc[name, "estimate"])
        assert abs(ours - log_value) < error, (name, ours)
        print(f"ln {name}: {ours:.3f}, published {log_value} (standard error {error})")
    assert found.converged
    print(pd.concat([found.individuals.describe().loc[["min", "50%", "max"]], found.shrinkage.to_frame().T]).round(3))
    check = predictive_check(found)
    check.plot(OUT / "population.png")
    print("p-values of the prediction errors:", check.tests().round(4).to_dict())
    print("Claim: twelve subjects as a population give the estimates that nlmixr2 prints, within its standard errors.")


if __name__ == "__main__":
    main()
