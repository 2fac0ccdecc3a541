"""A dataset of `twin.simulate` as small pictures, one per variable; bands where there are many draws."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from twin.errors import ExperimentError, suggestion
from twin.figure import INK, blank_figure, dress
from twin.units import pretty

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BANDS = ((0.05, 0.95, 0.18), (0.25, 0.75, 0.32))
_LINE = "#1f5f8b"
_ACROSS = 3
_PANEL = (3.3, 2.3)  # inches


def plot_dataset(
    ds: xr.Dataset,
    variables: Sequence[str] | None = None,
    *,
    log: bool | Collection[str] = False,
    title: str | None = None,
) -> Figure:
    """Draw variables against time.

    With a dimension "draw" each panel shows the median and the bands that hold 50 % and 90 % of the draws; draws that
    failed (NaN) are left out.

    Args:
        ds: Result of `twin.simulate`.
        variables: What to draw; default everything.
        log: Whether the vertical axes are logarithmic: all, none, or the named ones. Panels without positive values
            stay linear.
        title: Above the picture; default the model's name.

    Returns:
        A figure that belongs to no window: ``figure.savefig("a.png")``.

    Raises:
        ExperimentError: An unknown variable, or nothing to draw.
    """
    names = [str(name) for name in (variables if variables is not None else ds.data_vars)]
    for name in names:
        if name not in ds.data_vars:
            raise ExperimentError(
                f"there is no variable {name!r} to draw", where="plot", fix=suggestion(name, map(str, ds.data_vars))
            )
    if not names:
        raise ExperimentError("there is nothing to draw", where="plot", expected="at least one variable")
    across = min(len(names), _ACROSS)
    down = -(-len(names) // across)
    figure = blank_figure(max(across * _PANEL[0], 4.0), down * _PANEL[1] + 0.5)
    panels = np.atleast_1d(figure.subplots(down, across, sharex=True, squeeze=False)).ravel()
    for panel, name in zip(panels, names, strict=False):
        logarithmic = log if isinstance(log, bool) else name in log
        _draw(panel, ds, name, logarithmic)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    for panel in panels[max(len(names) - across, 0) : len(names)]:
        panel.set_xlabel(_label("time", ds["time"].attrs.get("units", "")), color=INK)
        panel.tick_params(labelbottom=True)
    figure.suptitle(title if title is not None else str(ds.attrs.get("model", "")), color=INK, fontsize=11)
    return figure


def _draw(panel: Axes, ds: xr.Dataset, name: str, logarithmic: bool) -> None:
    time = ds["time"].to_numpy()
    values = ds[name].transpose(..., "time").to_numpy()
    if values.ndim == 2:
        whole = values[np.isfinite(values).all(axis=1)]
        if len(whole):
            for low, high, shade in _BANDS:
                lower, upper = np.quantile(whole, [low, high], axis=0)
                panel.fill_between(time, lower, upper, color=_LINE, alpha=shade, linewidth=0)
            panel.plot(time, np.median(whole, axis=0), color=_LINE, linewidth=1.5)
    else:
        panel.plot(time, values, color=_LINE, linewidth=1.5, marker="o" if len(time) == 1 else None)
    if logarithmic and np.nanmax(values, initial=0.0) > 0.0:
        panel.set_yscale("log", nonpositive="mask")
    panel.set_title(_label(name, ds[name].attrs.get("units", "")), fontsize=9, color=INK, loc="left")
    dress(panel)


def _label(name: str, unit: str) -> str:
    """A name with its unit; dollar signs are text here, not mathematics."""
    shown = pretty(unit)
    return (f"{name} [{shown}]" if shown else name).replace("$", r"\$")
