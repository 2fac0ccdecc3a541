"""Claim: real readings decide between mechanisms, and say where they do not.

Theophylline of twelve subjects after an oral dose, with three rival ways into the blood: at once, by first-order
absorption, and through one more compartment first. Weighed by information criteria, because these need fits only; with
--loo also by leave-one-out prediction of each reading, which takes a minute more and says the same.

    uv run python examples/rival_mechanisms.py [--loo]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import calibration
import twin
from twin import library

SAMPLING = {"chains": 2, "warmup": 150, "draws": 200}
"""Of --loo."""
STUDY = library.study("theophylline")
FIRST_ORDER = library.load_model(STUDY.model)


def at_once() -> twin.Model:
    """The dose is in the blood when it is taken: ka far above anything the readings can resolve."""
    return replace(
        FIRST_ORDER,
        name="at_once",
        states=tuple(state for state in FIRST_ORDER.states if state.name != "gut"),
        parameters=tuple(parameter for parameter in FIRST_ORDER.parameters if parameter.name != "ka"),
        reactions=tuple(reaction for reaction in FIRST_ORDER.reactions if reaction.name != "absorption"),
    )


def delayed() -> twin.Model:
    """One more compartment with the same rate constant before the blood: no parameter more, and a delay."""
    kept = tuple(reaction for reaction in FIRST_ORDER.reactions if reaction.name != "absorption")
    new = (
        twin.Reaction("release", "gut -> transit", "ka * gut"),
        twin.Reaction("absorption", "transit -> body", "ka * transit"),
    )
    transit = twin.State("transit", 0.0, "milligram/kilogram", "Drug on its way")
    return replace(FIRST_ORDER, name="delayed", states=(*FIRST_ORDER.states, transit), reactions=(*new, *kept))


def problem(model: twin.Model) -> calibration.Problem:
    """A mechanism with the study's readings, noise and estimates, as far as it has their parameters."""
    into = "gut" if "gut" in model.state_names else "body"
    doses = {
        name: replace(experiment, doses=tuple(replace(dose, target=into) for dose in experiment.doses))
        for name, experiment in STUDY.experiments.items()
    }
    estimates = [each for each in STUDY.estimates if into == "gut" or each.name != "ka"]
    table = library.dataset(STUDY.dataset).load()
    return calibration.Problem(model, table, estimates, STUDY.noise, experiments=doses, name=model.name)


def main() -> None:
    """Compare the three."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--loo", action="store_true", help="also by leave-one-out prediction")
    by = ("AICc", "BIC", "loo") if parser.parse_args().loo else ("AICc", "BIC")
    rivals = {"first-order": problem(FIRST_ORDER), "at once": problem(at_once()), "delayed": problem(delayed())}
    found = calibration.compare(rivals, by, starts=8, sampling=SAMPLING, quiet=True)
    print(found)
    Path("out").mkdir(exist_ok=True)
    found.to_png("out/rival_mechanisms.png")
    worse, weight = found.table["AICc_difference"], found.table["AICc_weight"]
    print(
        f"\nClaim: absorption at once is refuted (AICc {worse['at once']:.0f} worse); between the other two the "
        f"weights decide ({weight['delayed']:.3f} for the delay), the twelve subjects do not."
    )
    assert found.best("AICc") == "delayed" and weight["delayed"] > 0.99
    assert found.certainty("AICc") == {"first-order": "not clear", "at once": "clear"}


if __name__ == "__main__":
    main()
