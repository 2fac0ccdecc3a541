"""A plain figure: what all pictures of the package have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#333333", "#dddddd"


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, of the object interface: the user's pyplot state and backend stay alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def dress(panel: Axes, ticks: Literal["major", "both"] = "major") -> None:
    """Faint lines and small letters, so that the data stand out.

    Args:
        panel: The axes.
        ticks: Whose labels are small: logarithmic axes may label minor ones, too.
    """
    panel.grid(color=FAINT, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=8, colors=INK, color=FAINT, which=ticks)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
