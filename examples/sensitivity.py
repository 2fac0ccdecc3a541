"""Claim: after one oral dose nothing tells the volume from the share absorbed, and Fisher information says so by name.

Both enter as F / V only, so the direction in which they move together has no information. Sobol's indices show when
each parameter rules the concentration. Needs the extra `sensitivity`.

    uv run python examples/sensitivity.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import calibration
import twin

HOURS = np.array([0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0])


def oral_model() -> twin.Model:
    """One compartment; a share F of the dose gets through the gut wall."""
    return twin.Model(
        "one oral dose",
        states=[twin.State("gut", 0.0, "mg"), twin.State("body", 0.0, "mg")],
        parameters=[
            twin.Parameter("ka", 1.2, "1/hour"),
            twin.Parameter("k", 0.15, "1/hour"),
            twin.Parameter("V", 30.0, "l"),
            twin.Parameter("F", 0.7),
        ],
        odes={"gut": "-ka * gut", "body": "F * ka * gut - k * body"},
        observables=[twin.Observable("conc", "body / V", "mg/l")],
        time_unit="hour",
    )


def main(folder: Path = Path("out")) -> None:
    """Information near one vector, sensitivity over all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    model, dose = oral_model(), twin.Experiment(doses=[twin.Bolus("gut", 300.0)])
    conc = twin.simulate(model, HOURS, experiment=dose)["conc"].to_numpy()
    table = pd.DataFrame(
        {"experiment": "oral", "subject": "1", "observable": "conc", "time": HOURS, "value": conc}
    ).assign(noise=np.nan, censoring="")
    estimates = [twin.Estimate("ka", 0.1, 10), twin.Estimate("k", 0.01, 1), twin.Estimate("V", 3, 300)]
    problem = calibration.Problem(
        model,
        table,
        [*estimates, twin.Estimate("F", 0.1, 1.0)],
        twin.Noise("log_normal", 0.1),
        experiments={"oral": dose},
        name="one oral dose",
    )
    information = calibration.fisher_information(problem)
    print(information)
    print(information.table().to_string(float_format="{:.3g}".format), "\n")
    information.plot().savefig(folder / "information.png", dpi=120)

    found = calibration.sensitivity(
        model,
        np.linspace(0.0, 24.0, 49),
        {
            "ka": twin.LogNormal(1.2, cv=0.5),
            "k": twin.LogNormal(0.15, cv=0.3),
            "V": twin.LogNormal(30.0, cv=0.2),
            "F": twin.Beta(7.0, 3.0),
        },
        experiment=dose,
        samples=1024,
        quiet=True,
    )
    print(found.table().to_string(index=False, float_format="{:.3g}".format))
    found.plot().savefig(folder / "sensitivity.png", dpi=120)

    total = found.to_dataset()["ST"].sel(output="conc")
    early, late = (str(total.sel(time=t).idxmax("parameter").item()) for t in (0.5, 24.0))
    print(
        f"\nClaim: of {len(problem.names)} directions {information.rank} are determined; the other one is "
        f"{information.combinations[0]}. {early} rules the concentration after half an hour, {late} after a day."
    )
    assert information.combinations == ("V^+0.71 · F^+0.71",)
    assert (early, late) == ("ka", "k")


if __name__ == "__main__":
    main()
