"""A picture of a search: the goal of what was tried and where limits are missed; below it how sure the optimum is."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from twin.scenario.optimise.optimum import Optimum

COLOUR, PALE, MISSED, CHOSEN = "#1f5f8b", "#9cc3de", "#b9b9b9", "#c8442b"
MOST_PANELS = 4
"""Factors with a panel of their own; further ones are left to the tables."""


def optimum_figure(optimum: Optimum) -> Figure:
    """The picture."""
    names = list(optimum.design)[:MOST_PANELS]
    columns = max(len(names), 2)
    figure = blank_figure(max(3.4 * columns, 7.5), 6.8)
    grid = figure.add_gridspec(2, columns, height_ratios=(1.7, 1.0))
    if len(optimum.design) == 2:
        _map(figure.add_subplot(grid[0, :]), optimum, names)
    elif len(names) == 1:
        _course(figure.add_subplot(grid[0, :]), optimum, names[0], labelled=True)
    else:
        for place, name in enumerate(names):
            _course(figure.add_subplot(grid[0, place]), optimum, name, labelled=place == 0)
    for place, name in enumerate(names):
        cell = grid[1, :] if len(names) == 1 else grid[1, place]
        _doubts(figure.add_subplot(cell), optimum, name, labelled=place == 0)
    treatment = optimum.treatment
    verb = "minimise" if treatment.sign > 0 else "maximise"
    limits = "; ".join(limit.said for limit in treatment.limits.values())
    said = f"{treatment.scenario.name}: {verb} {treatment.goal.said}" + (f", with {limits}" if limits else "")
    if not optimum.kept:
        said += ". No design that was tried keeps the limits: this one misses them by least"
    figure.suptitle("\n".join(textwrap.wrap(said, int(15 * figure.get_figwidth()))), fontsize=9, color=INK)
    return figure


def _scale(panel: Axes, optimum: Optimum, name: str, axis: str) -> None:
    factor = optimum.treatment.factors[name]
    getattr(panel, f"set_{axis}label")(name, fontsize=8.5, color=INK)
    if factor.scale == "log":
        getattr(panel, f"set_{axis}scale")("log")
    margin = 0.02 * (float(factor.upper or 0) - float(factor.lower or 0))
    low, high = float(factor.lower or 0), float(factor.upper or 0)
    limits = (low / 1.05, high * 1.05) if factor.scale == "log" else (low - margin, high + margin)
    getattr(panel, f"set_{axis}lim")(*limits)


def _map(panel: Axes, optimum: Optimum, names: list[str]) -> None:
    """Goal over two factors: colour, crosses where a limit is missed, and the optimum with its bootstrap samples."""
    tried = optimum.tried[np.isfinite(optimum.tried["goal"])]
    kept = tried["kept"].to_numpy(dtype=bool)
    x, y = (tried[name].to_numpy(dtype=float) for name in names)
    goal = tried["goal"].to_numpy(dtype=float)
    # Colours tell good designs apart; the bad ones share the last.
    good = np.quantile(goal[kept], [0.0, 0.75] if optimum.treatment.sign > 0 else [0.25, 1.0]) if kept.any() else (0, 1)
    shades = panel.scatter(
        x[kept], y[kept], c=goal[kept], s=34, cmap="viridis", vmin=good[0], vmax=good[1], zorder=3, label="limits kept"
    )
    if (~kept).any():
        panel.scatter(x[~kept], y[~kept], c=MISSED, s=26, marker="x", zorder=2, label="a limit is missed")
    if len(optimum.resampled):
        panel.scatter(*optimum.resampled.T, s=9, color=CHOSEN, alpha=0.5, zorder=4, label="best in bootstrap samples")
    _mark_arms(panel, optimum, names)
    best = [optimum.design[name] for name in names]
    panel.scatter(*best, marker="*", s=190, color=CHOSEN, edgecolor="white", zorder=5, label="optimum")
    for name, axis in zip(names, "xy", strict=True):
        _scale(panel, optimum, name, axis)
    if kept.any():
        bar = panel.figure.colorbar(shades, ax=panel, pad=0.01, extend="max" if optimum.treatment.sign > 0 else "min")
        bar.set_label(optimum.treatment.goal.said, fontsize=8, color=INK)
        bar.ax.tick_params(labelsize=7.5)
    panel.set_title("Designs that were tried", loc="left", fontsize=9, color=INK)
    panel.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4, frameon=False)
    dress(panel)


def _mark_arms(panel: Axes, optimum: Optimum, names: list[str]) -> None:
    order = list(optimum.design)
    for arm, levels in optimum.treatment.regimens.items():
        at = [levels[order.index(name)] for name in names]
        panel.scatter(*at, marker="s", s=34, facecolor="none", edgecolor=INK, zorder=4)
        panel.annotate(arm, at, xytext=(5, 4), textcoords="offset points", fontsize=7.5, color=INK)


def _course(panel: Axes, optimum: Optimum, name: str, *, labelled: bool) -> None:
    """Goal over one factor."""
    tried = optimum.tried[np.isfinite(optimum.tried["goal"])].sort_values(name)
    kept = tried["kept"].to_numpy(dtype=bool)
    x, goal = tried[name].to_numpy(dtype=float), tried["goal"].to_numpy(dtype=float)
    if len(optimum.design) == 1:
        panel.plot(x, goal, color=PALE, linewidth=1.2, zorder=1)
    panel.scatter(x[kept], goal[kept], s=20, color=COLOUR, zorder=3, label="limits kept")
    if (~kept).any():
        panel.scatter(x[~kept], goal[~kept], s=22, color=MISSED, marker="x", zorder=2, label="a limit is missed")
    panel.scatter(
        [optimum.design[name]], [optimum.value], marker="*", s=190, color=CHOSEN, edgecolor="white", zorder=5,
        label="optimum",
    )  # fmt: skip
    _scale(panel, optimum, name, "x")
    if labelled:
        panel.set_ylabel(optimum.treatment.goal.said, fontsize=8.5, color=INK)
        panel.set_title("Designs that were tried", loc="left", fontsize=9, color=INK)
        panel.legend(fontsize=7.5, frameon=False)
    dress(panel)


def _doubts(panel: Axes, optimum: Optimum, name: str, *, labelled: bool) -> None:
    """Where the best level lies for single patients and for other cohorts of this size."""
    place = list(optimum.design).index(name)
    alone = optimum.individual[:, place]
    alone = alone[np.isfinite(alone)]
    factor = optimum.treatment.factors[name]
    low, high = float(factor.lower or 0), float(factor.upper or 0)
    edges = np.geomspace(low, high, 21) if factor.scale == "log" else np.linspace(low, high, 21)
    if len(alone):
        weights = np.full(len(alone), 100.0 / len(optimum.individual))
        panel.hist(alone, edges, weights=weights, color=PALE, label="best for single patients")
    if name in optimum.intervals:
        panel.axvspan(
            *optimum.intervals[name], color=CHOSEN, alpha=0.22, linewidth=0, label="95 % of bootstrap samples"
        )
    panel.axvline(optimum.design[name], color=CHOSEN, linewidth=1.6, label="optimum")
    _scale(panel, optimum, name, "x")
    if labelled:
        panel.set_ylabel("patients [%]", fontsize=8.5, color=INK)
        panel.set_title("How sure it is", loc="left", fontsize=9, color=INK)
        panel.legend(fontsize=7, frameon=False)
    dress(panel)
