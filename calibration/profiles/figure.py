"""Profiles as small pictures: curve, threshold, interval, optimum; bands for predictions, contours for pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from calibration.profiles.curve import IDENTIFIABLE, PRACTICALLY_NOT, STRUCTURALLY_NOT, UNDECIDED, Curve
from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calibration.profiles.pair import PairProfile
    from calibration.profiles.prediction import PredictionProfiles
    from calibration.profiles.result import Profiles

MUTED = "#777777"
COLOURS = {IDENTIFIABLE: "#1f5f8b", PRACTICALLY_NOT: "#c77700", STRUCTURALLY_NOT: "#b03a48", UNDECIDED: "#6b6b6b"}
HIGHEST = 1.5
"""Top of the panels, in thresholds."""
_ACROSS = 4
_PANEL = (2.9, 2.35)  # inches


def draw_profiles(profiles: Profiles) -> Figure:
    """A panel per parameter, on the estimation scale."""
    from matplotlib.ticker import MaxNLocator

    count = len(profiles.names)
    across = min(range(min(count, _ACROSS), min(count, 3) - 1, -1), key=lambda wide: -count % wide)
    down = -(-count // across)
    figure = blank_figure(max(across * _PANEL[0], 4.5), down * _PANEL[1] + 0.75)
    panels = np.atleast_1d(figure.subplots(down, across, sharey=True, squeeze=False)).ravel()
    limit = profiles.threshold
    for place, (axes, name, curve) in enumerate(zip(panels, profiles.names, profiles.curves, strict=False)):
        flag, index = profiles.flags[place], profiles.entries.index(name)
        low, high = curve.interval
        view = _view(curve, float(profiles.lower[index]), float(profiles.upper[index]))
        dress(axes)
        colour = COLOURS[flag]
        # Beyond a bound nothing was tried.
        inside = max(low, float(profiles.lower[index])), min(high, float(profiles.upper[index]))
        axes.axvspan(max(inside[0], view[0]), min(inside[1], view[1]), color=colour, alpha=0.13, linewidth=0, zorder=0)
        axes.axhline(limit, color=MUTED, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
        for bound in (profiles.lower[index], profiles.upper[index]):
            if view[0] <= bound <= view[1]:
                axes.axvline(bound, color=INK, linewidth=1.0, linestyle=":", zorder=1)
        _draw_curve(axes, curve, colour)
        here = int(np.argmin(np.abs(curve.position - curve.optimum)))
        axes.plot(curve.optimum, curve.rise[here], marker="D", color=INK, markersize=5, zorder=5, clip_on=False)
        axes.set_xlim(*view)
        axes.set_ylim(-0.04 * HIGHEST * limit, HIGHEST * limit)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        scale = profiles.scale(name)
        prefix = {"lin": "", "log": "ln ", "log10": "log₁₀ "}[scale]
        axes.set_xlabel((prefix + name).replace("$", r"\$"), fontsize=8.5, color=INK)
        axes.set_title(flag, fontsize=8.5, color=colour, loc="left")
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[::across]:
        axes.set_ylabel("rise of −2 log " + ("posterior" if profiles.with_prior else "L"), fontsize=8.5, color=INK)
    figure.suptitle(
        f"Profile likelihoods: threshold {limit:.2f} for {100 * profiles.level:g} % intervals (shaded); "
        "◆ optimum, dotted lines are bounds",
        fontsize=9.5,
        color=INK,
    )
    return figure


def draw_predictions(profiles: PredictionProfiles) -> Figure:
    """Intervals of the prediction over time, or the curve itself where there is one time."""
    figure = blank_figure(5.2, 3.4)
    axes = figure.add_subplot()
    colour = COLOURS[IDENTIFIABLE]
    unit = f" [{profiles.unit}]" if profiles.unit not in ("", "dimensionless") else ""
    label = f"{profiles.observable}{unit}".replace("$", r"\$")
    dress(axes)
    if len(profiles.times) == 1:
        curve = profiles.curves[0]
        low, high = curve.interval
        view = _view(curve, -np.inf, np.inf)
        axes.axvspan(max(low, view[0]), min(high, view[1]), color=colour, alpha=0.13, linewidth=0)
        axes.axhline(curve.threshold, color=MUTED, linewidth=1.0, linestyle=(0, (5, 3)))
        _draw_curve(axes, curve, colour)
        axes.set_xlim(*view)
        axes.set_ylim(-0.04 * HIGHEST * curve.threshold, HIGHEST * curve.threshold)
        axes.set_xlabel(f"{label} at time {profiles.times[0]:g}", fontsize=9, color=INK)
        axes.set_ylabel("rise of −2 log L", fontsize=9, color=INK)
        return figure
    table = profiles.table()
    times, best = table["time"].to_numpy(), table["prediction"].to_numpy()
    # An open end is drawn as far as the profile went.
    low = np.where(np.isfinite(table["lower"]), table["lower"], [c.position[0] for c in profiles.curves])
    high = np.where(np.isfinite(table["upper"]), table["upper"], [c.position[-1] for c in profiles.curves])
    axes.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0, label=f"{100 * profiles.level:g} %")
    axes.plot(times, best, color=colour, linewidth=1.8, label="best fit")
    for column, marker in (("lower", "v"), ("upper", "^")):
        open_ends = ~np.isfinite(table[column].to_numpy())
        if open_ends.any():
            edge = (low if column == "lower" else high)[open_ends]
            axes.plot(times[open_ends], edge, marker, color=COLOURS[PRACTICALLY_NOT], label=f"open {column} end")
    axes.set_xlabel("time", fontsize=9, color=INK)
    axes.set_ylabel(label, fontsize=9, color=INK)
    axes.legend(frameon=False, fontsize=8)
    return figure


def draw_pair(pair: PairProfile) -> Figure:
    """The rise over the plane of two parameters, with the edge of the confidence region."""
    figure = blank_figure(4.8, 3.9)
    axes = figure.add_subplot()
    dress(axes)
    rise = np.ma.masked_invalid(pair.rise.T)
    levels = np.linspace(0.0, 2.5 * pair.threshold, 11)
    filled = axes.contourf(pair.a, pair.b, rise, levels=levels, cmap="Blues_r", extend="max")
    axes.contour(pair.a, pair.b, rise, levels=[pair.threshold], colors=[INK], linewidths=1.6)
    axes.plot(*pair.optimum, marker="D", color=COLOURS[STRUCTURALLY_NOT], markersize=6)
    bar = figure.colorbar(filled, ax=axes)
    bar.set_label("rise of −2 log L", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8)
    for set_label, name, scale in zip((axes.set_xlabel, axes.set_ylabel), pair.names, pair.scales, strict=True):
        prefix = {"lin": "", "log": "ln ", "log10": "log₁₀ "}[scale]
        set_label((prefix + name).replace("$", r"\$"), fontsize=9, color=INK)
    axes.set_title(f"black: {100 * pair.level:g} % region of the pair", fontsize=9, color=INK, loc="left")
    return figure


def _draw_curve(axes: Axes, curve: Curve, colour: str) -> None:
    """Points, and the cubic through values and slopes where the curve is smooth."""
    x, y, slope = curve.position, curve.rise, curve.slope
    for a in range(len(x) - 1):
        chord = (y[a + 1] - y[a]) / (x[a + 1] - x[a])
        fine = np.linspace(x[a], x[a + 1], 24)
        within = CubicHermiteSpline(x[a : a + 2], y[a : a + 2], slope[a : a + 2])(fine)
        # Across a jump, or beside a point that is not converged, the cubic would swing out of its segment.
        smooth = min(slope[a], slope[a + 1]) - abs(chord) <= chord <= max(slope[a], slope[a + 1]) + abs(chord)
        line = within if smooth and within.min() > -0.1 * curve.threshold else np.interp(fine, x, y)
        axes.plot(fine, line, color=colour, linewidth=1.7, zorder=3)
    axes.plot(x, y, "o", color=colour, markersize=3.0, zorder=4)


def _view(curve: Curve, lower: float, upper: float) -> tuple[float, float]:
    """What of the axis is shown: all points, with room, but not much beyond a bound."""
    left, right = float(curve.position[0]), float(curve.position[-1])
    pad = 0.06 * (right - left) or 0.5
    return max(left - pad, lower - pad), min(right + pad, upper + pad)
