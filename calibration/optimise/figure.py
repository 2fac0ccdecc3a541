"""A multi-start fit in two pictures: how often each optimum was found, and where the starts ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from calibration.optimise.result import Fit

BEST, OTHER = "#1f5f8b", "#b9b9b9"
LEAST_ABOVE = 1e-3
"""Starts closer to the best objective than this are drawn at this height: the axis is logarithmic."""
MARKERS = {"converged": "o", "retired": "v", "stuck": "s"}


def draw_waterfall(fit: Fit) -> Figure:
    """Objective of every start above the best one, sorted; the shape of a marker says how the start ended."""
    from calibration.optimise.result import SAME_OPTIMUM

    figure = blank_figure(5.6, 3.6)
    panel = figure.subplots()
    dress(panel)
    finite = np.isfinite(fit.objective)
    above = np.maximum(fit.objective[finite] - fit.objective[0], LEAST_ABOVE)
    place = np.arange(1, len(above) + 1)
    ends = fit.outcome[: len(above)] or tuple("converged" if one else "other" for one in fit.converged[finite])
    panel.plot(place, above, color=OTHER, linewidth=1.0, zorder=1)
    for end in dict.fromkeys(ends):
        here = np.array([one == end for one in ends])
        colours = np.where(above[here] <= SAME_OPTIMUM, BEST, INK)
        panel.scatter(place[here], above[here], marker=MARKERS.get(end, "x"), s=26, c=colours, label=end, zorder=2)
    panel.axhline(SAME_OPTIMUM, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
    panel.set_yscale("log")
    panel.set_xlabel("start, best first", color=INK, fontsize=9)
    panel.set_ylabel("objective above the best", color=INK, fontsize=9)
    panel.set_title(f"{fit.hits} of {len(fit.objective)} starts reach the best objective", fontsize=10, color=INK)
    panel.legend(fontsize=8, frameon=False, loc="lower right", title="ended", title_fontsize=8)
    return figure


def draw_parameters(fit: Fit, most: int) -> Figure:
    """Where the best starts ended, each parameter between its bounds."""
    count = len(fit.names)
    figure = blank_figure(5.6, max(2.4, 0.24 * count + 1.2))
    panel = figure.subplots()
    dress(panel)
    shown = np.flatnonzero(np.isfinite(fit.objective))[:most]
    theta = fit.theta[shown]
    lower = theta.min(axis=0) if fit.lower is None else fit.lower
    upper = theta.max(axis=0) if fit.upper is None else fit.upper
    share = (theta - lower) / np.where(upper > lower, upper - lower, 1.0)
    rows = np.arange(count)[::-1]
    for index in range(len(shown) - 1, -1, -1):  # the best on top
        best = index < fit.hits
        style = {"color": BEST, "zorder": 3, "alpha": 0.9} if best else {"color": OTHER, "zorder": 1, "alpha": 0.7}
        panel.plot(share[index], rows, marker="o", markersize=3.5, linewidth=1.0, **style)
    panel.set_yticks(rows, [name.replace("$", r"\$") for name in fit.names])
    panel.set_xticks([0.0, 0.5, 1.0], ["lower bound", "", "upper bound"])
    panel.set_xlim(-0.03, 1.03)
    panel.set_title(
        f"the {len(shown)} best of {len(fit.objective)} starts; {fit.hits} at the best objective in blue",
        fontsize=9,
        color=INK,
    )
    return figure
