"""The form of a page of stores: its answers are the query, so that keyboards, links and the way back just work."""

from __future__ import annotations

from collections.abc import Sequence

from twin.markup import Markup, join, tag
from twin.web.store.runs import Runs
from twin.web.store.view import CUMULATIVE, HISTOGRAM, MOST_SHOWN, View, endpoints_of, key_of, outputs_of

type Option = tuple[str, str]


def form(runs: Runs, view: View) -> Markup:
    """All that can be chosen."""
    several = len(runs) > 1
    parts: list[Markup | None] = []
    for place, run in enumerate(runs):
        key, chosen = key_of("arm", place), view.arms[place]
        boxes = [_box(key, arm, arm, arm in chosen) for arm in run.arms]
        legend = f"Arms of {run.label}" if several else "Arms"
        parts.append(tag("fieldset", tag("legend", legend), tag("div", *boxes, class_="arms")))
    if view.output:
        outputs = [(name, name) for name in outputs_of(runs)]
        axis = _box("log", "1", "logarithmic axis", view.log)
        parts.append(_group(_choice("Courses of", "output", outputs, view.output), axis))
    endpoints = [(name, name) for name in endpoints_of(runs)]
    shapes = [(CUMULATIVE, "shares at or below"), (HISTOGRAM, "histogram")]
    parts.append(
        _group(
            _choice("Endpoint", "endpoint", endpoints, view.endpoint),
            _choice("Shown as", "shape", shapes, view.shape),
            _box("log_endpoint", "1", "logarithmic axis of the endpoint", view.log_endpoint),
        )
    )
    choices = []
    for place, run in enumerate(runs):
        label = f"Reference in {run.label}" if several else "Reference"
        choices.append(
            _choice(label, key_of("reference", place), [(arm, arm) for arm in run.arms], view.references[place])
        )
    if several:
        against = [("", "arms of the same name"), *((arm, arm) for arm in runs[0].arms)]
        choices.append(_choice(f"Runs against, in {runs[0].label}", "against", against, view.against))
    parts.append(_group(*choices))
    parts.append(tag("p", tag("button", "Show", type="submit"), tag("a", "As it began", href="./"), class_="line"))
    parts.append(
        tag("p", f"At most {MOST_SHOWN} arms. The address holds all of it: keep it, or pass it on.", class_="small")
    )
    return tag("form", *parts, method="get", action="./")


def _group(*parts: Markup) -> Markup:
    return tag("div", *parts, class_="group")


def _choice(label: str, key: str, options: Sequence[Option], chosen: str) -> Markup:
    listed = [tag("option", text, value=value, selected=value == chosen) for value, text in options]
    field = f"choose-{key}"
    return tag("div", tag("label", label, for_=field), tag("select", *listed, name=key, id=field), class_="choice")


def _box(key: str, value: str, label: str, checked: bool) -> Markup:
    box = tag("input", type="checkbox", name=key, value=value, checked=checked)
    return tag("label", box, " ", label, class_="tick")


def downloads(runs: Runs, query: str) -> Markup:
    """Links to the files of this view."""
    files = [("bands.csv", "courses as CSV")] if any(run.outputs for run in runs) else []
    files += [("endpoints.csv", "endpoints as CSV"), ("responders.csv", "yes or no as CSV")]
    files += [("between.csv", "runs compared as CSV")] if len(runs) > 1 else []
    files += [("failed.csv", "failed patients as CSV")] if any(run.failures() for run in runs) else []
    for place, run in enumerate(runs, start=1):
        files.append((f"patients-{place}.nc", f"all patients{f' of {run.label}' if len(runs) > 1 else ''} as netCDF"))
    links = (tag("li", tag("a", said, href=f"download/{name}?{query}", download=True)) for name, said in files)
    return join(tag("h2", "Files of this view"), tag("ul", *links, class_="plain"))
