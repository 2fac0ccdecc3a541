"""The picture of a Fisher information: spectrum, and the entries of its stiffest and sloppiest directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calibration.information.fisher import FisherInformation

_MUTED = "#8a8a8a"
_STIFF, _SLOPPY, _NULL = "#1f5f8b", "#d98324", "#b3352c"


def plot_information(information: FisherInformation, most: int) -> Figure:
    """Draw it; see `FisherInformation.plot`."""
    shown = min(len(information.names), most)
    figure = blank_figure(10.5, max(3.4, 1.6 + 0.22 * shown))
    spectrum, stiff, sloppy = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    _draw_spectrum(spectrum, information)
    table = information.directions()
    _draw_direction(stiff, information, information.eigenvectors[0], _STIFF, most)
    error = float(table["standard_error"].iloc[0])
    _title(stiff, "Stiffest direction", f"standard error {error:.2g}" if np.isfinite(error) else "not determined")
    null = information.spectrum.null
    last = null[0] if len(null) else information.eigenvectors[-1]
    error = float(table["standard_error"].iloc[-1])
    _draw_direction(sloppy, information, last, _NULL if len(null) else _SLOPPY, most)
    missing = f"not determined (1 of {len(null)})" if len(null) > 1 else "not determined"
    _title(sloppy, "Sloppiest direction", missing if len(null) else f"standard error {error:.2g}")
    figure.suptitle(
        f"{information.name}: {len(information.readings)} readings, "
        f"rank {information.rank} of {len(information.names)}".replace("$", r"\$"),
        color=INK,
        fontsize=11,
    )
    return figure


def _draw_spectrum(panel: Axes, information: FisherInformation) -> None:
    values, rank = information.eigenvalues, information.rank
    place = np.arange(1, len(values) + 1)
    positive = values[values > 0]
    if not len(positive):
        panel.set_axis_off()
        panel.text(0.5, 0.5, "no information", ha="center", color=INK, transform=panel.transAxes)
        return
    # Eigenvalues that are rounding errors would stretch the axis over nothing.
    floor = positive[:rank].min() / 30 if rank else positive.max()
    known = place <= rank
    panel.vlines(place[known], floor, values[known], color=_STIFF, linewidth=1.2, alpha=0.35)
    panel.plot(place[known], values[known], "o", color=_STIFF, markersize=5)
    if not known.all():
        lost = place[~known]
        panel.plot(
            lost, np.full(len(lost), floor), "x", color=_NULL, markersize=6, label="no information", clip_on=False
        )
        panel.legend(fontsize=8, frameon=False, labelcolor=INK, handletextpad=0.2)
    panel.set_yscale("log")
    panel.set_ylim(bottom=floor)
    panel.set_xlim(0.4, len(values) + 0.6)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel("direction", fontsize=9, color=INK)
    number = information.condition_number
    _title(panel, "Eigenvalues", f"condition number {number:.2g}" if np.isfinite(number) else "singular")
    dress(panel, "both")


def _draw_direction(panel: Axes, information: FisherInformation, vector: np.ndarray, color: str, most: int) -> None:
    order = np.argsort(-np.abs(vector), kind="stable")[:most]
    order = np.sort(order)  # in the order of the problem, so that the two panels can be compared
    place = np.arange(len(order))
    panel.barh(place, vector[order], color=color, height=0.62)
    panel.axvline(0.0, color=_MUTED, linewidth=0.8)
    panel.set_yticks(place, [information.names[i].replace("$", r"\$") for i in order])
    panel.invert_yaxis()
    panel.set_xlim(-1.05, 1.05)
    panel.set_xlabel("entry (estimation scale)", fontsize=9, color=INK)
    dress(panel, "both")


def _title(panel: Axes, title: str, note: str) -> None:
    panel.set_title(f"{title}\n", fontsize=9.5, color=INK, loc="left")
    panel.text(0.0, 1.02, note, fontsize=8.5, color=_MUTED, transform=panel.transAxes, va="bottom")
