"""How much must be added to the mechanism, and where in time it sits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calibration.discrepancy.along import label_of
from calibration.discrepancy.posterior import PRACTICAL
from calibration.report import canvas
from calibration.report.formats import number, percent, shorten
from calibration.report.sections.frame import WIDTH, open_if_short, section
from calibration.report.tables import Column, mark, numeric
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, join, tag

MOST_PANELS = 12
KEYS = ["observable", "experiment", "subject", "dose"]
SIZE_COLUMNS = (
    numeric("size", "Size"),
    numeric("low", "5 %"),
    numeric("high", "95 %"),
    numeric("practical", "P(size > 0.5)", percent),
    Column("flagged", "Outcome", lambda v: mark(not v, ("not flagged", "flagged", "not judged"))),
)
"""How large a discrepancy is, as a whole and at a dose."""


def discrepancy_section(assessment: Assessment) -> Markup | None:
    """Size, course and place of the discrepancy; nothing where it was not asked for."""
    size, course, residuals = assessment.discrepancy, assessment.discrepancy_course, assessment.discrepancy_residuals
    if size is None or course is None or residuals is None:
        return None
    columns = [
        Column("observable", "Observable"),
        *SIZE_COLUMNS[:3],
        Column("unit", "Unit"),
        *SIZE_COLUMNS[3:],
        numeric("r_hat", "R-hat"),
    ]
    return section(
        "discrepancy",
        "What the mechanism lacks",
        "How much would have to be added to the mechanism to account for the readings, and when? A smooth random "
        "curve with a prior that prefers none is added to it, in units of the noise; its size is the posterior "
        "median. Parameters can hide a discrepancy, so this is what is left over, not all that is wrong. Training "
        "readings of the first fold.",
        open_if_short(size, columns, "Size of the discrepancy by observable"),
        *_by_dose(assessment),
        *_pictures(assessment, course, residuals),
        _places(residuals),
    )


def _pictures(assessment: Assessment, course: pd.DataFrame, residuals: pd.DataFrame) -> list[Markup]:
    """A picture per process, up to a dozen, those with the largest course first; doses in their order."""
    groups = list(course.groupby(KEYS, sort=False, dropna=False))
    reach = [float(np.abs(part["q50"]).max()) for _, part in groups]
    largest = np.argsort(reach)[::-1][:MOST_PANELS]
    along = bool(np.isfinite(course["dose"].to_numpy(dtype=float)).any())
    chosen = [groups[index] for index in (np.sort(largest) if along else largest)]
    made = []
    for index, (key, part) in enumerate(chosen):
        observable, experiment, subject, dose = key  # type: ignore[misc]
        points = residuals[residuals["observable"] == observable]
        if experiment:
            points = points[(points["experiment"] == experiment) & (points["subject"] == subject)]
        label = f"{observable}, all series" if not experiment else f"{observable}, {experiment}, subject {subject}"
        if not pd.isna(dose):
            points = points[points["dose"] == dose]
            label = f"{observable} at {number(dose)}"
        drawn = draw_course(part, points, assessment.units.get("time", ""), f"course-{index}", label)
        made.append(tag("figure", tag("figcaption", label), drawn))
    if len(groups) > len(chosen):
        made.append(tag("p", f"{len(groups) - len(chosen)} smaller ones are not drawn.", class_="small"))
    return [tag("div", *made, class_="beside pair"), _legend()]


def _by_dose(assessment: Assessment) -> list[Markup]:
    """How large it is at each dose, as a picture per observable and a table; nothing where it goes along none."""
    sizes = assessment.discrepancy_by_dose
    if sizes is None:
        return []
    along = assessment.provenance.get("settings", {}).get("along", "")
    label = label_of(along)
    pictures = [
        tag("figure", tag("figcaption", f"{observable}, size by dose"), draw_sizes(part, label, f"dose-{index}"))
        for index, (observable, part) in enumerate(sizes.groupby("observable", sort=False))
    ]
    columns = [
        Column("observable", "Observable"),
        numeric("dose", label.capitalize()),
        numeric("readings", "Readings"),
        *SIZE_COLUMNS,
    ]
    words = tag(
        "p",
        "Marks: median size at each dose, with 90 % intervals; filled where flagged, open where not. Dashed: the size "
        "above which it matters.",
        class_="small",
    )
    shown = open_if_short(sizes, columns, "Size of the discrepancy by dose, noise scales")
    return [tag("div", *pictures, class_="beside pair"), words, shown]


def draw_sizes(sizes: pd.DataFrame, along: str, name: str) -> Markup:
    """Median and 90 % interval of the size at each dose of one observable."""
    with canvas.drawing(WIDTH * 0.75, 210) as (figure, axes):
        axes.axhline(PRACTICAL, color=canvas.MUTED, linewidth=1.2, linestyle="--")
        axes.vlines(sizes["dose"], sizes["low"], sizes["high"], color=canvas.TWIN, linewidth=2.0)
        flagged = sizes["flagged"].to_numpy(dtype=bool)
        for which, face in ((flagged, canvas.TWIN), (~flagged, "white")):
            part = sizes[which]
            axes.plot(part["dose"], part["size"], "o", color=canvas.TWIN, markerfacecolor=face, markersize=7)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel(along)
        axes.set_ylabel("size, noise scales")
        said = "; ".join(
            f"{number(row['dose'])}: {number(row['size'])} ({number(row['low'])} to {number(row['high'])})"
            for row in sizes.to_dict("records")
        )
        return canvas.to_svg(figure, name, f"Size of the discrepancy by {along}. {said}.")


def draw_course(course: pd.DataFrame, residuals: pd.DataFrame, unit: str, name: str, label: str) -> Markup:
    """Median and 90 % band of the discrepancy over time, with the residuals of the mechanism and the noise."""
    with canvas.drawing(WIDTH * 0.75, 210) as (figure, axes):
        axes.axhspan(-1.0, 1.0, facecolor=canvas.HELD, edgecolor="none")
        axes.axhline(0.0, color=canvas.MUTED, linewidth=0.8)
        axes.fill_between(
            course["time"], course["q05"], course["q95"], facecolor=canvas.BAND_90, edgecolor="none", alpha=0.8
        )
        axes.plot(course["time"], course["q50"], color=canvas.TWIN, linewidth=2.0)
        axes.plot(residuals["time"], residuals["residual"], "o", color=canvas.INK, markersize=3.5, alpha=0.6)
        axes.set_xlabel(f"time ({unit})" if unit else "time")
        axes.set_ylabel("noise scales")
        peak = course.iloc[int(np.argmax(np.abs(course["q50"].to_numpy())))]
        text = (
            f"Discrepancy of {shorten(label, 60)} in noise scales over time: largest median {number(peak['q50'])} at "
            f"time {number(peak['time'])}, 90 % band there {number(peak['q05'])} to {number(peak['q95'])}."
        )
        return canvas.to_svg(figure, name, text)


def _legend() -> Markup:
    return tag(
        "p",
        "Line and band: median and 90 % of the discrepancy. Dots: residuals of the mechanism. Shaded: one noise scale "
        "either way.",
        class_="small",
    )


def _places(residuals: pd.DataFrame) -> Markup:
    """By experiment: how far the mechanism is off, and how much of that the discrepancy takes."""
    groups = residuals.groupby(["observable", "experiment"], sort=False)
    square = lambda x: float(np.sqrt(np.mean(np.square(x))))  # noqa: E731
    rows = pd.DataFrame(
        [
            (observable, experiment, len(part), square(part["residual"]), square(part["remaining"]))
            for (observable, experiment), part in groups  # type: ignore[misc]
        ],
        columns=["observable", "experiment", "readings", "before", "after"],
    )
    columns = [
        Column("observable", "Observable"),
        Column("experiment", "Experiment"),
        numeric("readings", "Readings"),
        numeric("before", "Residual"),
        numeric("after", "Less discrepancy"),
    ]
    caption = "Root mean square of residuals by experiment, in noise scales; about 1 is noise"
    return join(open_if_short(rows, columns, caption))
