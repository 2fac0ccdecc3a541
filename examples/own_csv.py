"""Claim: a CSV from the laboratory, with units of its own, is fitted as it is, and the intervals hold the truth.

The table is made here from known parameters, in minutes and ng/mL, while the model counts in hours and mg/L: the units
in the headers are all that is needed.

    uv run python examples/own_csv.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import calibration
import models
import twin

TRUTH = {"ka": 1.2, "CL": 0.05, "V": 0.55}
"""Absorption [1/h], clearance [L/h/kg] and volume [L/kg] of the person who was measured."""
NOISE = 0.08
MINUTES = (15, 30, 60, 90, 120, 240, 360, 540, 720, 1440)
DOSE = 5.0


def write_table(path: Path, model: twin.Model, experiment: twin.Experiment) -> None:
    """A laboratory's table: one person, time in minutes, concentration in ng/mL."""
    hours = np.array(MINUTES) / 60.0
    milligram_per_litre = twin.simulate(model, hours, TRUTH, experiment)["concentration"].to_numpy()
    scatter = np.exp(NOISE * np.random.default_rng(7).standard_normal(len(hours)))
    rows = [f"{t},{1000.0 * c:.1f}" for t, c in zip(MINUTES, milligram_per_litre * scatter, strict=True)]
    path.write_text("\n".join(["time [min],conc [ng/mL]", *rows, ""]), encoding="utf-8")


def main(folder: Path = Path("out")) -> None:
    """Write the table, fit it, sample, print intervals."""
    folder.mkdir(parents=True, exist_ok=True)
    model = models.load("theophylline")
    experiment = twin.Experiment(doses=[twin.Bolus("gut", DOSE)], description=f"{DOSE} mg/kg by mouth")
    path = folder / "own_csv.csv"
    write_table(path, model, experiment)
    print(path.read_text(encoding="utf-8"))

    # Without an experiment column every row belongs to "default".
    problem = calibration.Problem(
        model,
        path,
        estimates=[
            twin.Estimate("ka", 0.1, 10.0),
            twin.Estimate("CL", 0.005, 0.5),
            twin.Estimate("V", 0.05, 5.0),
            twin.Estimate("sd_log", 0.01, 1.0, nominal=0.1),
        ],
        noise=twin.Noise("log_normal", "sd_log"),
        experiments={"default": experiment},
        name="own CSV",
        solver="tsit5",  # not stiff: the explicit method compiles faster
    )
    fit = calibration.fit(problem, starts=16, seed=0, quiet=True)
    print(fit)
    posterior = calibration.sample(
        problem, seed=0, initial=fit, chains=2, warmup=200, draws=250, predictive=False, quiet=True
    )["posterior"]

    print("\n              truth   median   90 % interval")
    inside = []
    for name, truth in {**TRUTH, "sd_log": NOISE}.items():
        low, middle, high = np.quantile(posterior[name], [0.05, 0.5, 0.95])
        unit = model.unit(name) if name in model.parameter_names else ""
        print(f"  {name:<8} {truth:9.4g} {middle:8.4g}   {low:.4g} to {high:.4g} {unit}")
        inside.append(low <= truth <= high)
    print(
        f"\nClaim: {sum(inside)} of {len(inside)} true values lie in their 90 % intervals; no unit was converted here."
    )
    assert problem.measurements.table["time"].max() == 24.0
    assert sum(inside) >= 3


if __name__ == "__main__":
    main()
