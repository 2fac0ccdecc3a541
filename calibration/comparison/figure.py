"""Differences from the best model as dots with intervals, one panel per criterion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from calibration.comparison.result import Comparison

MUTED = "#777777"


def draw_comparison(found: Comparison) -> Figure:
    """The picture; the best model of a panel is a filled dot at zero, clear losers are filled, others hollow."""
    asked, names = found.criteria, list(map(str, found.table.index))
    columns = min(len(asked), 3)
    height = -(-len(asked) // columns) * (1.1 + 0.34 * len(names)) + 0.35
    figure = blank_figure(1.5 + 2.5 * columns, height)
    panels = figure.subplots(-(-len(asked) // columns), columns, squeeze=False, sharey=True).ravel()
    places = np.arange(len(names))[::-1]
    for panel, each in zip(panels, asked, strict=False):
        dress(panel)
        clear = found.certainty(each.name)
        panel.axvline(0.0, color=MUTED, linewidth=0.8)
        for place, (name, row) in zip(places, found.table.iterrows(), strict=True):
            behind, error = float(row[each.difference]), float(row[each.error])
            if np.isnan(behind):
                panel.text(0.0, place, " undefined", va="center", fontsize=8, color=MUTED)
                continue
            filled = str(name) not in clear or clear[str(name)] == "clear"
            if error > 0:
                half = found.independent[each.name].width * error
                panel.plot([behind - half, behind + half], [place, place], color=INK, linewidth=1.2)
            marker = "D" if name == found.best(each.name) else "o"
            panel.plot(behind, place, marker, ms=5.5, color=INK, mfc=INK if filled else "white", zorder=3)
        panel.set_xlabel(each.axis, fontsize=8, color=INK)
        panel.set_yticks(places, names)
        panel.set_ylim(-0.6, len(names) - 0.4)
        panel.grid(axis="y", visible=False)
    for panel in panels[len(asked) :]:
        panel.set_axis_off()
    figure.supxlabel(
        "diamond: best; filled: clearly worse; hollow: not clear; lines: 95 % intervals", fontsize=7, color=MUTED
    )
    return figure
