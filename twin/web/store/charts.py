"""Pictures of a page of stores as SVG: courses, distributions, intervals. Drawn here, so that pages need no scripts.

Lines differ in colour and in dashes, so that nobody depends on colours. Each picture says in words what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from twin.markup import Markup, join, tag
from twin.web.palette import MUTED, PAPER, RULE, SCENARIOS, TWIN
from twin.web.store.axes import Axis, axis_over
from twin.web.store.words import number, spread

COLOURS = (TWIN, *(SCENARIOS[k] for k in (2, 5, 3, 1, 0, 4)))
"""In this order arms that share their dashes have colours that those blind to red or green tell apart, too."""
DASHES = ("", "8 4", "2 3", "10 3 2 3", "18 6")
WIDTH, HEIGHT = 760.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 66.0, 14.0, 10.0, 46.0
ROW = 30.0
LETTERS = 7.0
"""Width of a letter [px], at the size that is used."""


@dataclass(frozen=True)
class Style:
    """How an arm is drawn.

    Args:
        colour: Colour of its lines.
        dash: Their dashes, as SVG has them.
    """

    colour: str
    dash: str


def style_of(place: int) -> Style:
    """The style of the arm at a place; the first 35 differ."""
    return Style(COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)])


@dataclass(frozen=True, eq=False)
class Course:
    """Quantiles of an output over time.

    Args:
        title: Name of the arm.
        style: How it is drawn.
        times: Times.
        quantiles: Quantiles at the levels.
        levels: Levels, ascending.
    """

    title: str
    style: Style
    times: Float[np.ndarray, " time"]
    quantiles: Float[np.ndarray, "quantile time"]
    levels: tuple[float, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Levels that bound a band, outermost first."""
        return [(k, len(self.levels) - 1 - k) for k in range(len(self.levels) // 2)]

    @property
    def middle(self) -> int | None:
        """The level in the middle, if there is one."""
        return len(self.levels) // 2 if len(self.levels) % 2 else None


@dataclass(frozen=True, eq=False)
class Curve:
    """A distribution: the share of patients at or below each value, or the share in each bin.

    Args:
        title: Name of the arm.
        style: How it is drawn.
        x: Values, or edges of bins.
        y: Shares.
    """

    title: str
    style: Style
    x: Float[np.ndarray, " x"]
    y: Float[np.ndarray, " y"]


@dataclass(frozen=True)
class Interval:
    """A row of a picture of intervals.

    Args:
        title: Name of the arm.
        style: How it is drawn.
        middle: The point.
        inner: Ends of the thick bar; None for none.
        outer: Ends of the thin bar.
    """

    title: str
    style: Style
    middle: float
    inner: tuple[float, float] | None
    outer: tuple[float, float]


def courses_chart(courses: Sequence[Course], x_label: str, y_label: str, *, log: bool) -> Markup | None:
    """Bands over time; None if there is nothing to show on such an axis."""
    across = axis_over(np.concatenate([c.times for c in courses]), LEFT, WIDTH - RIGHT)
    up = axis_over(np.concatenate([c.quantiles.ravel() for c in courses]), HEIGHT - BOTTOM, TOP, log=log)
    if across is None or up is None:
        return None
    across = Axis(min(c.times[0] for c in courses), max(c.times[-1] for c in courses), LEFT, WIDTH - RIGHT)
    parts = []
    for course in courses:
        places = across.place(course.times)
        for low, high in course.pairs:
            # What a logarithmic axis cannot show lies below it.
            edges = [np.where(np.isnan(y), up.start, y) for y in (up.place(course.quantiles[k]) for k in (low, high))]
            said = f"{course.title}: {100 * course.levels[low]:g} to {100 * course.levels[high]:g} %"
            outline = _points(np.concatenate([places, places[::-1]]), np.concatenate([edges[0], edges[1][::-1]]))
            fill = {"fill": course.style.colour, "fill_opacity": "0.14"}
            parts.append(tag("polygon", tag("title", said), points=outline, **fill))
        if course.middle is not None:
            said = f"{course.title}: {100 * course.levels[course.middle]:g} %"
            parts.append(_line(places, up.place(course.quantiles[course.middle]), course.style, said))
        else:
            parts += [_line(places, up.place(edge), course.style, course.title) for edge in course.quantiles]
    words = "; ".join(_ends(course) for course in courses)
    return _picture(f"{y_label} over {x_label}. At the last time {words}", across, up, parts, x_label)


def _ends(course: Course) -> str:
    last = ", ".join(
        f"{number(q, 3)} ({100 * level:g} %)" for q, level in zip(course.quantiles[:, -1], course.levels, strict=True)
    )
    return f"{course.title}: {last}"


def cumulative_chart(curves: Sequence[Curve], x_label: str, *, log: bool) -> Markup | None:
    """Shares of patients at or below a value; None if there is nothing to show on such an axis."""
    across = axis_over(np.concatenate([curve.x for curve in curves]), LEFT, WIDTH - RIGHT, log=log)
    if across is None:
        return None
    up = Axis(0.0, 1.03, HEIGHT - BOTTOM, TOP)  # a line at 100 % is seen whole
    parts = [_line(across.place(curve.x), up.place(curve.y), curve.style, curve.title) for curve in curves]
    said = f"Share of patients at or below each value of {x_label}: " + "; ".join(map(_median, curves))
    return _picture(said, across, up, parts, x_label, percent=True)


def _median(curve: Curve) -> str:
    at = int(np.searchsorted(curve.y, 0.5))
    if at == len(curve.x):
        return f"{curve.title}: fewer than half of them have a finite value"
    return f"{curve.title}: half of them at or below {number(curve.x[at], 3)}"


def histogram_chart(curves: Sequence[Curve], x_label: str, *, log: bool) -> Markup | None:
    """Shares of patients in bins, as steps; None if there is nothing to show."""
    across = axis_over(np.concatenate([curve.x for curve in curves]), LEFT, WIDTH - RIGHT, log=log)
    up = axis_over(np.concatenate([[0.0], *(curve.y for curve in curves)]), HEIGHT - BOTTOM, TOP)
    if across is None or up is None:
        return None
    parts = []
    for curve in curves:
        x = np.repeat(across.place(curve.x), 2)
        y = np.concatenate([[up.start], np.repeat(up.place(curve.y), 2), [up.start]])
        fill = {"fill": curve.style.colour, "fill_opacity": "0.10"}
        parts += [tag("polygon", points=_points(x, y), **fill), _line(x, y, curve.style, curve.title)]
    peaks = (f"{c.title}: most patients near {c.x[int(np.argmax(c.y))]:.3g}" for c in curves)
    said = f"Histogram of {x_label} over patients. {'; '.join(peaks)}"
    return _picture(said, across, up, parts, x_label, percent=True)


def interval_chart(rows: Sequence[Interval], x_label: str, *, zero: bool, percent: bool = False) -> Markup | None:
    """A row per arm with bars and a point; None if nothing is finite. Infinite ends leave the picture on their side."""
    left = min(max(len(row.title) for row in rows) * LETTERS + 14.0, 0.45 * WIDTH)
    ends = np.array([[row.middle, *(row.inner or row.outer), *row.outer] for row in rows])
    across = axis_over(np.append(ends.ravel(), 0.0) if zero else ends, left, WIDTH - RIGHT)
    if across is None or not np.isfinite(ends).any():
        return None
    height = TOP + ROW * len(rows) + BOTTOM
    up = Axis(0.0, 1.0, height - BOTTOM, TOP)
    edge = np.clip(across.place(ends), left, WIDTH - RIGHT)
    parts = []
    for index, (row, places) in enumerate(zip(rows, edge, strict=True)):
        at = TOP + ROW * (index + 0.5)
        shown = row.title if len(row.title) * LETTERS < left else row.title[: int(left / LETTERS) - 3] + "…"
        parts.append(tag("text", shown, x=_n(left - 10), y=_n(at + 4), text_anchor="end"))
        if not np.isfinite(places).all():
            parts.append(tag("text", "no value", x=_n(left + 8), y=_n(at + 4), class_="faint"))
            continue
        for (low, high), width in (((3, 4), 2.5), ((1, 2), 8.0)):
            if width < 8 or row.inner is not None:
                bar = {
                    "stroke": row.style.colour,
                    "stroke_width": width,
                    "stroke_opacity": "0.55" if width > 3 else "1",
                }
                parts.append(tag("line", x1=_n(places[low]), x2=_n(places[high]), y1=_n(at), y2=_n(at), **bar))
        point = {"fill": PAPER, "stroke": row.style.colour, "stroke_width": 2.5}
        parts.append(tag("circle", tag("title", _said(row)), cx=_n(places[0]), cy=_n(at), r=5.5, **point))
        if np.isposinf(row.outer[1]):
            parts.append(tag("text", "∞", x=_n(WIDTH - RIGHT - 2), y=_n(at - 8), text_anchor="end"))
    if zero:
        origin = _n(across.place(0.0))
        parts.insert(0, tag("line", x1=origin, x2=origin, y1=TOP, y2=_n(up.start), stroke=MUTED, stroke_width=1.5))
    said = f"{x_label}. {'; '.join(map(_said, rows))}"
    return _picture(said, across, up, parts, x_label, percent=percent, height=height, rows=True)


def _said(row: Interval) -> str:
    return f"{row.title}: {spread(row.middle, *row.outer)}"


def swatch(style: Style) -> Markup:
    """A piece of the line of an arm, for legends."""
    line = tag(
        "line", x1=1, x2=33, y1=6, y2=6, stroke=style.colour, stroke_width=3, stroke_dasharray=style.dash or None
    )
    return tag("svg", line, class_="swatch", viewBox="0 0 34 12", width=34, height=12, aria_hidden="true")


def _picture(
    said: str, across: Axis, up: Axis, parts: Sequence[Markup], x_label: str,
    *, percent: bool = False, height: float = HEIGHT, rows: bool = False,
) -> Markup:  # fmt: skip
    """Grid, parts on it, letters around it."""
    grid, letters = [], []
    base = height - BOTTOM
    for value, text in across.ticks():
        x = _n(across.place(value))
        grid.append(tag("line", x1=x, x2=x, y1=TOP, y2=base, stroke=RULE))
        shown = f"{100 * value:.4g} %" if percent and rows else text
        letters.append(tag("text", shown, x=x, y=_n(base + 18), text_anchor="middle"))
    for value, text in [] if rows else up.ticks(5):
        y = up.place(value)
        grid.append(tag("line", x1=_n(across.start), x2=_n(across.stop), y1=_n(y), y2=_n(y), stroke=RULE))
        shown = f"{100 * value:.4g} %" if percent else text
        letters.append(tag("text", shown, x=_n(across.start - 8), y=_n(y + 4), text_anchor="end"))
    middle = 0.5 * (across.start + across.stop)
    letters.append(tag("text", x_label, x=_n(middle), y=_n(height - 6), text_anchor="middle", class_="faint"))
    frame = {"x": _n(across.start), "y": TOP, "width": _n(across.stop - across.start), "height": _n(base - TOP)}
    inside = tag("svg", *parts, viewBox=f"{frame['x']} {TOP} {frame['width']} {frame['height']}", **frame)
    # Lines that leave the axes end at them; the letters of rows stand outside.
    body = join(*parts) if rows else inside
    box = f"0 0 {WIDTH:g} {_n(height)}"
    return tag("svg", *grid, body, *letters, class_="picture", role="img", viewBox=box, aria_label=said)


def _line(x: np.ndarray, y: np.ndarray, style: Style, said: str) -> Markup:
    """A line, broken where a place is not a number."""
    good = np.isfinite(x) & np.isfinite(y)
    pieces = np.split(np.arange(len(x)), np.flatnonzero(np.diff(good)) + 1)
    path = "".join(f"M{_points(x[piece], y[piece])}" for piece in pieces if len(piece) > 1 and good[piece[0]])
    look = {"stroke": style.colour, "stroke_width": 2.4, "stroke_dasharray": style.dash or None, "fill": "none"}
    return tag("path", tag("title", said), d=path, **look)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _n(value: float | np.ndarray) -> str:
    return f"{float(value):.1f}"
