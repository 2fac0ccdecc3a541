"""A picture that can be zoomed and asked for its numbers, made from any figure of the package.

All pictures are matplotlib's. `interactive` reads their lines, areas, points, bars and words, and draws the same with
Bokeh, so that no picture has to be written twice. What it cannot carry over is counted and named.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from twin.errors import TwinError, TwinWarning

if TYPE_CHECKING:
    from bokeh.models import LayoutDOM
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXTRA = "web"
DASHES = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "dashdot"}
MARKERS = {
    "o": "circle", ".": "circle", "s": "square", "D": "diamond", "d": "diamond", "^": "triangle",
    "v": "inverted_triangle", "x": "x", "+": "cross", "*": "star", "|": "dash", "_": "dash",
}  # fmt: skip
TOOLS = "pan,wheel_zoom,box_zoom,reset,save,hover"
SCREEN_DPI = 96
BOKEH = ["bokeh", "bokeh-gl", "bokeh-widgets"]
"""Its scripts that the pictures need."""


class Interactive:
    """A picture for a notebook or a browser.

    Args:
        layout: The same as Bokeh's objects, for further use.
        title: Of the page.
        height: Of the picture [pixels].
    """

    def __init__(self, layout: LayoutDOM, title: str, height: int) -> None:
        self.layout, self.title, self.height = layout, title, height

    def html(self) -> str:
        """A page that needs nothing else, scripts included."""
        from bokeh.embed import components
        from bokeh.resources import Resources

        # Not `file_html`: where Panel has been loaded, it adds scripts that are somewhere else.
        script, div = components(self.layout)
        library = "\n".join(Resources(mode="inline", components=BOKEH).js_raw)
        head = f'<meta charset="utf-8"><title>{escape(self.title)}</title><script>{library}</script>'
        return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{div}{script}</body></html>\n'

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page; it opens without a network.

        Raises:
            TwinError: the file cannot be written.
        """
        path = Path(path)
        try:
            path.write_text(self.html(), encoding="utf-8")
        except OSError as error:
            raise TwinError(f"{path} cannot be written ({error.strerror})", where="Interactive.save") from error
        return path

    def _repr_html_(self) -> str:
        # A frame of its own: the page's scripts stay apart from the notebook's, whatever that is.
        page = escape(self.html(), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="{self.height + 40}" style="border:0"></iframe>'


def interactive(figure: Figure, title: str = "") -> Interactive:
    """The same picture to zoom, to pan, and to point at.

    Args:
        figure: What a `plot` of the package returns, or another figure of matplotlib.
        title: Of the page; default the figure's title.

    Returns:
        Shows itself in a notebook; ``save("picture.html")`` writes a page.

    Raises:
        TwinError: Bokeh is not installed, or the figure has no panels.

    Warns:
        TwinWarning: parts of the figure that are not carried over, by kind.

    Example:
        >>> twin.interactive(fit.plot_waterfall()).save("waterfall.html")
    """
    if find_spec("bokeh") is None:
        raise TwinError(
            "interactive pictures need bokeh",
            where="interactive",
            expected=f"the extra {EXTRA!r}",
            fix=f"pip install 'cytotwin[{EXTRA}]'",
        )
    panels = [axes for axes in figure.axes if axes.get_visible()]
    if not panels:
        raise TwinError("the figure has no panels", where="interactive", expected="a figure with axes")
    from bokeh.layouts import column, gridplot
    from bokeh.models import Div

    figure.draw_without_rendering()  # the layout decides where words are
    width, height = (int(SCREEN_DPI * inches) for inches in figure.get_size_inches())
    lost: Counter[str] = Counter()
    grid: dict[tuple[int, int], Any] = {}
    shared: dict[tuple[str, int], Any] = {}
    for index, axes in enumerate(panels):
        plot = _panel(axes, width, height, shared, bool(figure.legends), lost)
        spec = axes.get_subplotspec()
        grid[(spec.rowspan.start, spec.colspan.start) if spec is not None else (10**6 + index, 0)] = plot
    rows = sorted({row for row, _ in grid})
    columns = sorted({place for _, place in grid})
    children = [[grid.get((row, place)) for place in columns] for row in rows]
    layout: LayoutDOM = gridplot(children, merge_tools=len(grid) > 1, toolbar_location="right")
    words = figure.get_suptitle()
    if words:
        layout = column(Div(text=f"<b>{escape(_plain(words))}</b>"), layout)
    if lost:
        parts = ", ".join(f"{count} of {kind}" for kind, count in sorted(lost.items()))
        warnings.warn(f"not carried over to the interactive picture: {parts}", TwinWarning, stacklevel=2)
    return Interactive(layout, title or _plain(words) or "cytotwin", height)


def _panel(
    axes: Axes, width: int, height: int, shared: dict[tuple[str, int], Any], legends: bool, lost: Counter[str]
) -> Any:
    from bokeh.plotting import figure as bokeh_figure

    box = axes.get_position()
    plot = bokeh_figure(
        width=max(int(width * box.width) + 70, 160),
        height=max(int(height * box.height) + 70, 140),
        x_axis_type="log" if axes.get_xscale() == "log" else "linear",
        y_axis_type="log" if axes.get_yscale() == "log" else "linear",
        x_axis_label=_plain(axes.get_xlabel()),
        y_axis_label=_plain(axes.get_ylabel()),
        title=next((_plain(t) for t in map(axes.get_title, ("left", "center", "right")) if t), ""),
        tools=TOOLS,
        active_scroll=None,
        output_backend="webgl" if _many(axes) else "canvas",
    )
    plot.toolbar.logo = None
    plot.hover.tooltips = [("x", "$x{0.[000] a}"), ("y", "$y{0.[000] a}")]
    for letter, limits in (("x", axes.get_xlim()), ("y", axes.get_ylim())):
        _axis(plot, axes, letter, limits, shared)
    pointed = []
    for artist in sorted(_artists(axes), key=lambda each: each.get_zorder()):
        if not artist.get_visible():
            continue
        drawn = _draw(plot, axes, artist)
        if drawn is None:
            lost[type(artist).__name__] += 1
            continue
        pointed += [each for each in drawn if each.glyph.__class__.__name__ in ("Line", "Scatter")]
        words = str(artist.get_label())
        if drawn and words and not words.startswith("_") and (axes.get_legend() is not None or legends):
            _name(plot, drawn, _plain(words))
    plot.hover.renderers = pointed
    for text in axes.texts:
        if text.get_visible() and text.get_text():
            _words(plot, axes, text)
    if axes.get_xscale() not in ("log", "linear") or axes.get_yscale() not in ("log", "linear"):
        lost[f"{axes.get_xscale()}-{axes.get_yscale()} axes"] += 1
    return plot


def _axis(plot: Any, axes: Axes, letter: str, limits: tuple[float, float], shared: dict[tuple[str, int], Any]) -> None:
    """Limits and labels of an axis; panels that share one in the figure share it here."""
    from bokeh.models import FixedTicker, Range1d
    from matplotlib.ticker import FixedLocator

    group = axes.get_shared_x_axes() if letter == "x" else axes.get_shared_y_axes()
    key = (letter, min(id(each) for each in group.get_siblings(axes)))
    shared.setdefault(key, Range1d(*(float(end) for end in limits)))
    setattr(plot, f"{letter}_range", shared[key])
    of_figure = axes.xaxis if letter == "x" else axes.yaxis
    drawn = plot.xaxis if letter == "x" else plot.yaxis
    if not of_figure.get_visible() or not axes.axison:
        drawn.visible = False
    if isinstance(of_figure.get_major_locator(), FixedLocator):
        low, high = sorted(limits)
        ticks = [float(tick) for tick in of_figure.get_majorticklocs()]
        labels = [_plain(label.get_text()) for label in of_figure.get_majorticklabels()]
        drawn.ticker = FixedTicker(ticks=[tick for tick in ticks if low <= tick <= high])
        # Bokeh looks whole numbers up without a decimal point.
        drawn.major_label_overrides = {
            (int(tick) if tick.is_integer() else tick): label for tick, label in zip(ticks, labels, strict=False)
        }


def _artists(axes: Axes) -> Iterator[Artist]:
    yield from axes.collections
    yield from axes.patches
    yield from axes.lines
    yield from axes.images


def _many(axes: Axes) -> bool:
    return sum(len(line.get_xdata()) for line in axes.lines) > 20_000


class Style(NamedTuple):
    """Colour and opacity as Bokeh takes them."""

    colour: str | None
    alpha: float


def _style(colour: Any, alpha: float | None = None) -> Style:
    from matplotlib.colors import to_hex, to_rgba

    if colour is None or (isinstance(colour, str) and colour.lower() == "none"):
        return Style(None, 0.0)
    rgba = to_rgba(colour, alpha)
    return Style(to_hex(rgba), rgba[3]) if rgba[3] > 0 else Style(None, 0.0)


def _draw(plot: Any, axes: Axes, artist: Artist) -> list[Any] | None:
    """What Bokeh draws for an artist; None where there is no counterpart."""
    from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
    from matplotlib.contour import ContourSet
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if isinstance(artist, Line2D):
        return _line(plot, axes, artist)
    if isinstance(artist, PathCollection):
        return _points(plot, artist)
    if isinstance(artist, LineCollection):
        return _lines(plot, artist)
    if isinstance(artist, QuadMesh):
        return _mesh(plot, artist)
    if isinstance(artist, ContourSet | PolyCollection):
        return _areas(plot, artist)
    if isinstance(artist, Patch):
        return _patch(plot, axes, artist)
    return None


def _line(plot: Any, axes: Axes, line: Any) -> list[Any] | None:
    from bokeh.models import Span

    x, y = (np.asarray(part, dtype=float) for part in (line.get_xdata(orig=False), line.get_ydata(orig=False)))
    colour, alpha = _style(line.get_color(), line.get_alpha())
    pen = {"line_color": colour, "line_alpha": alpha, "line_width": line.get_linewidth()}
    dash = DASHES.get(line.get_linestyle())
    if dash is not None:
        pen["line_dash"] = dash
    transform = line.get_transform()
    if transform != axes.transData:
        # A line from edge to edge has one coordinate in shares of the panel.
        edges = (("width", x, y, axes.get_yaxis_transform), ("height", y, x, axes.get_xaxis_transform))
        for dimension, along, at, of_axis in edges:
            if transform == of_axis(which="grid") and list(along) == [0.0, 1.0]:
                plot.add_layout(Span(location=float(at[0]), dimension=dimension, **pen))
                return []
        x, y = axes.transData.inverted().transform(transform.transform(np.column_stack([x, y]))).T
    drawn = []
    if dash is not None and colour is not None and len(x) > 1:
        step = {"steps-post": "after", "steps-pre": "before", "steps-mid": "center"}.get(line.get_drawstyle())
        drawn.append(plot.step(x, y, mode=step, **pen) if step else plot.line(x, y, **pen))
    marker = line.get_marker()
    if marker not in (None, "None", "", " "):
        face, face_alpha = _style(line.get_markerfacecolor(), line.get_alpha())
        edge, edge_alpha = _style(line.get_markeredgecolor(), line.get_alpha())
        drawn.append(
            plot.scatter(
                x,
                y,
                marker=MARKERS.get(marker, "circle"),
                size=line.get_markersize() * (0.5 if marker == "." else 1.0),
                angle=np.pi / 2 if marker == "|" else 0.0,
                fill_color=face,
                fill_alpha=face_alpha,
                line_color=edge,
                line_alpha=edge_alpha,
                line_width=line.get_markeredgewidth(),
            )
        )
    return drawn


def _points(plot: Any, points: Any) -> list[Any]:
    at = np.ma.filled(np.ma.asarray(points.get_offsets(), dtype=float), np.nan)
    count = len(at)
    if not count:
        return []
    sizes = np.sqrt(np.resize(points.get_sizes(), count))
    face = [_style(tuple(c)) for c in _resized(points.get_facecolors(), count)]
    edge = [_style(tuple(c)) for c in _resized(points.get_edgecolors(), count)]
    return [
        plot.scatter(
            at[:, 0],
            at[:, 1],
            size=sizes,
            fill_color=[s.colour for s in face],
            fill_alpha=[s.alpha for s in face],
            line_color=[s.colour for s in edge],
            line_alpha=[s.alpha for s in edge],
        )
    ]


def _lines(plot: Any, lines: Any) -> list[Any]:
    parts = [np.asarray(part, dtype=float) for part in lines.get_segments()]
    if not parts:
        return []
    styles = [_style(tuple(c)) for c in _resized(lines.get_colors(), len(parts))]
    return [
        plot.multi_line(
            [part[:, 0] for part in parts],
            [part[:, 1] for part in parts],
            line_color=[style.colour for style in styles],
            line_alpha=[style.alpha for style in styles],
            line_width=[float(w) for w in np.resize(lines.get_linewidths(), len(parts))],
        )
    ]


def _areas(plot: Any, areas: Any) -> list[Any]:
    outlines, face, edge = [], [], []
    paths = areas.get_paths()
    faces, edges = _resized(areas.get_facecolors(), len(paths)), _resized(areas.get_edgecolors(), len(paths))
    for index, path in enumerate(paths):
        filled = len(faces) > 0
        for polygon in path.to_polygons(closed_only=filled):
            outlines.append(polygon)
            face.append(_style(tuple(faces[index])) if filled else Style(None, 0.0))
            edge.append(_style(tuple(edges[index])) if len(edges) else Style(None, 0.0))
    if not outlines:
        return []
    return [
        plot.patches(
            [each[:, 0] for each in outlines],
            [each[:, 1] for each in outlines],
            fill_color=[s.colour for s in face],
            fill_alpha=[s.alpha for s in face],
            line_color=[s.colour for s in edge],
            line_alpha=[s.alpha for s in edge],
        )
    ]


def _mesh(plot: Any, mesh: Any) -> list[Any]:
    from matplotlib.colors import to_hex

    corners = np.asarray(mesh.get_coordinates(), dtype=float)
    colours = [to_hex(c) for c in mesh.to_rgba(np.ravel(mesh.get_array()))]
    low, high = corners[:-1, :-1], corners[1:, 1:]
    return [
        plot.quad(
            left=low[..., 0].ravel(),
            right=high[..., 0].ravel(),
            bottom=low[..., 1].ravel(),
            top=high[..., 1].ravel(),
            fill_color=colours,
            line_color=None,
        )
    ]


def _patch(plot: Any, axes: Axes, patch: Any) -> list[Any] | None:
    if not patch.get_transform().contains_branch(axes.transData) and not _spans(axes, patch):
        return None
    # Words of a display, back to data: bands from edge to edge are as long as the panel was.
    shape = patch.get_transform().transform_path(patch.get_path())
    inverse = axes.transData.inverted()
    face, alpha = _style(patch.get_facecolor())
    edge, edge_alpha = _style(patch.get_edgecolor() if patch.get_linewidth() > 0 else None)
    drawn = []
    for polygon in shape.to_polygons():
        corners = inverse.transform(polygon)
        drawn.append(
            plot.patch(
                corners[:, 0], corners[:, 1], fill_color=face, fill_alpha=alpha, line_color=edge, line_alpha=edge_alpha
            )
        )
    return drawn


def _spans(axes: Axes, patch: Any) -> bool:
    """Whether a band goes from edge to edge of the panel (axvspan, axhspan)."""
    edges = (axes.get_xaxis_transform(which="grid"), axes.get_yaxis_transform(which="grid"))
    return any(patch.get_transform().contains_branch(edge) for edge in edges)


def _words(plot: Any, axes: Axes, text: Any) -> None:
    """Words where the figure has them: their lower left corner in data; above the panel, a line of its head."""
    from bokeh.models import Label, Title

    box = text.get_window_extent()
    if box.y0 >= axes.get_window_extent().y1:
        plot.add_layout(Title(text=_plain(text.get_text()), text_font_size="11px", text_font_style="normal"), "above")
        return
    x, y = axes.transData.inverted().transform((box.x0, box.y0))
    if not np.isfinite([x, y]).all():
        return
    colour, alpha = _style(text.get_color(), text.get_alpha())
    plot.add_layout(
        Label(
            x=float(x),
            y=float(y),
            text=_plain(text.get_text()),
            text_color=colour,
            text_alpha=alpha,
            text_font_size=f"{text.get_fontsize() * SCREEN_DPI / 72:.0f}px",
            text_baseline="bottom",
        )
    )


def _name(plot: Any, drawn: list[Any], words: str) -> None:
    from bokeh.models import Legend, LegendItem

    if not plot.legend:
        plot.add_layout(Legend(items=[], click_policy="hide", background_fill_alpha=0.7))
    plot.legend[0].items.append(LegendItem(label=words, renderers=drawn))


def _resized(colours: Any, count: int) -> np.ndarray:
    """A colour for each of so many things, repeated as matplotlib does."""
    colours = np.atleast_2d(np.asarray(colours, dtype=float))
    return np.resize(colours, (count, 4)) if colours.size else np.zeros((0, 4))


def _plain(text: str) -> str:
    """Words without matplotlib's marks for mathematics."""
    return text.replace(r"\$", "\0").replace("$", "").replace("\0", "$").replace(r"\mathrm", "")
