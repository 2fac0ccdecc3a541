"""The picture of a design: when to read, over the predicted curves, and what each purchase adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twin.figure import INK, blank_figure, dress
from twin.units import pretty

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calibration.experimental_design.result import Design

BLUE, ORANGE, GREY = "#1f5f8b", "#d55e00", "#8a8a8a"
SHOWN = 9
"""Series that are drawn, those with most readings; a picture of a hundred shows none."""
WIDEST = 100.0
"""The gain is drawn from where standard errors are at most a hundred times those of the whole design."""
_KEYS = ["experiment", "subject", "observable"]


def draw_design(found: Design) -> Figure:
    """Draw it; see `Design.plot`."""
    count = found.counts[found.candidates.items].astype(int)
    table = found.curve.assign(count=count)
    groups = [(key, rows.sort_values("time")) for key, rows in table.groupby(_KEYS, sort=False)]
    order = sorted(range(len(groups)), key=lambda i: (-int(groups[i][1]["count"].sum()), i))[:SHOWN]
    shown = [groups[i] for i in sorted(order)]
    across = min(3, len(shown))
    down = -(-len(shown) // across)
    figure = blank_figure(3.3 * across + 3.6, max(2.3 * down + 0.9, 3.4))
    parts: Any = figure.subfigures(1, 2, width_ratios=(3.3 * across, 3.3))
    curves, gains = parts
    panels = curves.subplots(down, across, squeeze=False, sharex=True).ravel()
    for panel, (key, rows) in zip(panels, shown, strict=False):
        _draw_series(panel, found, key, rows)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    unit = pretty(found.units.get("time", ""))
    for place, panel in enumerate(panels[: len(shown)]):
        if place + across >= len(shown):
            panel.set_xlabel(f"time [{unit}]" if unit else "time", fontsize=9, color=INK)
            panel.tick_params(labelbottom=True)
    handles, labels = panels[0].get_legend_handles_labels()
    for panel in panels[1 : len(shown)]:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles, labels = [*handles, handle], [*labels, label]
    curves.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=8, labelcolor=INK)
    _draw_gain(gains.subplots(), found)
    return figure


def _draw_series(panel: Axes, found: Design, key: tuple[str, ...], rows: pd.DataFrame) -> None:
    time, middle = rows["time"].to_numpy(), rows["prediction"].to_numpy()
    before = "readings at hand" if found.kept else "original schedule"
    for column, color, alpha, label in (
        ("sd_now", GREY, 0.22, f"± 1 standard error, {before}"),
        ("sd_after", BLUE, 0.3, "± 1 standard error, with the design"),
    ):
        sd = rows[column].to_numpy()
        known = np.isfinite(sd)
        if known.any():
            panel.fill_between(
                time, middle - sd, middle + sd, where=known, color=color, alpha=alpha, linewidth=0, label=label
            )
    panel.plot(time, middle, color=INK, linewidth=1.3, label="prediction")
    taken = rows[rows["count"] > 0]
    old = found.readings
    here = old[(old["experiment"] == key[0]) & (old["subject"] == key[1]) & (old["observable"] == key[2])]
    panel.plot(
        here["time"], here["value"], "o", markersize=4, markerfacecolor="none", markeredgecolor=GREY, label=before
    )
    # Stems, so that times are found without the markers' heights.
    for each in taken["time"]:
        panel.axvline(each, color=ORANGE, linewidth=0.8, alpha=0.55, zorder=1)
    panel.plot(taken["time"], taken["prediction"], "D", markersize=5, color=ORANGE, label="reading to take", zorder=4)
    for row in taken[taken["count"] > 1].itertuples(index=False):
        panel.annotate(
            f"×{row.count}",
            (row.time, row.prediction),
            xytext=(4, 5),
            textcoords="offset points",
            fontsize=8,
            color=ORANGE,
        )
    unit = pretty(found.units.get(key[2], ""))
    title = ", ".join(key[:2]) + f": {key[2]}{f' [{unit}]' if unit not in ('', 'dimensionless') else ''}"
    panel.set_title(title.replace("$", r"\$"), fontsize=8.5, color=INK, loc="left")
    low, high = middle.min(), middle.max()
    low, high = min(low, here["value"].min(), low), max(high, here["value"].max(), high)
    if len(here) == 0:
        low, high = middle.min(), middle.max()
    room = 0.25 * (high - low) or 1.0
    panel.set_ylim(low - room, high + room)  # bands that are wider than the curve would flatten it
    dress(panel)


def _draw_gain(panel: Axes, found: Design) -> None:
    values = found.order["criterion"].to_numpy()
    place = np.arange(1, len(values) + 1)
    if found.gain is not None:
        panel.plot([0, *place], [0.0, *values], "o-", color=BLUE, markersize=4, linewidth=1.5)
        panel.set_ylabel("information gain [nat]", fontsize=9, color=INK)
        note = f"{found.gain.lower:.2f} to {found.gain.upper:.2f} nat with new draws"
    else:
        if found.kept and np.isfinite(found.now):
            place, values = np.concatenate([[0], place]), np.concatenate([[found.now], values])
        width = np.exp((found.value - values) / 2)
        seen = width <= WIDEST
        panel.plot(place[seen], width[seen], "o-", color=BLUE, markersize=4, linewidth=1.5)
        best = np.exp((found.value - found.bound) / 2)
        panel.axhline(best, color=GREY, linewidth=1.1, linestyle=(0, (5, 3)))
        panel.annotate(
            "no design of this budget is below", (1.0, best), xycoords=("axes fraction", "data"), xytext=(0, -4),
            textcoords="offset points", ha="right", va="top", fontsize=7.5, color=GREY,
        )  # fmt: skip
        panel.set_yscale("log")
        high = float(width[seen].max())
        ticks = [x for x in (1, 1.5, 2, 3, 5, 10, 20, 50, 100) if x <= 1.1 * high]
        panel.set_yticks(ticks, [f"{x:g}" for x in ticks])
        panel.minorticks_off()
        panel.set_ylim(best / max(high, 1.2) ** 0.12, max(high, 1.1) ** 1.06)
        if not found.kept and np.isfinite(found.now):
            original = float(np.exp((found.value - found.now) / 2))
            panel.plot([float(place[-1])], [original], "o", markersize=6, markerfacecolor="none", markeredgecolor=GREY)
            panel.annotate(
                "original schedule ", (float(place[-1]), original), ha="right", va="center", fontsize=7.5, color=GREY
            )
            panel.set_ylim(top=max(panel.get_ylim()[1], 1.15 * original))
        panel.set_ylabel("standard errors, relative to the design's", fontsize=9, color=INK)
        note = f"{found.criterion}-efficiency at least {found.percent:g} %"
    panel.set_xlabel("purchases, the most telling first", fontsize=9, color=INK)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_title(f"Gain per purchase\n{note}", fontsize=8.5, color=INK, loc="left")
    dress(panel, "both")
