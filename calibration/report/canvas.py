"""A matplotlib figure as inline SVG that takes its colours and its font from the page around it.

Matplotlib knows fixed colours only. Each colour here is a placeholder that no figure would use by accident;
in the SVG it becomes a CSS variable of the page, so that one picture serves light, dark and print. Text stays
text: it can be searched, read aloud, and is drawn in the page's own font. Nothing of matplotlib's global
state is touched (no pyplot), and whatever style the user has set does not leak in.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from calibration.report.formats import power_of_ten
from twin.markup import Markup, escape

INK, MUTED, LINE, PAPER = "#010a01", "#010a02", "#010a03", "#010a04"
TWIN, BAND_90, BAND_50 = "#010a05", "#010a06", "#010a07"
HELD, BAD, CURVE = "#010a08", "#010a09", "#010a0a"
WIN, TIE, LOSE = "#010a0b", "#010a0c", "#010a0d"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    TWIN: "twin",
    BAND_90: "band-90",
    BAND_50: "band-50",
    HELD: "held",
    BAD: "bad",
    CURVE: "curve",
    WIN: "win",
    TIE: "tie",
    LOSE: "lose",
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cytotwin",  # the same assessment makes the same page, byte for byte
    "font.size": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.parse_math": False,  # a "$" in a subject's name is a "$"
}


@contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure with one pair of axes, of so many CSS pixels at its natural size."""
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # The browser draws the text and has more scripts than the font that measures it here.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support")
        figure = Figure(figsize=(width / 72.0, height / 72.0), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)  # type: ignore[union-attr]
        yield figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as inline SVG; to be called inside `drawing`.

    Args:
        figure: The figure.
        name: Unique on the page; prefix of the identifiers inside the picture.
        description: What the picture shows, for those who cannot see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    root = re.search(r"<svg\b[^>]*>", text)
    box = re.search(r'viewBox="([^"]*)"', text)
    if root is None or box is None:
        raise RuntimeError("matplotlib wrote no <svg> element with a viewBox")
    body = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", text[root.end() :], count=1, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href=", "href=")
    # Two pictures on a page must not share identifiers: a clip path would be taken from the wrong one.
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    return Markup(
        f'<svg class="picture" role="img" viewBox="{escape(box.group(1))}" aria-label="{escape(description)}">{body}'
    )


def log_axis(axes: Axes, which: str) -> None:
    """Give the x or y axis powers of ten, written with superscript digits."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(base=10.0, numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value, axis.get_view_interval())))
    axis.set_minor_formatter(NullFormatter())


def _power(value: float, view: tuple[float, float]) -> str:
    """A tick at a power of ten: plain on an axis of few decades, else 10 with an exponent."""
    if value <= 0.0:  # matplotlib also asks about ticks outside the axis
        return ""
    plain = min(view) > 2e-3 and max(view) < 2e4
    return f"{value:g}" if plain or value in (1.0, 10.0) else power_of_ten(round(math.log10(value)))
