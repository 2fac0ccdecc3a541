"""A view as the query of a link, and back. Only what differs from the start is written.

p.CL=0.05             a parameter's value            dose=gut,4.02,0,0,12,6     target, amount, time, duration,
x.CL=2                a factor on calibrated draws                              interval, count; "none" for no doses
experiment=oral_4.02  an experiment of the study     until=24  spread=20  whom=typical  show=a,b  endpoint=a  log=1
scenario=name%3D...   kept settings: a query in a query
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from twin.errors import ExperimentError, suggestion
from twin.web.settings import NEW, TYPICAL, Dose, Scenario, Settings, View

LONGEST = 8000
"""Characters of a query that are read: more than the page ever writes, less than a server refuses."""
MOST_SCENARIOS = 6
NO_DOSES = "none"
_WHERE = "link"


class Known(Protocol):
    """What names in a link may refer to."""

    experiments: Sequence[str]
    states: Sequence[str]
    settable: Sequence[str]
    calibrated: Sequence[str]
    variables: Sequence[str]
    people: Sequence[str]

    def start(self, experiment: str | None = None) -> Settings:
        """Settings as the page begins with them, for an experiment or the first."""
        ...

    def first_view(self) -> View:
        """The view as the page begins."""
        ...


def query_of(view: View, known: Known) -> str:
    """The query (without "?") that restores a view."""
    first = known.first_view()
    pairs = _settings_pairs(view.settings, known)
    if view.until != first.until:
        pairs.append(("until", _number(view.until)))
    if view.shown != first.shown:
        pairs.append(("show", ",".join(view.shown)))
    if view.endpoint != first.endpoint:
        pairs.append(("endpoint", view.endpoint))
    if view.log != first.log:
        pairs.append(("log", "1" if view.log else "0"))
    for scenario in view.scenarios:
        inner = [("name", scenario.name), *_settings_pairs(scenario.settings, known)]
        pairs.append(("scenario", urlencode(inner)))
    return urlencode(pairs)


def view_of(query: str, known: Known) -> View:
    """The view that a query describes.

    Raises:
        ExperimentError: A key, name or number that cannot be used; nothing of the query is taken then.
    """
    if len(query) > LONGEST:
        raise ExperimentError(f"it has {len(query)} characters", where=_WHERE, expected=f"{LONGEST} at most")
    first = known.first_view()
    pairs = parse_qsl(query, keep_blank_values=True)
    of_view = {"until", "show", "endpoint", "log", "scenario"}
    settings = _settings([pair for pair in pairs if pair[0] not in of_view], known)
    given = {key: value for key, value in pairs if key in of_view}
    scenarios = tuple(_scenario(value, known) for key, value in pairs if key == "scenario")
    if len(scenarios) > MOST_SCENARIOS:
        raise ExperimentError(f"it has {len(scenarios)} scenarios", where=_WHERE, expected=f"{MOST_SCENARIOS} at most")
    shown = tuple(given["show"].split(",")) if "show" in given else first.shown
    for name in (*shown, given.get("endpoint", first.endpoint)):
        _one_of(name, known.variables, "variable")
    if given.get("log", "0") not in ("0", "1"):
        raise ExperimentError(f"log is {given['log']!r:.60}", where=_WHERE, expected="0 or 1")
    return View(
        settings,
        _float(given["until"], "until") if "until" in given else first.until,
        tuple(dict.fromkeys(shown)),
        given.get("endpoint", first.endpoint),
        given.get("log", "1" if first.log else "0") == "1",
        scenarios,
    )


def _settings_pairs(settings: Settings, known: Known) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    if settings.experiment != known.start().experiment:
        pairs.append(("experiment", settings.experiment))
    first = known.start(settings.experiment)
    if settings.doses != first.doses:
        pairs += [("dose", _dose_text(dose)) for dose in settings.doses] or [("dose", NO_DOSES)]
    pairs += [(f"p.{name}", _number(v)) for name, v in settings.values.items() if v != first.values.get(name)]
    pairs += [(f"x.{name}", _number(v)) for name, v in settings.factors.items() if v != 1.0]
    if settings.spread != first.spread:
        pairs.append(("spread", _number(settings.spread)))
    if settings.whom != first.whom:
        pairs.append(("whom", settings.whom))
    return pairs


def _settings(pairs: Sequence[tuple[str, str]], known: Known) -> Settings:
    plain = _unique(pairs)
    experiment = plain.pop("experiment", None)
    if experiment is not None:
        _one_of(experiment, known.experiments, "experiment")
    first = known.start(experiment)
    values, factors, doses = dict(first.values), dict(first.factors), []
    spread, whom, given = first.spread, first.whom, False
    for key, value in pairs:
        kind, _, name = key.partition(".")
        if kind == "p" and name:
            values[_one_of(name, known.settable, "parameter")] = _float(value, key)
        elif kind == "x" and name:
            factors[_one_of(name, known.calibrated, "calibrated parameter")] = _float(value, key)
        elif key == "dose":
            given = True
            doses += [] if value == NO_DOSES else [_dose(value, known)]
        elif key == "spread":
            spread = _float(value, key)
        elif key == "whom":
            whom = _one_of(value, (*known.people, TYPICAL, NEW), "person")
        elif key != "experiment":
            raise ExperimentError(
                f"it has the unknown key {key!r:.60}",
                where=_WHERE,
                fix=suggestion(key, ("experiment", "dose", "spread", "whom", "until", "show", "endpoint", "log")),
            )
    return Settings(first.experiment, tuple(doses) if given else first.doses, values, factors, spread, whom)


def _unique(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Pairs as a mapping; a key other than "dose" that comes twice would be read by guessing."""
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found and key != "dose":
            raise ExperimentError(f"{key!r:.60} is given twice", where=_WHERE, expected="every key once")
        found[key] = value
    return found


def _scenario(text: str, known: Known) -> Scenario:
    pairs = parse_qsl(text, keep_blank_values=True)
    name = next((value for key, value in pairs if key == "name"), "")
    return Scenario(name, _settings([pair for pair in pairs if pair[0] != "name"], known))


def _dose_text(dose: Dose) -> str:
    numbers = (dose.amount, dose.time, dose.duration, dose.every, dose.count)
    return ",".join([dose.target, *map(_number, numbers)])


def _dose(text: str, known: Known) -> Dose:
    target, *cells = text.split(",")
    _one_of(target, known.states, "state")
    if not 1 <= len(cells) <= 5:
        raise ExperimentError(
            f"the dose is {text!r:.80}", where=_WHERE, expected="target,amount,time,duration,interval,count"
        )
    numbers = [_float(cell, f"the dose {text!r:.80}") for cell in cells]
    if len(numbers) == 5 and not numbers[4].is_integer():
        raise ExperimentError(f"the count of {text!r:.80} is {numbers[4]:g}", where=_WHERE, expected="a whole number")
    return Dose(target, *numbers[:4], *(int(number) for number in numbers[4:]))


def _one_of(name: str, known: Sequence[str], what: str) -> str:
    if name not in known:
        raise ExperimentError(f"there is no {what} {name!r:.60}", where=_WHERE, fix=suggestion(name, known))
    return name


def _float(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ExperimentError(f"{what} is {text!r:.60}", where=_WHERE, expected="a number") from error
    if value != value or value in (float("inf"), float("-inf")):
        raise ExperimentError(f"{what} is {text}", where=_WHERE, expected="a finite number")
    return value


def _number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def merged(given: Mapping[str, float], name: str, value: float) -> dict[str, float]:
    """A mapping with one value replaced."""
    return {**given, name: value}
