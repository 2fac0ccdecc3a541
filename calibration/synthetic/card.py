"""The data card of a synthetic cohort: what it is, from what it was made, what of it is realistic and what is not."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calibration.problem import Problem
    from calibration.synthetic.result import Synthetic

PACKAGES = ("cytotwin", "jax", "numpy", "scipy", "xarray")

REALISTIC = (
    "the design: experiments, doses and schedule are those of the problem's own series, in its proportions",
    "the noise law: family and scale of the problem",
)
ALWAYS_UNREALISTIC = (
    "the mechanism is taken as true: no course differs from it, which real ones do",
    "parameters of a subject are independent unless the problem says otherwise; covariates are the doses only",
    "noise is independent from reading to reading; there are no outliers beyond the noise family, no mixed-up samples",
)


def build_card(problem: Problem, settings: dict[str, Any], counts: dict[str, int], hashes: dict[str, str]) -> dict:
    """Everything needed to say what the cohort is and to make it again; no date, so that the same is the same."""
    process = settings["process"]
    realistic, not_so = list(REALISTIC), list(ALWAYS_UNREALISTIC)
    for on, name in (
        (process["jitter"] > 0, "sampling times scatter around the schedule"),
        (process["missing"] > 0, "readings are missed (completely at random)"),
        (process["dropout"] > 0, "subjects leave (whatever their course: real ones may leave because of it)"),
        (process["batches"] > 1 and process["batch_sd"] > 0, "batches differ"),
        (bool(settings["detection_limits"]), "readings below the detection limit are left-censored"),
    ):
        (realistic if on else not_so).append(name if on else f"not so here: {name}")
    if counts["negative"]:
        not_so.append(f"{counts['negative']} readings are negative, which an assay would not report")
    return {
        "problem": problem.name,
        "model": {"name": problem.model.name, "fingerprint": problem.model.fingerprint},
        "made_of": {"data": problem.measurements.source, "sha256": problem.measurements.sha256},
        **settings,
        "noise": {name: {"family": n.family, "scale": n.scale} for name, n in problem.noise.items()},
        "solver": {
            "method": problem.method.name,
            "rtol": problem.tolerance.rtol,
            "atol": problem.tolerance.atol,
        },
        "counts": counts,
        "hashes": hashes,
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "realistic": realistic,
        "not_realistic": not_so,
    }


def card_text(card: dict[str, Any]) -> str:
    """The card as Markdown."""
    facts = {
        "model": f"{card['model']['name']} (fingerprint {card['model']['fingerprint']})",
        "design and priors of": f"{card['problem']} (readings {card['made_of']['sha256']})",
        "parameters from": card["source"],
        "seed": card["seed"],
        "noise": "; ".join(f"{name}: {n['family']}, scale {n['scale']}" for name, n in card["noise"].items()),
        "process": ", ".join(f"{name} {value}" for name, value in card["process"].items()),
        "detection limits": card["detection_limits"] or "none",
        "integration": ", ".join(f"{name} {value}" for name, value in card["solver"].items()),
        "counts": ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in card["counts"].items()),
        "versions": ", ".join(f"{name} {value}" for name, value in card["versions"].items()),
    }
    lines = [f"# Synthetic cohort: {card['problem']}", "", "Simulated. No reading of it was ever made.", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), ""]
    lines += ["## SHA-256", "", *(f"- {name}: `{value}`" for name, value in card["hashes"].items()), ""]
    lines += ["## What is realistic", "", *(f"- {text}" for text in card["realistic"]), ""]
    lines += ["## What is not", "", *(f"- {text}" for text in card["not_realistic"]), ""]
    return "\n".join(lines)


def schema(synthetic: Synthetic) -> dict[str, Any]:
    """Columns of the tables with their types and units."""
    model_units = synthetic.card["units"]
    readings = {
        "experiment": "text", "subject": "text", "observable": "text", "time": f"number [{model_units['time']}]",
        "value": "number in the observable's unit", "noise": "number, or empty where the noise is a formula",
        "censoring": "'left' (the value is a detection limit that the reading lies below) or empty",
    }  # fmt: skip
    units = {name: f"number [{model_units.get(name, '')}]" for name in synthetic.parameters.columns[2:]}
    return {
        "readings.csv": readings,
        "parameters.csv": {"experiment": "text", "subject": "text", **units},
        "endpoints.csv": {
            "experiment": "text", "subject": "text", "observable": "text",
            "peak": "the observable's unit", "peak_time": model_units["time"],
            "area": f"the observable's unit times {model_units['time']}",
            "clearance_time": f"{model_units['time']}; empty where the course is not cleared by the last time",
            "last": "the observable's unit",
        },
        "observables": {name: model_units[name] for name in synthetic.trajectories["observable"].values},
    }  # fmt: skip
