"""A scenario described by a YAML file; every fault names file, line and key. `docs/scenarios.md` lists the keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twin import library
from twin.cohort.summaries import Bands
from twin.errors import ScenarioError, TwinError
from twin.exchange import read_antimony, read_sbml
from twin.experiment.experiment import Equilibration, Experiment
from twin.experiment.notation import parse_change, parse_dose
from twin.located_yaml import Place, read_located
from twin.model.model import Model
from twin.precision import PRECISIONS
from twin.scenario.cohort_section import at, existing_file, read_cohort
from twin.scenario.endpoints import DIRECTIONS, KINDS, Endpoint
from twin.scenario.factors import Factor
from twin.scenario.scenario import Scenario

KEYS = (
    *("name", "description", "model", "cohort", "experiment", "factors", "sobol", "arms", "reference", "times"),
    *("endpoints", "derived", "responders", "bands", "solver", "seed", "optimise"),
)
REQUIRED = ("name", "model", "cohort", "times", "endpoints")
_MODEL_FILES = (".xml", ".sbml", ".ant")


def read_scenario(path: str | Path) -> Scenario:
    """Read a scenario from a YAML file; paths in it are relative to it.

    Raises:
        ScenarioError: The file cannot be read, or something in it is wrong; line and key are named.
    """
    path = Path(path)
    top = read_located(path, ScenarioError, "a scenario")
    given = top.mapping(KEYS, REQUIRED)
    seed = given["seed"].whole() if "seed" in given else 0
    model, _ = _model(given["model"], path.parent)
    arguments: dict[str, Any] = {
        "model": model,
        "cohort": read_cohort(given["cohort"], path.parent, seed),
        "times": _times(given["times"]),
        "endpoints": {name: _endpoint(place) for name, place in given["endpoints"].mapping().items()},
        "name": given["name"].text(),
        "factors": {name: factor_of(place) for name, place in _entries(given, "factors").items()},
        "derived": {name: place.text() for name, place in _entries(given, "derived").items()},
        "responders": {name: place.text() for name, place in _entries(given, "responders").items()},
        "seed": seed,
    }
    if "experiment" in given:
        arguments["experiment"] = _experiment(given["experiment"])
    if "sobol" in given:
        arguments["sobol"] = given["sobol"].whole(1)
    if "arms" in given:
        arguments |= _arms(given["arms"])
    if "reference" in given:
        arguments["reference"] = given["reference"].text()
    if "bands" in given:
        with at(given["bands"]):
            arguments["bands"] = _bands(given["bands"])
    try:
        return Scenario(**arguments, **_solver(given))
    except TwinError as error:
        raise located(top, error) from error


# The section "optimise" says what to search for, and changes nothing of a run: see `twin.scenario.optimise`.


def files_of(path: Path) -> tuple[Path, ...]:
    """The scenario file and the files that it names."""
    given = read_located(path, ScenarioError, "a scenario").mapping(KEYS, REQUIRED)
    named = [place for key, place in given["cohort"].mapping().items() if key in ("posterior", "table")]
    if Path(given["model"].text()).suffix.lower() in _MODEL_FILES:
        named.append(given["model"])
    return (path, *(path.parent / place.text() for place in named))


def located(top: Place, error: TwinError) -> TwinError:
    """The error, at the place in the file that it speaks of."""
    place, said = top, error.where or ""
    for step in re.findall(r"[^.\[\]]+", said):
        if place.is_mapping() and step in (inner := place.mapping()):
            place = inner[step]
        elif place.is_list() and step.isdigit() and 0 < int(step) <= len(place.items()):
            place = place.items()[int(step) - 1]
        else:
            break
    found = error.found if place is not top or not said else f"{said}: {error.found}"
    return place.fault(found, error.expected, error.fix)


def _entries(given: Mapping[str, Place], key: str) -> dict[str, Place]:
    return given[key].mapping() if key in given else {}


def _model(place: Place, folder: Path) -> tuple[Model, Path | None]:
    text = place.text()
    suffix = Path(text).suffix.lower()
    with at(place):
        if suffix not in _MODEL_FILES:
            return library.load_model(text), None
        path = existing_file(place, folder)
        return read_antimony(path.read_text(encoding="utf-8")) if suffix == ".ant" else read_sbml(path), path


def _times(place: Place) -> np.ndarray:
    """A list, or {stop: 10, points: 101} with an optional start."""
    if place.is_list():
        return np.array([item.number() for item in place.items()])
    given = place.mapping(("start", "stop", "points"), ("stop", "points"))
    start = given["start"].number() if "start" in given else 0.0
    stop = given["stop"].number()
    if not start < stop:
        raise given["stop"].fault(f"the end {stop:g} is not after the start {start:g}", "a later time")
    return np.linspace(start, stop, given["points"].whole(2))


def _experiment(place: Place) -> Experiment:
    """What is done, in the language of the options --dose and --change."""
    given = place.mapping(("doses", "changes", "initial", "equilibrate", "t0", "description"))

    def parsed(key: str, parse) -> tuple:
        made = []
        for item in given[key].items() if key in given else ():
            with at(item):
                made.append(parse(item.text()))
        return tuple(made)

    equilibrate = "equilibrate" in given and given["equilibrate"].one_of(("true", "false")) == "true"
    initial = {k: p.number() if p.is_number() else p.text() for k, p in _entries(given, "initial").items()}
    with at(place):
        return Experiment(
            doses=parsed("doses", parse_dose),
            changes=parsed("changes", parse_change),
            initial=initial,
            equilibrate=Equilibration() if equilibrate else None,
            t0=given["t0"].number() if "t0" in given else 0.0,
            description=given["description"].text() if "description" in given else "",
        )


def factor_of(place: Place) -> Factor:
    """Levels as a list, or {levels: [...]}, {lower: 1, upper: 2, scale: log}, each with multiply: true if they do."""
    if place.is_list():
        return Factor([item.number() for item in place.items()])
    given = place.mapping(("levels", "lower", "upper", "scale", "multiply"))
    return Factor(
        values=[item.number() for item in given["levels"].items()] if "levels" in given else (),
        lower=given["lower"].number() if "lower" in given else None,
        upper=given["upper"].number() if "upper" in given else None,
        scale=given["scale"].one_of(("lin", "log")) if "scale" in given else "lin",  # type: ignore[arg-type]  # checked
        multiply="multiply" in given and given["multiply"].one_of(("true", "false")) == "true",
    )


def _arms(place: Place) -> dict[str, Any]:
    """Levels of each arm; the key `experiment` gives one an experiment of its own."""
    arms, experiments = {}, {}
    for name, item in place.mapping().items():
        given = item.mapping()
        arms[name] = {key: level.number() for key, level in given.items() if key != "experiment"}
        if "experiment" in given:
            experiments[name] = _experiment(given["experiment"])
    if not arms:
        raise place.fault("no arms are listed", "levels of factors by name of the arm")
    return {"arms": arms, "experiments": experiments}


def _endpoint(place: Place) -> Endpoint:
    """{time_above: log10_titre, threshold: 2}: the kind is the key of the variable."""
    numbers = ("threshold", "time", "start", "stop", "otherwise")
    given = place.mapping((*KINDS, *numbers, "direction"))
    kinds = [key for key in given if key in KINDS]
    if len(kinds) != 1:
        raise place.fault(f"it has {' and '.join(kinds) or 'no kind'}", f"one of {', '.join(KINDS)}")
    return Endpoint(
        kinds[0],  # type: ignore[arg-type]  # one of KINDS
        given[kinds[0]].text(),
        **{key: given[key].number() for key in numbers if key in given},
        **({"direction": given["direction"].one_of(DIRECTIONS)} if "direction" in given else {}),  # type: ignore[arg-type]
    )


def _bands(place: Place) -> Bands:
    given = place.mapping(("levels", "variables", "resolution"))
    arguments: dict[str, Any] = {}
    if "levels" in given:
        arguments["levels"] = [item.number() for item in given["levels"].items()]
    if "variables" in given:
        arguments["variables"] = [item.text() for item in given["variables"].items()]
    if "resolution" in given:
        arguments["resolution"] = given["resolution"].whole(16)
    return Bands(**arguments)


def _solver(given: Mapping[str, Place]) -> dict[str, Any]:
    inner = given["solver"].mapping(("method", "rtol", "atol", "max_steps", "precision")) if "solver" in given else {}
    found: dict[str, Any] = {key: inner[key].number() for key in ("rtol", "atol") if key in inner}
    if "max_steps" in inner:
        found["max_steps"] = inner["max_steps"].whole(1)
    if "method" in inner:
        found["solver"] = inner["method"].one_of(("rodas5p", "tsit5"))
    if "precision" in inner:
        found["precision"] = inner["precision"].one_of(PRECISIONS)
    return found
