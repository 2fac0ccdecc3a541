"""Claim: against a drug that kills by time above a concentration, small frequent doses need less than rare large ones.

The time-kill twin of ampicillin is calibrated to Regoes' counts; then its constant concentration is replaced by one
that doses raise and clearance lowers. Dose and interval are sought that clear the culture within a day in 95 % of the
draws of the posterior, with the least drug and trouble, and without a peak that is thought to be toxic. Half-life,
toxic peak and the price of a dose are choices of ours. Few and short chains, to be quick.

    uv run python examples/antibiotic_regimen.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import calibration
import twin
from twin import library

HALF_LIFE = 1.2  # h
PRICE = 4.0
"""What giving a dose counts for, in microgram/milliliter of drug."""


def dosed(model: twin.Model) -> twin.Model:
    """The model with a concentration that doses raise and that decays."""
    unit = "microgram/milliliter"
    return replace(
        model,
        name="ampicillin_dosed",
        states=(*model.states, twin.State("a", 0.0, unit, "Concentration of ampicillin; receives doses")),
        parameters=(
            *(parameter for parameter in model.parameters if parameter.name != "a"),
            twin.Parameter("k_e", np.log(2.0) / HALF_LIFE, "1/hour", "Elimination of ampicillin"),
        ),
        reactions=(*model.reactions, twin.Reaction("elimination", "a ->", "k_e * a")),
    )


def posterior(draws: int = 200):
    """Draws of the twin's parameters, from all counts."""
    problem = calibration.Problem.from_study("timekill_regoes2004")
    few = {"starts": 4, "chains": 2, "warmup": 250, "draws": draws}
    return calibration.sample(problem, 1, **few, predictive=False, quiet=True)


def treatment(cohort: twin.Cohort) -> twin.Treatment:
    """Least drug and trouble that clears the culture in a day."""
    regimens = {"8 a day": (4.0, 3.0), "4 a day": (32.0, 6.0), "2 a day": (250.0, 12.0)}
    scenario = twin.Scenario(
        dosed(library.load_model("ampicillin_timekill")),
        cohort,
        np.linspace(0.0, 24.0, 97),
        {
            "left": twin.Endpoint("value", "log10_cfu", time=24.0),
            "peak": twin.Endpoint("peak", "a"),
        },
        name="antibiotic regimen",
        experiment=twin.Experiment(doses=[twin.Bolus("a", "dose", 0.0, every="interval", count=12)]),
        arms={name: {"dose": dose, "interval": interval} for name, (dose, interval) in regimens.items()},
        rtol=1e-6,
        atol=1e-6,
    )
    return twin.Treatment(
        scenario,
        {
            "dose": twin.Factor(lower=1.0, upper=500.0, scale="log"),
            "interval": twin.Factor(lower=2.0, upper=12.0),
        },
        minimise=f"(dose + {PRICE}) * 24 / interval",
        limits={
            "cleared": twin.Limit("left", 0.95, at_most=1.0),
            "not toxic": twin.Limit("peak", 0.95, at_most=128.0),
        },
        patients=128,
    )


def main(folder: Path = Path("out")) -> None:
    """Calibrate, search by gradient and by expected improvement, compare."""
    cohort = twin.Cohort.from_posterior(posterior(), 256, seed=1)
    sought = treatment(cohort)
    found = sought.optimise(folder / "regimen" / "search", method="gradient", resamples=10, progress=False)
    found.save(folder / "regimen")
    again = sought.optimise(method="bayesian", designs=72, resamples=0, progress=False)
    for name, each in (("by gradient", found), ("by expected improvement", again)):
        print(f"{name:24} {each!r}")
    print(found.regimens.to_string(index=False))
    rare = float(found.tried.query("kept and interval > 9")["goal"].min())
    print(f"\nClaim: {found.design['dose']:.1f} microgram/ml every {found.design['interval']:.1f} h clear it")
    print(f"with a price of {found.value:.0f}; intervals above 9 h need {rare:.0f} or more among what was tried.")
    assert found.kept and found.design["interval"] < 6.0
    assert abs(again.value / found.value - 1.0) < 0.05


if __name__ == "__main__":
    main()
