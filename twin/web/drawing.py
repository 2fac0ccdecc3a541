"""The pictures of the page: Bokeh figures made once, whose sources are then filled anew at every move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from twin.units import pretty
from twin.web.compute import Course, Result
from twin.web.endpoints import NAMES, histogram
from twin.web.palette import BAND_50, BAND_90, INK, MUTED, READING, RULE, SCENARIOS, TWIN

if TYPE_CHECKING:
    from twin.web.served import Served
    from twin.web.settings import View

HEIGHT, HISTOGRAM_HEIGHT = 270, 210


def labelled(name: str, unit: str) -> str:
    """A name with its unit in brackets."""
    shown = pretty(unit)
    return f"{name} [{shown}]" if shown and shown != "dimensionless" else name


class CoursePanel:
    """One variable against time: bands, a few patients, the typical one, readings, and kept scenarios.

    Args:
        served: What is shown.
        course: Its first course.
        log: Whether the vertical axis is logarithmic.
    """

    def __init__(self, served: Served, course: Course, log: bool) -> None:
        self.name, self.log = course.name, log
        self._marked: pd.DataFrame | None = None
        self._bands = ColumnDataSource({name: [] for name in ("t", "q05", "q25", "q50", "q75", "q95", "middle")})
        self._some = ColumnDataSource({"t": [], "value": []})
        self._dots = ColumnDataSource({"t": [], "value": [], "subject": [], "censoring": []})
        self._kept = ColumnDataSource({"xs": [], "ys": [], "colour": [], "title": []})
        plot = figure(
            height=HEIGHT,
            sizing_mode="stretch_width",
            y_axis_type="log" if log else "linear",
            title=labelled(course.name, course.unit),
            x_axis_label=labelled("time", served.model.time_unit),
            toolbar_location="above",
            tools="pan,wheel_zoom,box_zoom,reset,save,hover",
            active_scroll=None,
        )
        dress(plot)
        plot.varea("t", "q05", "q95", source=self._bands, fill_color=BAND_90, fill_alpha=1)
        plot.varea("t", "q25", "q75", source=self._bands, fill_color=BAND_50, fill_alpha=0.75)
        plot.line("t", "value", source=self._some, line_color=TWIN, line_alpha=0.3, line_width=1)
        plot.multi_line("xs", "ys", source=self._kept, line_color="colour", line_width=2, line_dash="dashed")
        line = plot.line("t", "middle", source=self._bands, line_color=TWIN, line_width=2.5)
        dots = plot.scatter(
            "t", "value", source=self._dots, size=7, fill_color="white", line_color=READING, line_width=1.8
        )
        plot.hover.renderers = [line, dots]
        plot.hover.tooltips = [("time", "$x{0.[00]}"), (course.name, "$y{0.[000] a}")]
        self.plot = plot

    def fill(self, result: Result, kept: Sequence[tuple[str, str, Result]]) -> None:
        """Show a result, with the scenarios (title, colour, result)."""
        course = result.courses[self.name]
        # A logarithmic axis cannot show what is not positive: there the line stops instead of the picture.
        clean = (lambda x: np.where(x > 0, x, np.nan)) if self.log else (lambda x: x)
        names = ("q05", "q25", "q50", "q75", "q95")
        self._bands.data = {
            "t": result.times, **{n: clean(v) for n, v in zip(names, course.bands, strict=True)},
            "middle": clean(course.middle),
        }  # fmt: skip
        self._some.data = _one_line(result.times, clean(course.some))
        others = [(title, colour, r) for title, colour, r in kept if self.name in r.courses]
        titles = [title for title, _, _ in others]
        if not titles and not len(self._kept.data["title"]):
            return
        self._kept.data = {
            "xs": [r.times for _, _, r in others],
            "ys": [clean(r.courses[self.name].middle) for _, _, r in others],
            "colour": [colour for _, colour, _ in others],
            "title": titles,
        }

    def mark(self, readings: pd.DataFrame) -> None:
        """Show the readings of this variable."""
        if readings is self._marked:
            return  # they stay where they are while a slider moves
        self._marked = readings
        rows = readings[readings["observable"] == self.name]
        if self.log:
            rows = rows[rows["value"] > 0]
        shown = rows.rename(columns={"time": "t"})[["t", "value", "subject", "censoring"]]
        self._dots.data = {str(name): shown[name].to_numpy() for name in shown}


class EndpointPanel:
    """The distribution of one endpoint over patients, with the medians of kept scenarios as lines."""

    def __init__(self, served: Served, course: Course, endpoint: str) -> None:
        self.variable, self.endpoint = course.name, endpoint
        time, unit = pretty(served.model.time_unit), pretty(course.unit)
        units = {"peak": unit, "time_of_peak": time, "area": "·".join(u for u in (unit, time) if u)}
        shown = units[endpoint]
        self._bars = ColumnDataSource({"left": [], "right": [], "top": []})
        self._lines = ColumnDataSource({"x": [], "y0": [], "y1": [], "colour": []})
        plot = figure(
            height=HISTOGRAM_HEIGHT,
            sizing_mode="stretch_width",
            title=NAMES[endpoint],
            toolbar_location=None,
            tools="",
            x_axis_label=shown or None,
            y_axis_label="% of patients",
        )
        dress(plot)
        plot.y_range.start = 0
        plot.quad(
            left="left", right="right", bottom=0, top="top", source=self._bars, fill_color=BAND_50, line_color="white"
        )
        plot.segment("x", "y0", "x", "y1", source=self._lines, line_color="colour", line_width=2.5)
        self.plot = plot

    def fill(self, result: Result, kept: Sequence[tuple[str, str, Result]]) -> None:
        """Show a result and the medians of the scenarios."""
        values = getattr(result.courses[self.variable].endpoints, self.endpoint)
        shares, edges = histogram(values)
        self._bars.data = {"left": edges[:-1], "right": edges[1:], "top": shares}
        medians = [(float(np.median(values)), TWIN)]
        medians += [
            (float(np.median(getattr(r.courses[self.variable].endpoints, self.endpoint))), colour)
            for _, colour, r in kept
            if self.variable in r.courses
        ]
        top = float(shares.max())
        self._lines.data = {
            "x": [m for m, _ in medians], "y0": [0.0] * len(medians), "y1": [top * 1.05] * len(medians),
            "colour": [c for _, c in medians],
        }  # fmt: skip


class Pictures:
    """All panels of a view."""

    def __init__(self, served: Served, view: View, result: Result) -> None:
        self.courses = [CoursePanel(served, result.courses[name], view.log) for name in view.shown]
        of = result.courses[view.endpoint]
        self.endpoints = [EndpointPanel(served, of, endpoint) for endpoint in NAMES]

    def fill(self, result: Result, kept: Sequence[tuple[str, str, Result]], readings: pd.DataFrame) -> None:
        """Show a result in all of them."""
        for panel in self.courses:
            panel.fill(result, kept)
            panel.mark(readings)
        for panel in self.endpoints:
            panel.fill(result, kept)


def _one_line(times: np.ndarray, courses: np.ndarray) -> dict[str, np.ndarray]:
    """Several courses as one line with gaps: an array costs the browser two messages, whatever its length."""
    apart = np.column_stack([courses, np.full(len(courses), np.nan)])
    return {"t": np.tile(np.append(times, np.nan), len(courses)), "value": apart.ravel()}


def colours(count: int) -> tuple[str, ...]:
    """Colours of so many scenarios."""
    return SCENARIOS[:count]


def dress(plot: Any) -> None:
    """Letters and lines as on the rest of the page."""
    style: Mapping[str, Any] = {"text_color": MUTED, "text_font_size": "12px", "text_font_style": "normal"}
    for axis in plot.axis:
        for key, value in style.items():
            setattr(axis, f"axis_label_{key}", value)
        axis.major_label_text_color = INK
        axis.major_label_text_font_size = "12px"
        axis.axis_line_color = axis.major_tick_line_color = RULE
        axis.minor_tick_line_color = None
    plot.grid.grid_line_color = RULE
    plot.grid.grid_line_alpha = 0.7
    plot.outline_line_color = None
    plot.title.text_color, plot.title.text_font_size = INK, "14px"
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.min_border_right = 12
