"""The figure of scaling: a small panel per axis, measured points and the slope that is hoped for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

type Point = dict[str, object]

COLOURS = ("#0072b2", "#d55e00", "#009e73")
"""Told apart by those who do not tell red from green: Okabe and Ito 2008."""


@dataclass(frozen=True)
class Panel:
    """What a panel shows.

    Attributes:
        axis: Rows of which axis.
        title: Above it.
        x: Label of the axis.
        y: Label of the cost.
        curves: Which curves; default all.
        factor: From the unit of the rows to that of the label.
        linear: Whether the cost is drawn on a linear axis from zero.
        bars: Whether points are bars.
    """

    axis: str
    title: str
    x: str
    y: str
    curves: tuple[str, ...] = ()
    factor: float = 1.0
    linear: bool = False
    bars: bool = False


PANELS = (
    Panel("parameters", "Parameters, chain of 64 states", "estimated parameters", "time per call [ms]", (), 1e3),
    Panel("states", "States of a chain", "states", "time per trajectory [ms]", (), 1e3),
    Panel("lanes", "Draws in one call, influenza", "draws", "time per call [ms]", (), 1e3),
    Panel("subjects", "Memory of a streamed cohort", "subjects", "peak memory [MiB]", ("peak memory",), 2**-20, True),
    Panel("subjects", "Time of a streamed cohort", "subjects", "time [s]", ("time",)),
    Panel("cores", "Cores, 4,096 draws", "cores", "times as fast as one core", ("times as fast",), 1.0, True, True),
)  # fmt: skip


def draw(rows: Sequence[Point], path: Path) -> None:
    """The figure as an image."""
    shown = [panel for panel in PANELS if any(row["axis"] == panel.axis for row in rows)]
    lines = -(-len(shown) // 3)
    figure, axes = plt.subplots(lines, min(3, len(shown)), figsize=(11.4, 3.2 * lines), squeeze=False)
    for axis, panel in zip(axes.flat, shown, strict=False):
        _panel(axis, panel, [row for row in rows if row["axis"] == panel.axis])
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    figure.tight_layout(h_pad=2.0, w_pad=2.0)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axis, panel: Panel, rows: Sequence[Point]) -> None:
    curves = panel.curves or tuple(dict.fromkeys(str(row["curve"]) for row in rows))
    top = 0.0
    for curve, colour in zip(curves, COLOURS, strict=False):
        xs, ys = _values(rows, curve, panel.factor)
        top = max([top, *ys])
        if panel.bars:
            axis.bar(xs, ys, width=0.6, color=colour)
        else:
            axis.plot(xs, ys, "o-", ms=4, lw=1.3, color=colour, label=curve)
    xs = sorted({int(str(row["x"])) for row in rows})
    if not panel.bars:
        axis.set_xscale("log")
    axis.set_xticks(xs, [f"{x:,}" for x in xs])
    axis.xaxis.set_minor_locator(NullLocator())
    if panel.linear:
        axis.set_ylim(0, 1.15 * top)
    else:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        if high < 100 * low:
            # Fewer than two decades have too few powers of ten to read values by.
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    if len(xs) > 5 and xs[-1] >= 1000:
        axis.tick_params(axis="x", labelsize=8)
    axis.set_title(panel.title, loc="left", fontsize=10)
    axis.set(xlabel=panel.x, ylabel=panel.y)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25, axis="y")
    if len(curves) > 1:
        axis.margins(y=0.25)
        axis.legend(frameon=False, fontsize=8)


def _values(rows: Sequence[Point], curve: str, factor: float) -> tuple[list[int], list[float]]:
    pairs = sorted((int(str(row["x"])), factor * float(str(row["cost"]))) for row in rows if row["curve"] == curve)
    return [x for x, _ in pairs], [y for _, y in pairs]
