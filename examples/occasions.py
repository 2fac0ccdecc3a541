"""Claim: what differs between patients and what between their visits is told apart; left out, visits look like noise.

Twenty-four simulated patients take the same oral dose on three visits, as an event table with EVID 4 has it. Clearance
differs between patients (spread 0.3 on the logarithmic scale) and again between the visits of one patient (0.2), volume
between patients only; readings have 10 % noise. The truth comes from the closed form, not from our solver. Two fits:
one knows of visits (`between_occasions`), one does not.

Run: uv run python examples/occasions.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

import twin
from calibration import Problem
from calibration.population import PopulationFit, fit_population, importance_sampling

PATIENTS, VISITS, DOSE = 24, 3, 100.0
HOURS = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0])
TRUTH = {
    "CL": 5.0,
    "CL_between": 0.3,
    "CL_between_occasions": 0.2,
    "V": 40.0,
    "V_between": 0.2,
    "ka": 1.2,
    "cv": 0.1,
}
KNOWS, DOES_NOT = "#0072b2", "#d55e00"


def event_table(path: Path, seed: int = 1000) -> tuple[Path, pd.DataFrame]:
    """A simulated study as a NONMEM table, and the true clearances of patients and visits [l/h].

    The seed is the first of `tests/benchmarks/occasion_coverage.py`, which fits twenty such studies.
    """

    rng = np.random.default_rng(seed)
    lines, clearances, ka = ["ID,TIME,DV,AMT,EVID"], [], TRUTH["ka"]
    for patient in range(1, PATIENTS + 1):
        own = TRUTH["CL"] * np.exp(TRUTH["CL_between"] * rng.normal())
        volume = TRUTH["V"] * np.exp(TRUTH["V_between"] * rng.normal())
        for visit in range(VISITS):
            clearance = own * np.exp(TRUTH["CL_between_occasions"] * rng.normal())
            clearances.append((str(patient), visit, own, clearance))
            ke = clearance / volume
            course = DOSE * ka / (volume * (ka - ke)) * (np.exp(-ke * HOURS) - np.exp(-ka * HOURS))
            readings = course * (1.0 + TRUTH["cv"] * rng.normal(size=len(HOURS)))
            # A visit begins with a reset of the system and a dose; its clock starts anew.
            lines.append(f"{patient},0,.,{DOSE:g},{1 if visit == 0 else 4}")
            lines += [f"{patient},{time:g},{value:.5f},.,0" for time, value in zip(HOURS, readings, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, pd.DataFrame(clearances, columns=["patient", "visit", "own", "clearance"])


def problem(path: Path, *, with_visits: bool) -> Problem:
    """One compartment with absorption; clearance differs between patients and, if wished, between their visits."""
    oral = twin.Model(
        "oral",
        states=[twin.State("gut", 0.0, "mg"), twin.State("body", 0.0, "mg")],
        parameters=[
            twin.Parameter("ka", 1.0, "1/hour"),
            twin.Parameter("CL", 4.0, "l/hour"),
            twin.Parameter("V", 50.0, "l"),
        ],
        reactions=[twin.Reaction("absorption", "gut -> body", "ka * gut")],
        odes={"body": "-CL / V * body"},
        observables=[twin.Observable("conc", "body / V", "mg/l")],
        time_unit="hour",
    )
    table = twin.read_event_table(path, oral, doses="gut", observables="conc")
    spread = twin.Prior("half_normal", scale=0.5)
    visits = spread if with_visits else None
    estimates = [
        twin.Estimate("CL", 0.5, 50.0, scale="log", per="subject", between=spread, between_occasions=visits),
        twin.Estimate("V", 4.0, 400.0, scale="log", per="subject", between=spread),
        twin.Estimate("ka", 0.1, 10.0, scale="log"),
        twin.Estimate("cv", 0.01, 1.0, scale="log", nominal=0.2),
    ]
    noise = twin.Noise("normal", "cv * conc")
    return Problem(oral, table.measurements, estimates, noise, experiments=table.experiments)


def draw(knows: PopulationFit, does_not: PopulationFit, truth: pd.DataFrame, path: Path) -> None:
    """Clearances of the visits against the true ones, and the estimated numbers over the true ones."""
    figure = Figure(figsize=(9.5, 4.0), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    of_visits = knows.occasions["CL"].to_numpy()
    left.plot(truth["clearance"], of_visits, "o", color=KNOWS, markersize=4, label="of the visit")
    alone = does_not.individuals["CL"].reindex(truth["patient"]).to_numpy()
    left.plot(truth["clearance"], alone, "o", color=DOES_NOT, markersize=4, fillstyle="none", label="visits left out")
    ends = [truth["clearance"].min() * 0.9, truth["clearance"].max() * 1.1]
    left.plot(ends, ends, color="0.6", linewidth=0.8)
    left.set(xscale="log", yscale="log", xlabel="true clearance of the visit [l/h]", ylabel="estimate [l/h]")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(FixedLocator([2, 5, 10]))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    left.legend(frameon=False, fontsize=8)
    for found, colour, shift, label in ((knows, KNOWS, 0.12, "with visits"), (does_not, DOES_NOT, -0.12, "without")):
        for row, (name, value) in enumerate(TRUTH.items()):
            if name not in found.table.index:
                continue
            lower, upper, estimate = found.table.loc[name, ["lower", "upper", "estimate"]] / value
            right.plot([lower, upper], [row - shift] * 2, color=colour, linewidth=1.6)
            right.plot(estimate, row - shift, "o", color=colour, markersize=5, label=label if row == 0 else None)
    right.axvline(1.0, color="0.6", linewidth=0.8)
    right.set_yticks(range(len(TRUTH)), list(TRUTH))
    right.invert_yaxis()
    right.set_xlabel("estimate over true value (95 % intervals)")
    right.legend(frameon=False, fontsize=8)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main(folder: Path = Path("out")) -> None:
    """Simulate, fit twice, compare with the truth."""
    path, truth = event_table(folder / "occasions.csv")
    knows = fit_population(problem(path, with_visits=True), starts=1, quiet=True)
    does_not = fit_population(problem(path, with_visits=False), starts=1, quiet=True)
    table = knows.table[["estimate", "se"]].assign(without=does_not.table["estimate"], se_without=does_not.table["se"])
    table.insert(0, "truth", pd.Series(TRUTH))
    print(table.round(4).to_string())
    print("shrinkage:", knows.shrinkage.round(3).to_dict())
    for name, found in (("with visits", knows), ("without", does_not)):
        sampled = importance_sampling(found, draws=200)
        print(
            f"{name}: -2 log-likelihood {found.objective:.2f}, by importance sampling {sampled.objective:.2f} "
            f"(Monte-Carlo error {sampled.error:.2f})"
        )
    away = {n: float((knows.table.loc[n, "estimate"] - x) / knows.table.loc[n, "se"]) for n, x in TRUTH.items()}
    print("away from the truth, in standard errors:", {name: round(x, 2) for name, x in away.items()})
    draw(knows, does_not, truth, folder / "occasions.png")
    of_visits = np.corrcoef(np.log(truth["clearance"]), np.log(knows.occasions["CL"]))[0, 1]
    print(f"correlation of true and estimated clearances of the {len(truth)} visits: {of_visits:.3f}")
    assert knows.converged and does_not.converged
    assert max(map(abs, away.values())) < 2.0
    noise = does_not.table.loc["cv", "estimate"] / TRUTH["cv"]
    assert noise > 1.5
    print(
        f"Claim: all numbers lie within {max(map(abs, away.values())):.1f} standard errors of the truth; "
        f"with visits left out the noise comes out {noise:.1f} times too large."
    )


if __name__ == "__main__":
    main()
