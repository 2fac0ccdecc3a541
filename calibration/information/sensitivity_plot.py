"""The picture of global sensitivity indices: over time, one row per output; bars where there is one time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress
from twin.units import pretty

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calibration.information.sensitivity import Sensitivity

_GREY = "#b8b8b8"
# Okabe & Ito's colours, told apart with colour blindness too; yellow is left out on white.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7a5195")
_PANELS = {
    "sobol": (("ST", "Total index"), ("S1", "First-order index")),
    "morris": (("mu_star", "Mean size of effects μ*"), ("sigma", "Spread of effects σ")),
}


def plot_sensitivity(found: Sensitivity, outputs: list[str], most: int) -> Figure:
    """Draw it; see `Sensitivity.plot`."""
    ds = found.dataset.sel(output=outputs)
    colors = _colors(found, most)
    figure = blank_figure(9.5, 0.8 + 2.5 * len(outputs))
    panels = figure.subplots(len(outputs), 2, squeeze=False, sharex=ds.sizes["time"] > 1)
    for row, output in zip(panels, outputs, strict=True):
        for panel, (kind, title) in zip(row, _PANELS[found.method], strict=True):
            of = ds.sel(output=output)
            (_bars if ds.sizes["time"] == 1 else _lines)(panel, of, kind, colors)
            unit = pretty(str(of["unit"].item())) if found.method == "morris" else ""
            label = f"{output}: {title}{f' [{unit}]' if unit else ''}"
            panel.set_title(label.replace("$", r"\$"), fontsize=9, color=INK, loc="left")
            dress(panel)
            if found.method == "sobol":
                # Shares, but estimates of few samples leave [0, 1], which must be seen.
                low, high = min(-0.05, 1.05 * float(of[kind].min())), max(1.05, 1.05 * float(of[kind].max()))
                (panel.set_ylim if ds.sizes["time"] > 1 else panel.set_xlim)(low, high)
    if ds.sizes["time"] > 1:
        unit = pretty(str(ds["time"].attrs.get("units", "")))
        for panel in panels[-1]:
            panel.set_xlabel(f"time [{unit}]" if unit else "time", fontsize=9, color=INK)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        chosen = [i for i, label in enumerate(labels) if colors[label.replace(r"\$", "$")] != _GREY]
        figure.legend(
            [handles[i] for i in chosen], [labels[i] for i in chosen], loc="outside right upper", frameon=False,
            fontsize=8.5, labelcolor=INK, title=None if len(chosen) == len(labels) else "others in grey",
        )  # fmt: skip
    figure.suptitle(str(ds.attrs["title"]).replace("$", r"\$"), color=INK, fontsize=11)
    return figure


def _colors(found: Sensitivity, most: int) -> dict[str, str]:
    """Colours of the parameters with the largest indices anywhere; grey of the others."""
    ds = found.dataset
    scale = ds[found.main].max(("time", "parameter"))  # effects on different outputs have different units
    peak = (ds[found.main] / scale.where(scale > 0)).max(("output", "time")).fillna(0.0).to_numpy()
    order = np.argsort(-peak, kind="stable")[: min(most, len(_COLORS))]
    names = [str(name) for name in ds["parameter"].values]
    ranked = {names[i]: color for i, color in zip(order, _COLORS, strict=False)}
    return {name: ranked.get(name, _GREY) for name in names}


def _lines(panel: Axes, of: xr.Dataset, kind: str, colors: dict[str, str]) -> None:
    time = of["time"].to_numpy()
    mark = "o" if of.sizes["time"] < 12 else None
    for name, color in colors.items():
        values = of[kind].sel(parameter=name).to_numpy()
        label = name.replace("$", r"\$")
        front = 1 if color == _GREY else 2
        panel.plot(time, values, color=color, linewidth=1.6, marker=mark, markersize=3, label=label, zorder=front)
        if f"{kind}_conf" in of and color != _GREY:
            half = of[f"{kind}_conf"].sel(parameter=name).to_numpy()
            panel.fill_between(time, values - half, values + half, color=color, alpha=0.13, linewidth=0)


def _bars(panel: Axes, of: xr.Dataset, kind: str, colors: dict[str, str]) -> None:
    place, values = np.arange(len(colors)), of[kind].isel(time=0).to_numpy()
    half = of[f"{kind}_conf"].isel(time=0).to_numpy() if f"{kind}_conf" in of else None
    error = {"ecolor": INK, "capsize": 2, "error_kw": {"linewidth": 0.9}} if half is not None else {}
    panel.barh(place, values, xerr=half, color=list(colors.values()), height=0.6, **error)
    panel.set_yticks(place, [name.replace("$", r"\$") for name in colors])
    panel.invert_yaxis()
