"""Pictures of discrepancies: the posterior over time, and the size beside its prior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibration.discrepancy.diffusion import MEAN, Diffusion
from calibration.discrepancy.posterior import AMPLITUDE_MEAN, Discrepancy
from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = "#0072b2", "#d55e00"
POINTS = 81


def discrepancy_figure(found: Discrepancy, *, draws: int = 200, seed: int = 0) -> Figure:
    """A row per observable: the course with its 90 % band, and the density of the amplitude with its prior's.

    Args:
        found: The posterior; its discrepancy is shared between series.
        draws: Draws of the course.
        seed: Their seed.

    Raises:
        ProblemError: every series has a discrepancy of its own.
    """
    like = found.likelihood
    figure = blank_figure(7.5, 2.6 * len(like.observables))
    panels = figure.subplots(len(like.observables), 2, squeeze=False, width_ratios=(2, 1))
    sizes = found.table()
    for index, name in enumerate(like.observables):
        course, size = panels[index]
        read = like.time[like.rows[index]]
        times = np.linspace(read.min(), read.max(), POINTS)
        low, mid, high = np.quantile(found.course(times, name, draws=draws, seed=seed), [0.05, 0.5, 0.95], axis=0)
        course.axhspan(-1, 1, color=ORANGE, alpha=0.12, linewidth=0, label="the noise, ± 1 scale")
        course.fill_between(times, low, high, color=BLUE, alpha=0.25, linewidth=0, label="90 % band")
        course.plot(times, mid, color=BLUE, label="median")
        course.plot(np.unique(read), np.zeros(len(np.unique(read))), "|", color=INK, markersize=6, label="readings")
        course.set_ylabel(f"{name}\ndiscrepancy / noise scale", fontsize=8, color=INK)
        course.set_xlabel(f"time ({like.problem.model.time_unit})", fontsize=8, color=INK)
        _size(size, found.amplitude[..., index].ravel(), AMPLITUDE_MEAN, sizes.iloc[index])
        size.set_xlabel("amplitude / noise scale", fontsize=8, color=INK)
        for panel in (course, size):
            dress(panel)
    panels[0][0].legend(fontsize=7, frameon=False)
    panels[0][1].legend(fontsize=7, frameon=False)
    return figure


def diffusion_figure(
    found: Diffusion, series: tuple[str, str] | None = None, *, draws: int = 200, seed: int = 0
) -> Figure:
    """A row per state that scatters: how far it strayed from the mean in one series, and how far it strays at all.

    Args:
        found: The posterior.
        series: Which (experiment, subject); default the first.
        draws: Draws of the course.
        seed: Their seed.

    Raises:
        ProblemError: no such series.
    """
    figure = blank_figure(7.5, 2.6 * len(found.states))
    panels = figure.subplots(len(found.states), 2, squeeze=False, width_ratios=(2, 1))
    sizes, strayed = found.table(), found.size * math.sqrt(found.span)
    problem = found.likelihood.problem
    for index, name in enumerate(found.states):
        course, size = panels[index]
        time, drawn = found.course(name, series, draws=draws, seed=seed)
        low, mid, high = np.quantile(drawn, [0.05, 0.5, 0.95], axis=0)
        course.axhline(0.0, color=ORANGE, linewidth=1, label="the mechanism")
        course.fill_between(time, low, high, color=BLUE, alpha=0.25, linewidth=0, label="90 % band")
        course.plot(time, mid, color=BLUE, marker="o", markersize=3, label="median, at readings")
        course.set_ylabel(f"{name}\ndeviation / mean, linearised", fontsize=8, color=INK)
        course.set_xlabel(f"time ({problem.model.time_unit})", fontsize=8, color=INK)
        _size(size, strayed[..., index].ravel(), MEAN, sizes.iloc[index])
        size.set_xlabel("straying over the span / mean", fontsize=8, color=INK)
        for panel in (course, size):
            dress(panel)
    panels[0][0].legend(fontsize=7, frameon=False)
    panels[0][1].legend(fontsize=7, frameon=False)
    return figure


def _size(panel: Axes, draws: np.ndarray, prior_mean: float, row: pd.Series) -> None:
    """The posterior density of a size beside its exponential prior."""
    panel.hist(draws, bins=40, density=True, color=BLUE, alpha=0.5, label="posterior")
    grid = np.linspace(0, draws.max(), 200)
    panel.plot(grid, np.exp(-grid / prior_mean) / prior_mean, color=INK, linewidth=1, label="prior")
    panel.set_title(f"{row['median']:.2g} ({row['lower']:.2g} to {row['upper']:.2g})", fontsize=8, color=INK)
