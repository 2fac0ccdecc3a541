"""Picture of a visual predictive check."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from calibration.population.predictive_check import PredictiveCheck

MIDDLE, OUTER = "#d55e00", "#0072b2"
MANY = 2.0
"""Errors beyond this many standard deviations are drawn full."""


def predictive_check_figure(check: PredictiveCheck, path: str | PathLike[str] | None = None) -> Figure:
    """Left, percentiles of the readings (lines) over 90 % bands of the simulated ones; right, the errors over time.

    Args:
        check: The predictive check.
        path: Where to save it.
    """
    names = list(dict.fromkeys(check.bins["observable"]))
    figure = blank_figure(9.0, 0.6 + 3.0 * len(names))
    panels = figure.subplots(len(names), 2, squeeze=False)
    for (left, right), name in zip(panels, names, strict=True):
        rows = (check.readings["observable"] == name).to_numpy()
        times, values = (check.readings[column].to_numpy()[rows] for column in ("time", "value"))
        left.plot(times, values, ".", color="0.6", markersize=3, label="readings")
        for percentile, colour in ((5.0, OUTER), (95.0, OUTER), (50.0, MIDDLE)):
            part = check.bins[(check.bins["observable"] == name) & (check.bins["percentile"] == percentile)]
            left.fill_between(part["time"], part["lower"], part["upper"], color=colour, alpha=0.22, linewidth=0)
            label = {5.0: None, 50.0: "median", 95.0: "5th and 95th percentile"}[percentile]
            style = "-" if percentile == 50.0 else "--"
            left.plot(part["time"], part["observed"], color=colour, linestyle=style, label=label)
        left.set_ylabel(f"{name} ({check.units[name]})")
        left.legend(frameon=False, fontsize=8, title="bands: 90 % of simulated studies", title_fontsize=8)
        errors = check.npde[rows]
        for far, face in ((np.abs(errors) <= MANY, "none"), (np.abs(errors) > MANY, INK)):
            right.plot(times[far], errors[far], "o", markersize=4, markeredgecolor=INK, markerfacecolor=face)
        right.axhspan(-1.96, 1.96, color=OUTER, alpha=0.12, linewidth=0)
        right.axhline(0.0, color="0.6", linewidth=0.8)
        right.set_ylabel("prediction error (npde)")
        for panel in (left, right):
            panel.set_xlabel(f"time ({check.units['time']})")
            dress(panel)
    if path is not None:
        figure.savefig(path)
    return figure
