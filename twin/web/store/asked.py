"""What was asked of each run: model, patients, arms with their levels, endpoints as formulas, seeds, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from twin.markup import Markup, join, tag
from twin.units import pretty
from twin.web.store.runs import Run, Runs
from twin.web.store.words import labelled, number, table

UNSAID = "not said by this store; resume the run to add it"
SHORT = 12
"""Letters of a fingerprint that are shown; the whole one is its tooltip."""
FINGERPRINTS = {
    "fingerprint": "Fingerprint",
    "model_fingerprint": "of the model",
    "cohort_fingerprint": "of the patients",
}


def facts(runs: Runs) -> Markup:
    """What stands under the title."""
    found = []
    for run in runs:
        terms = [("Run", run.label)] if len(runs) > 1 else []
        terms += [("Model", run.attrs["model"]), ("Patients", f"{run.patients:,}"), ("Arms", str(len(run.arms)))]
        failed = sum(len(failure.patients) for failure in run.failures())
        terms += [("Failed", f"{failed:,} of {run.patients * len(run.arms):,} integrations")]
        found.append(tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in terms)))
    return join(*found)


def what_was_asked(runs: Runs) -> Markup:
    """A list per run, and its arms."""
    return join(*(_run(runs, run) for run in runs))


def _run(runs: Runs, run: Run) -> Markup:
    terms = [tag("div", tag("dt", term), tag("dd", said)) for term, said in _terms(run)]
    head = tag("h3", run.label) if len(runs) > 1 else None
    return join(head, tag("dl", *terms, class_="asked"), _arms(run))


def _terms(run: Run) -> Iterator[tuple[str, object]]:
    attrs = run.attrs
    yield "Folder", run.folder.resolve().name
    yield "Model", attrs["model"]
    yield "Patients", f"{run.patients:,}: " + ", ".join(_parameters(run))
    yield "What is done", _lines(_experiments(attrs))
    yield "Sampled", _sampled(run)
    yield "Outputs with courses", ", ".join(run.outputs) or "none: the scenario has no bands"
    defined = {labelled(name, run.unit(name)): run.definition(name) or UNSAID for name in run.endpoints}
    yield "Endpoints", _lines(f"{name} = {formula}" for name, formula in defined.items())
    if run.criteria:
        yield "Yes or no", _lines(f"{name}: {run.definition(name)}" for name in run.criteria)
    yield "Reference", run.reference
    yield "Seed", f"{attrs['seed']}; of the patients {_or(attrs['cohort_seed'], 'none')}" if "seed" in attrs else UNSAID
    steps = f"at most {attrs['max_steps']:,} steps"
    yield "Solver", f"{attrs['solver']}, rtol {attrs['rtol']:g}, atol {attrs['atol']:g}, {steps}"
    yield "Versions", ", ".join(f"{k} {v}" for k, v in run.versions.items()) or "not noted when the run began"
    for key, what in FINGERPRINTS.items():
        yield what, tag("code", str(attrs[key])[:SHORT], title=attrs[key])


def _or(value: object, otherwise: str) -> str:
    return otherwise if value is None else str(value)


def _parameters(run: Run) -> list[str]:
    """Names of what patients differ in, or share."""
    return [str(name) for name in run.ds.coords if run.ds[name].dims == ("patient",)]


def _experiments(attrs: Mapping[str, object]) -> Iterator[str]:
    said = attrs.get("experiments")
    if not isinstance(said, dict):
        yield UNSAID
        return
    for arm, lines in said.items():
        yield (f"{arm}: " if arm else "") + ("; ".join(map(str, lines)) or "nothing")


def _sampled(run: Run) -> str:
    unit = f" {pretty(run.time_unit)}" if pretty(run.time_unit) else ""
    return f"{len(run.times)} times, {number(run.times[0])} to {number(run.times[-1])}{unit}"


def _lines(texts: Iterator[str]) -> Markup:
    return join(*texts, by=Markup("<br>"))


def _arms(run: Run) -> Markup | None:
    """Levels of the factors in each arm."""
    if "level" not in run.ds:
        return None
    factors, levels = [str(name) for name in run.ds["factor"].to_numpy()], run.ds["level"].to_numpy()
    rows = [
        [arm, *("own" if np.isnan(level) else number(level) for level in row)]
        for arm, row in zip(run.arms, levels, strict=True)
    ]
    return table(["Arm", *factors], rows, "Levels of the factors; own: as each patient has it")
