"""What a message of the controls does to a view. Pure: a view and a message to the next view, or a typed error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twin.errors import ExperimentError
from twin.web.link import MOST_SCENARIOS
from twin.web.settings import MOST_DOSES, Dose, Scenario, View

if TYPE_CHECKING:
    from twin.web.served import Served

_WHERE = "control"
FIELDS = ("amount", "time", "duration", "every", "count")


def after_sliders(served: Served, view: View, moved: Mapping[str, Any]) -> View:
    """The view after some sliders have moved.

    Raises:
        ExperimentError: An unknown slider, or a value that it cannot have.
    """
    for key, value in moved.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ExperimentError(f"{key!r:.60} is {value!r:.60}", where=_WHERE, expected="a finite number")
        view = _moved(served, view, str(key), float(value))
    return view


def _moved(served: Served, view: View, key: str, value: float) -> View:
    kind, _, name = key.partition(".")
    if key == "until":
        return replace(view, until=value)
    if key == "spread":
        return view.with_settings(spread=value)
    if kind == "p" and name in served.settable:
        return view.with_settings(values={**view.settings.values, name: value})
    if kind == "x" and name in served.calibrated:
        return view.with_settings(factors={**view.settings.factors, name: value})
    index, _, field = name.partition(".")
    doses = view.settings.doses
    if kind == "dose" and field in FIELDS and index.isdecimal() and int(index) < len(doses):
        return view.with_settings(doses=_with(doses, int(index), _dose(doses[int(index)], field, value, view)))
    raise ExperimentError(f"there is nothing called {key!r:.60} to set", where=_WHERE)


def _dose(dose: Dose, field: str, value: float, view: View) -> Dose:
    if field != "count":
        return replace(dose, **{field: value})
    count = max(1, round(value))
    # A second dose needs an interval; the first guess shares what is left of the time.
    left = max(view.until - dose.time, 0.0) or 1.0
    return replace(dose, count=count, every=dose.every if dose.every > 0 or count == 1 else left / count)


def after_action(served: Served, view: View, name: str, value: Any) -> View:
    """The view after a button, a tick or a choice.

    Raises:
        ExperimentError: An unknown action, or a value that it cannot have.
    """
    action = _ACTIONS.get(name)
    if action is None:
        raise ExperimentError(f"there is no action {name!r:.60}", where=_WHERE)
    return action(served, view, value)


def _experiment(served: Served, view: View, value: Any) -> View:
    _among(value, served.experiments, "experiment")
    first = served.start(value)
    return view.with_settings(experiment=value, doses=first.doses)


def _whom(served: Served, view: View, value: Any) -> View:
    return view.with_settings(whom=_among(value, served.people, "person"))


def _endpoint(served: Served, view: View, value: Any) -> View:
    return replace(view, endpoint=_among(value, served.variables, "variable"))


def _show(served: Served, view: View, value: Any) -> View:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ExperimentError(f"what to show is {value!r:.60}", where=_WHERE, expected="a name, and whether")
    name, on = _among(value[0], served.variables, "variable"), bool(value[1])
    wanted = {*view.shown, name} if on else {*view.shown} - {name}
    if not wanted:
        raise ExperimentError("nothing would be shown", where=_WHERE, expected="at least one variable")
    return replace(view, shown=tuple(n for n in served.variables if n in wanted))


def _log(served: Served, view: View, value: Any) -> View:
    return replace(view, log=bool(value))


def _add_dose(served: Served, view: View, value: Any) -> View:
    doses = view.settings.doses
    if len(doses) >= MOST_DOSES:
        raise ExperimentError(f"there are {len(doses)} regimens", where=_WHERE, expected=f"{MOST_DOSES} at most")
    target = _among(value, served.states, "state")
    return view.with_settings(doses=(*doses, Dose(target, 1.0, served.experiment(view.settings).t0)))


def _drop_dose(served: Served, view: View, value: Any) -> View:
    doses = view.settings.doses
    index = _index(value, len(doses), "dose")
    return view.with_settings(doses=doses[:index] + doses[index + 1 :])


def _keep(served: Served, view: View, value: Any) -> View:
    name = str(value).strip() or f"scenario {len(view.scenarios) + 1}"
    kept = [s for s in view.scenarios if s.name != name]
    if len(kept) >= MOST_SCENARIOS:
        raise ExperimentError(
            f"there are {len(kept)} scenarios", where=_WHERE, expected=f"{MOST_SCENARIOS} at most", fix="forget one"
        )
    return replace(view, scenarios=(*kept, Scenario(name, view.settings)))


def _load(served: Served, view: View, value: Any) -> View:
    return replace(view, settings=view.scenarios[_index(value, len(view.scenarios), "scenario")].settings)


def _forget(served: Served, view: View, value: Any) -> View:
    index = _index(value, len(view.scenarios), "scenario")
    return replace(view, scenarios=view.scenarios[:index] + view.scenarios[index + 1 :])


def _reset(served: Served, view: View, value: Any) -> View:
    return replace(served.first_view(), scenarios=view.scenarios)


_ACTIONS = {
    "experiment": _experiment, "whom": _whom, "endpoint": _endpoint, "show": _show, "log": _log,
    "add_dose": _add_dose, "drop_dose": _drop_dose, "keep": _keep, "load": _load, "forget": _forget, "reset": _reset,
}  # fmt: skip


def _among(value: Any, known: Any, what: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise ExperimentError(f"there is no {what} {value!r:.60}", where=_WHERE)
    return value


def _index(value: Any, size: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < size:
        raise ExperimentError(f"there is no {what} number {value!r:.60}", where=_WHERE)
    return value


def _with(doses: tuple[Dose, ...], index: int, dose: Dose) -> tuple[Dose, ...]:
    return (*doses[:index], dose, *doses[index + 1 :])
