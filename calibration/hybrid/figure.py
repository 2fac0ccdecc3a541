"""The picture of a learned term: the function where trajectories went, and its rate beside the mechanism's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import Delaunay, QhullError

from calibration.hybrid.course import Course, scaled_rates, share_of
from calibration.hybrid.result import Hybrid
from twin.errors import ProblemError
from twin.figure import FAINT, INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = "#0072b2", "#d55e00"
POINTS = 161
MOST_LABELLED = 10


def hybrid_figure(found: Hybrid) -> Figure:
    """Left the learned function, right the share of the rate that it has along each trajectory.

    A function of one input is a line, the range that trajectories visit being white and the rest grey; one of two
    inputs is a map, faded outside the hull of what was visited, with the trajectories drawn into it; of more inputs
    the output is drawn along the trajectories, over the first input. Ticks and dots mark readings.
    """
    figure = blank_figure(10.0, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    course = found.course()
    {1: _line, 2: _map}.get(len(found.term.inputs), _along)(left, found, course)
    _shares(right, found, course)
    for panel in (left, right):
        dress(panel)
    return figure


def at_readings(found: Hybrid, course: Course) -> Float[np.ndarray, "input reading"]:
    """Inputs of the term at the readings, from the fitted trajectories."""
    table = found.problem.measurements.table
    columns = []
    for index, (experiment, subject) in enumerate(course.series):
        rows = (table["experiment"] == experiment) & (table["subject"] == subject) & np.isfinite(table["time"])
        times = np.unique(table.loc[rows, "time"])
        columns.append([np.interp(times, course.time[index], each[index]) for each in course.inputs])
    return np.concatenate(columns, axis=1)


def visited(course: Course, points: Float[np.ndarray, "point input"]) -> Bool[np.ndarray, " point"]:
    """Whether points lie within the hull of the inputs that the trajectories visit."""
    inputs = course.inputs.reshape(len(course.inputs), -1).T
    if inputs.shape[1] == 1:
        return (points[:, 0] >= inputs.min()) & (points[:, 0] <= inputs.max())
    low, span = inputs.min(axis=0), np.ptp(inputs, axis=0)
    span = np.where(span > 0, span, 1.0)
    try:
        hull = Delaunay((inputs - low) / span)
    except QhullError as error:
        raise ProblemError(
            "all trajectories lie on one line of the inputs: there is no area to draw",
            where="hybrid_figure",
            fix="leave out one of the inputs",
        ) from error
    return hull.find_simplex((points - low) / span) >= 0


def _line(panel: Axes, found: Hybrid, course: Course) -> None:
    (each,) = found.term.inputs
    inside = course.inputs.min(), course.inputs.max()
    low, high = min(each.low, inside[0]), max(each.high, inside[1])
    for ends in ((low, inside[0]), (inside[1], high)):
        if ends[1] > ends[0]:
            panel.axvspan(*ends, color=FAINT, alpha=0.6, linewidth=0)
    grid = np.linspace(low, high, POINTS)
    output = found.values(grid)
    within = (grid >= inside[0]) & (grid <= inside[1])
    panel.plot(grid, output, color=BLUE, linestyle=":", linewidth=1.2, label="learned, beyond what was visited")
    panel.plot(grid[within], output[within], color=BLUE, linewidth=2, label="learned, where trajectories went")
    read = at_readings(found, course)[0]
    panel.plot(read, np.full(len(read), 0.02), "|", color=INK, markersize=8, transform=panel.get_xaxis_transform())
    panel.axhline(0, color=INK, linewidth=0.6)
    _name(panel, each.formula, f"{found.term.name} [{found.term.unit}]")
    panel.legend(fontsize=7, frameon=False)


def _map(panel: Axes, found: Hybrid, course: Course) -> None:
    first, second = found.term.inputs
    flat = course.inputs.reshape(2, -1)
    margins = 0.08 * np.ptp(flat, axis=1)
    axes = [np.linspace(x.min() - m, x.max() + m, POINTS) for x, m in zip(flat, margins, strict=True)]
    x, y = np.meshgrid(*axes, indexing="ij")
    output = found.values(x, y)
    inside = visited(course, np.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape)
    top = np.max(np.abs(output[inside])) if inside.any() else np.max(np.abs(output))
    drawn = panel.pcolormesh(
        x, y, output, cmap="RdBu_r", vmin=-top, vmax=top, shading="auto", alpha=np.where(inside, 0.9, 0.2)
    )
    for index in range(len(course.series)):
        panel.plot(*course.inputs[:, index], color=INK, linewidth=0.6)
    panel.plot(*at_readings(found, course), ".", color=INK, markersize=3, label="readings")
    _name(panel, first.formula, second.formula)
    bar = panel.figure.colorbar(drawn, ax=panel)
    bar.set_label(f"{found.term.name} [{found.term.unit}]", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7)
    panel.set_title("faded: where no trajectory went", fontsize=8, color=INK)


def _along(panel: Axes, found: Hybrid, course: Course) -> None:
    for index in range(len(course.series)):
        panel.plot(course.inputs[0, index], course.output[index], linewidth=1.2)
    panel.axhline(0, color=INK, linewidth=0.6)
    _name(panel, found.term.inputs[0].formula, f"{found.term.name} [{found.term.unit}]")
    panel.set_title("along the trajectories", fontsize=8, color=INK)


def _shares(panel: Axes, found: Hybrid, course: Course) -> None:
    names = found.problem.model.state_names
    acted = [names.index(name) for name in found.term.into]
    share = share_of(*(each[acted].sum(axis=0) for each in scaled_rates(course)))
    labelled = len(course.series) <= MOST_LABELLED
    several = len({experiment for experiment, _ in course.series}) > 1
    for index, (experiment, subject) in enumerate(course.series):
        panel.plot(
            course.time[index],
            share[index],
            linewidth=1.2,
            label=(experiment if several else subject) if labelled else "",
        )
    panel.set_ylim(0, 1)
    _name(panel, f"time [{found.problem.model.time_unit}]", "|term| / (|term| + |mechanism|)")
    size = found.size().loc["total"]
    panel.set_title(f"total: ratio {size['ratio']:.2g}, mean share {size['share']:.2g}", fontsize=8, color=INK)
    if labelled and len(course.series) > 1:
        panel.legend(fontsize=6, frameon=False)


def _name(panel: Axes, x: str, y: str) -> None:
    panel.set_xlabel(x, fontsize=8, color=INK)
    panel.set_ylabel(y, fontsize=8, color=INK)
