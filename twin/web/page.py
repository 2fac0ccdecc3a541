"""One reader's page: a view, its pictures, and what happens when something moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import panel as pn

from twin.errors import TwinError
from twin.units import pretty
from twin.web.compute import Result, compute, result_of
from twin.web.controls import Controls, spec_of
from twin.web.drawing import Pictures, colours
from twin.web.link import query_of, view_of
from twin.web.mathml import equations
from twin.web.moves import after_action, after_sliders
from twin.web.palette import TWIN
from twin.web.settings import Settings, View
from twin.web.tables import comparison, parameters_table

if TYPE_CHECKING:
    import pandas as pd

    from twin.web.served import Served


class Page:
    """State and pictures of one browser window.

    Args:
        served: What is shown.
        reports: Reports in the folder, by relative path.
        query: Query of the link that the page was opened with.
    """

    def __init__(self, served: Served, reports: Sequence[str], query: str) -> None:
        self.served, self.reports = served, reports
        self._results: dict[tuple, Result] = {}
        self._shown_readings: tuple[tuple, pd.DataFrame] = ((), served.readings)
        self.view, said = _opened(served, query)
        try:
            result = compute(served, self.view)
        except TwinError as error:
            said, self.view = str(error), served.first_view()
            result = compute(served, self.view)
        self.controls = Controls(self._heard, sizing_mode="stretch_width")
        self.courses = pn.GridBox(sizing_mode="stretch_width")
        self.endpoints = pn.GridBox(sizing_mode="stretch_width", ncols=3)
        style = _resource("page.css")
        self.status = pn.pane.HTML("", sizing_mode="stretch_width", margin=0, stylesheets=[style])
        self.table = pn.pane.HTML("", sizing_mode="stretch_width", margin=0, stylesheets=[style])
        self._rebuild(result)
        self._say(result, said)

    def template(self) -> pn.Template:
        """The whole page."""
        template = pn.Template(_resource("page.html"))
        for name in ("controls", "courses", "endpoints", "status", "table"):
            template.add_panel(name, getattr(self, name))
        model = self.served.model
        words: Mapping[str, Any] = {
            "name": model.name,
            "heading": self.served.title or model.name,
            "kind": "calibrated twin" if self.served.drawn is not None else "model",
            "description": model.description,
            "notes": list(self.served.notes),
            "facts": facts(self.served),
            "equations": equations(model),
            "parameters": parameters_table(self.served),
            "references": list(model.references),
            "reports": [(name, f"report/{quote(name)}") for name in self.reports],
            "style": _resource("page.css"),
        }
        for name, value in words.items():
            template.add_variable(name, value)
        return template

    def _heard(self, data: dict[str, Any]) -> None:
        """A message of the controls: the next view, its pictures, and an answer in any case."""
        said, shape = "", False
        try:
            view = self.view
            acts = data.get("act") or []
            moved = data.get("set") or {}
            if isinstance(moved, dict):
                view = after_sliders(self.served, view, moved)
            for name, value in acts if isinstance(acts, list) else []:
                view = after_action(self.served, view, str(name), value)
            shape = bool(acts) or _number_of_doses(view) != _number_of_doses(self.view)
            result = compute(self.served, view)
            self.view = view
        except (TwinError, TypeError, ValueError) as error:
            # A slider that moved stays where it is, so that the reader sees what could not be computed.
            said, result = str(error), None
        document = pn.state.curdoc
        if document is not None:
            document.hold("collect")
        try:
            if result is not None:
                self._rebuild(result) if shape else self._refill(result)
            elif data.get("act"):
                self.controls.spec = spec_of(self.served, self.view)
            self._say(result, said)
        finally:
            if document is not None:
                document.unhold()
        sequence = data.get("seq")
        self.controls.drawn(sequence if isinstance(sequence, int) else 0, query_of(self.view, self.served))

    def _rebuild(self, result: Result) -> None:
        """New figures and controls: something else is shown, or there is something else to set."""
        self.pictures = Pictures(self.served, self.view, result)
        self.courses.ncols = 1 if len(self.pictures.courses) == 1 else 2
        self.courses.objects = [_pane(panel.plot) for panel in self.pictures.courses]
        self.endpoints.objects = [_pane(panel.plot) for panel in self.pictures.endpoints]
        self.controls.spec = spec_of(self.served, self.view)
        self._refill(result)

    def _refill(self, result: Result) -> None:
        kept = self._kept()
        self.pictures.fill(result, [(t, c, r) for t, c, _, r in kept], self._readings())
        rows = [("as set now", TWIN, self.view.settings, result), *kept]
        self.table.object = comparison(self.served, self.view.endpoint, rows)

    def _kept(self) -> list[tuple[str, str, Settings, Result]]:
        """Results of the scenarios; each is computed once."""
        found = []
        wanted = (*self.view.shown, self.view.endpoint)
        results: dict[tuple, Result] = {}
        for scenario, colour in zip(self.view.scenarios, colours(len(self.view.scenarios)), strict=True):
            # Equal settings print alike; their mappings cannot be keys.
            key = (repr(scenario.settings), self.view.until, wanted)
            result = self._results.get(key) or result_of(self.served, scenario.settings, self.view.until, wanted)
            results[key] = result
            found.append((scenario.name, colour, scenario.settings, result))
        self._results = results
        return found

    def _words_on_readings(self) -> str:
        settings = self.view.settings
        if not len(self._readings()):
            return ""
        same = settings.doses == self.served.start(settings.experiment).doses
        return "; circles: readings" + ("" if same else " of the experiment with its own doses, not those set here")

    def _readings(self) -> pd.DataFrame:
        """Readings of the experiment and person shown."""
        key = (self.view.settings.experiment, self.view.settings.whom, self.view.until)
        if self._shown_readings[0] != key:
            self._shown_readings = (key, self._chosen_readings())
        return self._shown_readings[1]

    def _chosen_readings(self) -> pd.DataFrame:
        table, settings = self.served.readings, self.view.settings
        if len(set(table["experiment"])) > 1 or settings.experiment in set(table["experiment"]):
            table = table[table["experiment"] == settings.experiment]
        if settings.whom in set(table["subject"]):
            table = table[table["subject"] == settings.whom]
        return table[table["time"] <= self.view.until]

    def _say(self, result: Result | None, said: str) -> None:
        parts = []
        if said:
            parts.append(f'<p class="fault" role="alert">{escape(said)}</p>')
        if result is not None:
            if result.remark:
                parts.append(f'<p class="fault" role="status">{escape(result.remark)}</p>')
            who = "draws of the posterior" if self.served.drawn is not None else "virtual patients"
            parts.append(
                f'<p class="small">{result.patients:,} {who} computed in {1e3 * result.seconds:.0f} ms. Shaded: the '
                "middle 50 % and 90 %; thick: the "
                f"{'median' if self.served.drawn is not None else 'typical patient'}; thin: single patients"
                f"{self._words_on_readings()}"
                f"{'; dashed: kept scenarios' if self.view.scenarios else ''}.</p>"
            )
        self.status.object = "".join(parts)


def facts(served: Served) -> list[tuple[str, str]]:
    """What stands under the title."""
    model = served.model
    found = [("Model", model.name), ("States", str(len(model.states))), ("Parameters", str(len(model.parameters)))]
    if model.time_unit:
        found.append(("Time in", pretty(model.time_unit)))
    if served.drawn is not None and served.posterior is not None:
        found += [
            ("Draws", f"{served.drawn.count:,} of {served.posterior.size:,}"),
            ("File", served.posterior.path.name),
        ]
        if problem := str(served.posterior.attrs.get("problem", "")):
            found.append(("Problem", problem))
    if count := len(served.readings):
        found.append(("Readings", f"{count:,}"))
    return found


def _opened(served: Served, query: str) -> tuple[View, str]:
    """The view of a link, or the first one and why not."""
    try:
        return view_of(query, served), ""
    except TwinError as error:
        return served.first_view(), f"The link cannot be used, so this is the page as it begins. {error}"


def query_of_arguments(arguments: Mapping[str, Sequence[bytes]]) -> str:
    """The query of a session's arguments; repeated keys stay in order."""
    pairs = [(key, value.decode("utf-8", "replace")) for key, values in arguments.items() for value in values]
    return urlencode(pairs)


def _number_of_doses(view: View) -> list[tuple[int, bool]]:
    return [(dose.count, dose.duration > 0) for dose in view.settings.doses]


def _pane(plot: Any) -> pn.pane.Bokeh:
    return pn.pane.Bokeh(plot, sizing_mode="stretch_width", min_width=260)


def _resource(name: str) -> str:
    return resources.files("twin.web").joinpath(name).read_text(encoding="utf-8")
