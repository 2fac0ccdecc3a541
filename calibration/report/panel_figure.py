"""The first figure: readings with predictive bands, one small picture per series and observable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from calibration.report import canvas
from calibration.report.formats import is_missing, number, shorten
from calibration.report.panels import Panel
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup


def draw_panels(panels: Sequence[Panel], assessment: Assessment) -> list[Markup]:
    """One picture per panel, panels of one observable on the same axes."""
    limits = {name: _y_limits(panels, name, assessment) for name in {panel.observable for panel in panels}}
    everywhere = np.concatenate([p.readings["time"].to_numpy(float) for p in panels])
    times = (float(everywhere.min()), float(everywhere.max()))
    return [
        _draw(panel, f"panel{index}", assessment, times, limits[panel.observable], alone=len(panels) == 1)
        for index, panel in enumerate(panels, start=1)
    ]


def held_out_spans(
    times: Float[np.ndarray, " reading"], held: Bool[np.ndarray, " reading"], start: float, end: float
) -> list[tuple[float, float]]:
    """Stretches of time in which readings were held out, from midpoint to midpoint; edges reach the ends."""
    distinct = np.unique(times)
    flags = np.array([bool(held[times == t].any()) for t in distinct])
    spans: list[tuple[float, float]] = []
    for index in np.flatnonzero(flags):
        left = start if index == 0 else (distinct[index - 1] + distinct[index]) / 2
        right = end if index == len(distinct) - 1 else (distinct[index] + distinct[index + 1]) / 2
        if spans and spans[-1][1] == left:
            left = spans.pop()[0]
        spans.append((float(left), float(right)))
    return spans


def is_logarithmic(observable: str, assessment: Assessment) -> bool:
    """Whether the observable is drawn on a logarithmic axis: where it is scored there."""
    return assessment.score_scale.get(observable, "lin") == "log10"


def _draw(
    panel: Panel,
    name: str,
    assessment: Assessment,
    times: tuple[float, float],
    y_limits: tuple[float, float],
    *,
    alone: bool,
) -> Markup:
    """One panel as a picture."""
    pad = 0.04 * (times[1] - times[0]) or 0.5
    start, end = times[0] - pad, times[1] + pad
    held = ~panel.readings["train"].to_numpy(dtype=bool)
    moments = panel.readings["time"].to_numpy(dtype=float)
    with canvas.drawing(*((420, 260) if alone else (330, 225))) as (figure, axes):
        if is_logarithmic(panel.observable, assessment):
            canvas.log_axis(axes, "y")
        else:
            axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
        for left, right in held_out_spans(moments, held, start, end):
            axes.axvspan(left, right, facecolor=canvas.HELD, edgecolor="none", zorder=0)
            axes.annotate(
                "held out",
                ((max(left, start) + min(right, end)) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -3),
                textcoords="offset points",
                ha="center",
                va="top",
                size=9.5,
                color=canvas.MUTED,
                annotation_clip=False,
            )
        _draw_bands(axes, panel.bands)
        limit = assessment.limits.get(panel.observable)
        if limit is not None and np.isfinite(limit):
            axes.axhline(limit, color=canvas.MUTED, linestyle=(0, (5, 3)), linewidth=1.0, zorder=3)
        _draw_readings(axes, panel.readings, held)
        axes.set_xlim(start, end)
        axes.set_ylim(*y_limits)
        axes.set_xlabel(_label("time", assessment.units.get("time"), by=" "))
        axes.set_ylabel(_label(panel.observable, assessment.units.get(panel.observable)))
        return canvas.to_svg(figure, name, _describe(panel, held))


def _draw_bands(axes: Axes, bands: pd.DataFrame) -> None:
    """The 90 and 50 % bands of a new reading and the median of the noise-free prediction."""
    if bands.empty:
        return
    time = bands["time"].to_numpy(dtype=float)
    for low, high, colour, order in (
        ("q05", "q95", canvas.BAND_90, 1.0),
        ("q25", "q75", canvas.BAND_50, 1.1),
    ):
        axes.fill_between(
            time,
            bands[low].to_numpy(dtype=float),
            bands[high].to_numpy(dtype=float),
            color=colour,
            linewidth=0,
            zorder=order,
        )
    median = bands["m50" if "m50" in bands and bands["m50"].notna().to_numpy().any() else "q50"]
    axes.plot(time, median.to_numpy(dtype=float), color=canvas.TWIN, linewidth=1.8, zorder=2)


def _draw_readings(axes: Axes, readings: pd.DataFrame, held: Bool[np.ndarray, " reading"]) -> None:
    """Filled marks were calibrated on, hollow ones held out; triangles lie beyond a limit, bars are intervals."""
    kind = readings["censoring"].to_numpy()
    for word, marker, size in (("", "o", 5.5), ("left", "v", 6.5), ("right", "^", 6.5), ("interval", "_", 7.5)):
        for hollow in (False, True):
            rows = readings.loc[(kind == word) & (held == hollow)]
            if word == "interval" and len(rows):
                style = "dashed" if hollow else "solid"
                ends = rows["value"].to_numpy(dtype=float), rows["upper"].to_numpy(dtype=float)
                axes.vlines(rows["time"].to_numpy(dtype=float), *ends, color=canvas.INK, linestyle=style, zorder=4)
            axes.plot(
                rows["time"].to_numpy(dtype=float),
                rows["value"].to_numpy(dtype=float),
                linestyle="none",
                marker=marker,
                markersize=size,
                markerfacecolor=canvas.PAPER if hollow else canvas.INK,
                markeredgecolor=canvas.INK,
                markeredgewidth=1.4 if hollow else 0.8,
                zorder=4,
            )


def _y_limits(panels: Sequence[Panel], observable: str, assessment: Assessment) -> tuple[float, float]:
    """Common limits for an observable: all readings, and the bands as far as they do not dwarf them."""
    logarithmic = is_logarithmic(observable, assessment)
    values = [p.readings["value"].to_numpy(dtype=float) for p in panels if p.observable == observable]
    edges = [
        p.bands[column].to_numpy(dtype=float)
        for p in panels
        if p.observable == observable and not p.bands.empty
        for column in ("q05", "q95")
    ]
    limit = assessment.limits.get(observable)
    read = _on_axis(np.concatenate([*values, np.array([limit], dtype=float)]), logarithmic)
    band = _on_axis(np.concatenate([*edges, read]), logarithmic)
    if not read.size:
        return (1.0, 10.0) if logarithmic else (0.0, 1.0)
    low, high = float(read.min()), float(read.max())
    reach = 0.6 * (high - low) or 1.0
    # Nothing is read below a detection limit, so the bands need little room there.
    reach_below = 0.2 * reach if limit is not None and np.isfinite(limit) else reach
    low, high = max(float(band.min()), low - reach_below), min(float(band.max()), high + reach)
    pad = 0.06 * (high - low) or 0.5
    low, high = low - pad, high + 2.0 * pad  # room for the words "held out" at the top
    return (10.0**low, 10.0**high) if logarithmic else (low, high)


def _on_axis(values: Float[np.ndarray, " n"], logarithmic: bool) -> Float[np.ndarray, " n"]:
    """The finite values as positions on the axis."""
    values = values[np.isfinite(values)]
    return np.log10(values[values > 0.0]) if logarithmic else values


def _describe(panel: Panel, held: Bool[np.ndarray, " reading"]) -> str:
    """The panel in words, for those who cannot see it."""
    below = int(np.sum(panel.readings["censoring"] == "left"))
    values = panel.readings["value"].astype(float)
    said = f"{panel.title}, {panel.observable}: {len(held)} readings from {number(values.min())} to "
    said += f"{number(values.max())}, {int(held.sum())} of them held out"
    if below:
        said += f", {below} below the detection limit"
    for word, where in (("right", "above the upper limit"), ("interval", "known to lie in an interval")):
        if count := int(np.sum(panel.readings["censoring"] == word)):
            said += f", {count} {where}"
    said += "; no prediction." if panel.bands.empty else ", with the 50 and 90 % predictive bands."
    return f"{said} {panel.remark}".strip()


def _label(name: str, unit: object, by: str = "\n") -> str:
    """An axis label: the name, and its unit on a line of its own."""
    title = shorten(name, 30)
    return title if is_missing(unit) or unit == "dimensionless" else f"{title}{by}[{shorten(unit, 28)}]"
