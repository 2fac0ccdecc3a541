"""A picture of a comparison: a row per endpoint, distributions left, differences to the reference right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress
from twin.units import pretty

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOUR, PALE = "#1f5f8b", "#9cc3de"
MOST_ARMS = 24
"""Arms that can be read in one picture; further ones are left to the table."""


def comparison_figure(endpoints: pd.DataFrame, responders: pd.DataFrame, title: str) -> Figure:
    """The picture of the tables of `compare_arms`."""
    names = list(dict.fromkeys(endpoints["endpoint"]))
    criteria = [] if responders.empty else list(dict.fromkeys(responders["criterion"]))
    every = list(dict.fromkeys(endpoints["arm"]))
    arms = every[:MOST_ARMS]
    rows = len(names) + len(criteria)
    figure = blank_figure(10.0, 0.9 + rows * (0.75 + 0.19 * len(arms)))
    panels = figure.subplots(rows, 2, squeeze=False)
    for row, name in enumerate(names):
        table = endpoints[endpoints["endpoint"] == name].set_index("arm").loc[arms]
        unit = pretty(str(table["unit"].iloc[0])) if table["unit"].iloc[0] else ""
        _ranges(panels[row, 0], table, "", f"{name} [{unit}]" if unit else name, arms)
        _ranges(panels[row, 1], table, "difference_", "difference to the reference", arms)
    for row, name in enumerate(criteria, start=len(names)):
        table = responders[responders["criterion"] == name].set_index("arm").loc[arms]
        label = f"{name}: {table['formula'].iloc[0]}"
        _shares(panels[row, 0], table, ("share", "low", "high"), f"{label} [% of patients]", arms)
        _shares(panels[row, 1], table, ("difference", "lower", "upper"), "difference [percentage points]", arms)
    more = f"; {len(every) - len(arms)} more arms in the table" if len(every) > len(arms) else ""
    said = "bars hold 90 % and 50 % of the patients, dots are medians; of shares: 95 % intervals"
    figure.suptitle(f"{title}: {said}{more}", fontsize=9, color=INK)
    return figure


def _ranges(panel: Axes, table: pd.DataFrame, prefix: str, title: str, arms: list[str]) -> None:
    low, first, middle, third, high = (
        table[f"{prefix}q{level}"].to_numpy(dtype=float) for level in ("05", "25", "50", "75", "95")
    )
    places = np.arange(len(arms))
    finite = np.concatenate([low, first, middle, third, high])
    finite = finite[np.isfinite(finite)]
    if len(finite):
        # What is infinite ("never") leaves the picture on its side.
        margin = 0.06 * (np.ptp(finite) or 1.0)
        left, right = finite.min() - margin, finite.max() + margin
        clipped = [np.clip(x, left, right) for x in (low, first, middle, third, high)]
        panel.hlines(places, clipped[0], clipped[4], color=PALE, linewidth=2)
        panel.hlines(places, clipped[1], clipped[3], color=COLOUR, linewidth=5)
        panel.scatter(clipped[2], places, s=22, color="white", edgecolor=INK, zorder=3)
        panel.set_xlim(left, right)
        for place, end in enumerate(high):
            if np.isposinf(end):
                panel.annotate("never", (right, place), fontsize=7, ha="right", va="bottom", color=INK)
    _finish(panel, title, arms, zero=bool(prefix))


def _shares(panel: Axes, table: pd.DataFrame, names: tuple[str, str, str], title: str, arms: list[str]) -> None:
    middle, low, high = (100 * table[name].to_numpy(dtype=float) for name in names)
    places = np.arange(len(arms))
    panel.hlines(places, low, high, color=COLOUR, linewidth=3)
    panel.scatter(middle, places, s=22, color="white", edgecolor=INK, zorder=3)
    _finish(panel, title, arms, zero=names[0] == "difference")


def _finish(panel: Axes, title: str, arms: list[str], zero: bool) -> None:
    panel.set_yticks(range(len(arms)), arms)
    panel.set_ylim(len(arms) - 0.5, -0.5)
    panel.set_title(title, loc="left", fontsize=8.5, color=INK)
    dress(panel)
    if zero:
        panel.axvline(0.0, color=INK, linewidth=0.8, linestyle=":")
        panel.set_yticklabels([])
