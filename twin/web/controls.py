"""The panel of controls as a component: what the browser gets to draw, and what it says when something moves."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

import param
from panel.custom import JSComponent

from twin.web.link import query_of
from twin.web.palette import SCENARIOS
from twin.web.settings import NEW, TYPICAL, View
from twin.web.sliders import general, groups

if TYPE_CHECKING:
    from twin.web.served import Served


def _text(name: str) -> str:
    return resources.files("twin.web").joinpath(name).read_text(encoding="utf-8")


class Controls(JSComponent):
    """Native inputs in the browser; `spec` says which, and `heard` gets what was moved."""

    spec = param.Dict(default={}, doc="What there is to set.")

    _esm = _text("controls.js")
    _stylesheets = [_text("controls.css")]  # noqa: RUF012 (Panel's own way)

    def __init__(self, heard: Callable[[dict[str, Any]], None], **params: Any) -> None:
        super().__init__(**params)
        self._heard = heard

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict):
            self._heard(data)

    def drawn(self, sequence: int, query: str) -> None:
        """Tell the browser that the picture of a message is there."""
        self._send_msg({"seq": sequence, "query": query})


def spec_of(served: Served, view: View) -> dict[str, Any]:
    """What the controls show of a view; plain values only."""
    names = {TYPICAL: "typical patient", NEW: "new patients, as different as the calibrated ones"}
    settings = view.settings
    return {
        "experiments": [[name, name or "nothing is done"] for name in served.experiments],
        "experiment": settings.experiment,
        "people": [[name, names.get(name, f"subject {name}")] for name in served.people],
        "whom": settings.whom,
        "variables": list(served.variables),
        "states": list(served.states),
        "shown": list(view.shown),
        "endpoint": view.endpoint,
        "log": view.log,
        "general": general(served, view),
        "groups": groups(served, view),
        "scenarios": [scenario.name for scenario in view.scenarios],
        "colours": list(SCENARIOS),
        "query": query_of(view, served),
    }
