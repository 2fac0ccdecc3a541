"""The section `optimise` of a scenario file, whose keys `docs/treatments.md` lists; faults name file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin.errors import ScenarioError, TwinError
from twin.located_yaml import Place, read_located
from twin.scenario.optimise.measures import Limit, Measure
from twin.scenario.optimise.treatment import Treatment
from twin.scenario.scenario_file import factor_of, located, read_scenario

SECTION = "optimise"
KEYS = ("factors", "minimise", "maximise", "limits", "arm", "patients")


def read_treatment(path: str | Path) -> Treatment:
    """Read a scenario file with a section `optimise`.

    Raises:
        ScenarioError: The file cannot be read, has no such section, or is wrong; line and key are named.
    """
    path = Path(path)
    scenario = read_scenario(path)
    top = read_located(path, ScenarioError, "a scenario")
    sections = top.mapping()
    if SECTION not in sections:
        raise top.fault("there is no section 'optimise'", "factors, minimise or maximise, limits", "docs/treatments.md")
    place = sections[SECTION]
    given = place.mapping(KEYS, ("factors",))
    arguments: dict[str, Any] = {
        "factors": {name: factor_of(item) for name, item in given["factors"].mapping().items()}
    }
    for key in ("minimise", "maximise"):
        if key in given:
            arguments[key] = _measure(given[key])
    if "limits" in given:
        arguments["limits"] = {name: _limit(item) for name, item in given["limits"].mapping().items()}
    if "arm" in given:
        arguments["arm"] = given["arm"].text()
    if "patients" in given:
        arguments["patients"] = given["patients"].whole(1)
    try:
        return Treatment(scenario, **arguments)
    except TwinError as error:
        raise located(place, error) from error


def _statistic(given: dict[str, Place]) -> dict[str, Any]:
    if "statistic" not in given:
        return {}
    place = given["statistic"]
    return {"statistic": place.number() if place.is_number() else place.text()}


def _measure(place: Place) -> Measure:
    """A formula, or {of: burden, statistic: median}."""
    if not place.is_mapping():
        return Measure(str(place.number()) if place.is_number() else place.text())
    given = place.mapping(("of", "statistic"), ("of",))
    return Measure(given["of"].text(), **_statistic(given))


def _limit(place: Place) -> Limit:
    """{of: peak, statistic: 0.95, at_most: 20}."""
    given = place.mapping(("of", "statistic", "at_most", "at_least"), ("of",))
    bounds = {key: given[key].number() for key in ("at_most", "at_least") if key in given}
    return Limit(given["of"].text(), **_statistic(given), **bounds)
