"""Claim: profile likelihoods hold the truth in their intervals, and name parameters that readings cannot tell apart.

An enzyme turns a substrate over at the rate kcat E0 S / (Km + S). Only kcat E0 acts on the substrate, and where all
substrate stays below Km, little more than kcat E0 / Km does: the first is structural, the second a matter of the data.

    uv run python examples/profiles.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import calibration
import twin

TRUTH = {"kcat": 2.0, "E0": 0.5, "Km": 5.0}
"""Turnover [1/min], enzyme [uM] and Michaelis constant [uM]."""
NOISE = 0.03
TIMES = (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0)


def readings(model: twin.Model, starts: dict[str, float]) -> tuple[pd.DataFrame, dict[str, twin.Experiment]]:
    """Substrate over time from several initial amounts, with log-normal noise."""
    experiments = {name: twin.Experiment(initial={"S": amount}) for name, amount in starts.items()}
    rng, tables = np.random.default_rng(5), []
    for name, experiment in experiments.items():
        exact = twin.simulate(model, TIMES, TRUTH, experiment)["substrate"].to_numpy()
        noisy = exact * np.exp(NOISE * rng.standard_normal(len(TIMES)))
        tables.append(pd.DataFrame({"experiment": name, "observable": "substrate", "time": TIMES, "value": noisy}))
    return pd.concat(tables, ignore_index=True), experiments


def profiles_of(model: twin.Model, starts: dict[str, float]) -> calibration.Profiles:
    """Readings, fit, profiles."""
    table, experiments = readings(model, starts)
    problem = calibration.Problem(
        model,
        table,
        estimates=[twin.Estimate("kcat", 1e-2, 1e2), twin.Estimate("E0", 1e-2, 1e2), twin.Estimate("Km", 1e-2, 1e4)],
        noise=twin.Noise("log_normal", NOISE),
        experiments=experiments,
        name="enzyme",
        solver="tsit5",
    )
    return calibration.profile(problem, calibration.fit(problem, starts=12, seed=0, quiet=True), quiet=True)


def main(folder: Path = Path("out")) -> None:
    """Profile two designs, and draw the poorer one."""
    folder.mkdir(parents=True, exist_ok=True)
    model = twin.Model(
        "enzyme",
        states=[twin.State("S", 1.0)],
        parameters=[twin.Parameter(name, value) for name, value in TRUTH.items()],
        reactions=[twin.Reaction("turnover", "S ->", "kcat * E0 * S / (Km + S)")],
        observables=[twin.Observable("substrate", "S")],
    )
    poor = profiles_of(model, {"low": 0.3})
    rich = profiles_of(model, {"low": 0.3, "high": 20.0})
    print(f"substrate far below Km:\n{poor}\n\nand far above it, too:\n{rich}")
    poor.plot().savefig(folder / "profiles.png", dpi=130)

    low, high = rich.interval("Km")
    print(
        f"\nClaim: with substrate above Km its interval is {low:.2f} to {high:.2f} (truth {TRUTH['Km']:g}), "
        "without it is open; kcat and E0 are each other's compensation in both."
    )
    assert low < TRUTH["Km"] < high
    assert rich.flag("Km") == "identifiable"
    assert poor.interval("Km")[1] == np.inf
    assert rich.flag("kcat") == rich.flag("E0") == "structurally non-identifiable"
    assert dict(zip(rich.names, rich.along, strict=True))["kcat"] == ("E0",)


if __name__ == "__main__":
    main()
