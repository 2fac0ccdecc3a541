"""The picture of a forecast: bands over time, the readings so far, and where the twin stands."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twin.errors import ExperimentError
from twin.figure import FAINT, INK, blank_figure, dress

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from twin.live.ensemble import Twin

BLUE, ORANGE = "#0072b2", "#d55e00"
"""Distinguishable by the colour-blind (Okabe and Ito)."""
MARKERS = {"": "o", "left": "v", "right": "^", "interval": "s"}
MOST_PANELS = 12


def draw_forecast(twin: Twin, bands: xr.Dataset, path: str | PathLike[str]) -> None:
    """Write the picture of a forecast with quantiles, a panel per variable.

    Args:
        twin: The twin.
        bands: What `Twin.forecast` or `Twin.what_if` gave with `quantiles`.
        path: The file; its suffix says the format.

    Raises:
        ExperimentError: draws instead of quantiles.
    """
    if "quantile" not in bands.dims:
        raise ExperimentError("it has draws", where="figure", fix="ask for quantiles, such as (0.05, 0.5, 0.95)")
    names = list(map(str, bands.data_vars))[:MOST_PANELS]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = blank_figure(max(4.2 * columns, 5.0), 3.0 * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    for panel, name in zip(panels, names, strict=False):
        draw_panel(panel, bands, name, readings_of(twin, bands, name), twin_time(bands))
    figure.savefig(Path(path), dpi=120)


def twin_time(bands: xr.Dataset) -> float:
    """Where the twin stands."""
    return float(bands.attrs["twin_time"])


def readings_of(twin: Twin, bands: xr.Dataset, name: str) -> pd.DataFrame:
    """The readings of a variable in the series of a forecast."""
    table = twin.readings
    own = (table["experiment"] == bands.attrs["experiment"]) & (table["subject"] == bands.attrs["subject"])
    return table[own & (table["observable"] == name)]


def draw_panel(panel: Axes, bands: xr.Dataset, name: str, readings: pd.DataFrame, now: float) -> None:
    """One variable: pairs of quantiles as bands, the middle one as a line, readings as points."""
    time, shares = bands["time"].to_numpy(), bands["quantile"].to_numpy()
    values = bands[name].transpose("quantile", "time").to_numpy()
    order = np.argsort(shares)
    for depth, (low, high) in enumerate(zip(order[: len(order) // 2], order[::-1], strict=False)):
        label = f"{100 * (shares[high] - shares[low]):.0f} %"
        alpha = min(0.18 + 0.14 * depth, 0.6)
        panel.fill_between(time, values[low], values[high], color=BLUE, alpha=alpha, linewidth=0, label=label)
    if len(order) % 2:
        panel.plot(time, values[order[len(order) // 2]], color=BLUE, linewidth=1.4, label="median")
    for word, marker in MARKERS.items():
        some = readings[readings["censoring"] == word]
        if len(some):
            panel.plot(
                some["time"], some["value"], marker, color=INK, markersize=4, label=f"readings {word}".strip(), zorder=3
            )
    if time[0] <= now <= time[-1]:
        panel.axvline(now, color=ORANGE, linewidth=0.9, linestyle="--", label="now")
    panel.set_title(name + _unit(bands[name]), fontsize=9, color=INK)
    panel.set_xlabel("time" + _unit(bands["time"]), fontsize=8, color=INK)
    panel.legend(fontsize=7, frameon=False, labelcolor=INK, edgecolor=FAINT)
    dress(panel)


def _unit(variable: xr.DataArray) -> str:
    unit = variable.attrs.get("units", "")
    return "" if unit in ("", "dimensionless") else f" [{unit}]"
