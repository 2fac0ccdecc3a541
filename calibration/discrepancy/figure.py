"""Pictures of discrepancies: the posterior over time, and the size beside its prior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps

from calibration.discrepancy.along import label_of
from calibration.discrepancy.diffusion import MEAN, Diffusion
from calibration.discrepancy.posterior import AMPLITUDE_MEAN, PRACTICAL, Discrepancy
from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE = "#0072b2", "#d55e00"
POINTS = 81


def discrepancy_figure(found: Discrepancy, *, draws: int = 200, seed: int = 0) -> Figure:
    """A row per observable: the course with its 90 % band, and the density of the amplitude with its prior's.

    Where the discrepancy goes along a dose, a line per dose, and the amplitude against the dose.

    Args:
        found: The posterior; its discrepancy is shared between series.
        draws: Draws of the course.
        seed: Their seed.

    Raises:
        ProblemError: every series has a discrepancy of its own.
    """
    like = found.likelihood
    if like.doses is not None:
        return _over_doses(found, draws=draws, seed=seed)
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


def _over_doses(found: Discrepancy, *, draws: int, seed: int) -> Figure:
    """A row per observable: a course with its band for each dose, and how large the discrepancy is at each."""
    like, sizes = found.likelihood, found.by_dose()
    figure = blank_figure(7.5, 3.0 * len(like.observables))
    panels = figure.subplots(len(like.observables), 2, squeeze=False, width_ratios=(3, 2))
    for index, name in enumerate(like.observables):
        course, size = panels[index]
        rows = like.rows[index]
        here = sizes[sizes["observable"] == name]
        doses = here["dose"].to_numpy()
        colours = colormaps["viridis"](np.linspace(0.0, 0.85, len(doses)))
        course.axhspan(-1, 1, color=ORANGE, alpha=0.12, linewidth=0, label="the noise, ± 1 scale")
        for dose, colour in zip(doses, colours, strict=True):
            read = like.time[rows[like.dose[rows] == dose]]  # type: ignore[index]
            times = np.linspace(read.min(), read.max(), POINTS)
            drawn = found.course(times, name, dose=float(dose), draws=draws, seed=seed)
            low, mid, high = np.quantile(drawn, [0.05, 0.5, 0.95], axis=0)
            course.fill_between(times, low, high, color=colour, alpha=0.15, linewidth=0)
            course.plot(times, mid, color=colour, label=f"{dose:.3g}")
        course.set_ylabel(f"{name}\ndiscrepancy / noise scale", fontsize=8, color=INK)
        course.set_xlabel(f"time ({like.problem.model.time_unit})", fontsize=8, color=INK)
        course.legend(fontsize=6, frameon=False, ncols=2, title=label_of(like.along), title_fontsize=6)  # type: ignore[arg-type]
        middle = here["median"].to_numpy()
        away = np.abs(here[["lower", "upper"]].to_numpy().T - middle)
        size.errorbar(doses, middle, away, fmt="none", color=BLUE, capsize=2, label="median, 90 %")
        marks = [("o", here["flagged"].to_numpy(), "flagged"), ("s", ~here["flagged"].to_numpy(), "not flagged")]
        for marker, which, label in marks:
            face = BLUE if marker == "o" else "white"
            size.plot(doses[which], middle[which], marker, color=BLUE, markerfacecolor=face, markersize=4, label=label)
        size.axhline(PRACTICAL, color=ORANGE, linewidth=1, linestyle="--", label="flagged above")
        size.set_xlabel(label_of(like.along), fontsize=8, color=INK)  # type: ignore[arg-type]
        size.set_ylabel("amplitude / noise scale", fontsize=8, color=INK)
        size.set_ylim(bottom=0)
        size.legend(fontsize=6, frameon=False)
        for panel in (course, size):
            dress(panel)
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
