"""Pictures that can be pointed at: they hold what the figure of matplotlib holds, and say what they lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twin
from tests.twin.web.browser import MISSING, browser, chromium
from twin.errors import TwinError, TwinWarning
from twin.figure import blank_figure
from twin.plot import plot_dataset

bokeh_models = pytest.importorskip("bokeh.models", reason="interactive pictures need the extra web")

X, Y = np.array([0.5, 1.0, 2.0, 4.0]), np.array([3.0, 1.0, 2.5, 10.0])


def panels(layout: Any) -> list[Any]:
    return [model for model in layout.references() if model.__class__.__name__ == "figure"]


def glyphs(plot: Any, kind: str) -> list[Any]:
    """Data sources of a kind of glyph, in the order of drawing."""
    return [r.data_source.data for r in plot.renderers if getattr(r, "glyph", None).__class__.__name__ == kind]


def test_lines_points_areas_and_bars() -> None:
    figure = blank_figure(4, 3)
    axes = figure.subplots()
    axes.fill_between(X, Y - 1, Y + 1, color="#0a5896", alpha=0.25)
    axes.plot(X, Y, "o--", color="#a83c05", label="seen")
    axes.scatter(X, 2 * Y, s=[9, 16, 25, 36], c=["#ff0000", "#00ff00", "#0000ff", "#000000"])
    axes.bar([1.0, 2.0], [5.0, 6.0], width=0.5, color="#2e6e1f")
    axes.errorbar(X, Y, yerr=0.5, fmt="none", ecolor="#123456")
    axes.axhline(7.0, color="#000000")
    axes.axvspan(1.0, 2.0, color="#dddddd")
    axes.legend()
    axes.set_title("left $k$", loc="left")
    (plot,) = panels(twin.interactive(figure).layout)
    (line,) = glyphs(plot, "Line")
    np.testing.assert_array_equal(line["x"], X)
    np.testing.assert_array_equal(line["y"], Y)
    marks, points = glyphs(plot, "Scatter")
    np.testing.assert_array_equal(marks["y"] if marks["y"][0] == 3.0 else points["y"], Y)
    coloured = next(each for each in (marks, points) if "fill_color" in each)
    assert list(coloured["fill_color"]) == ["#ff0000", "#00ff00", "#0000ff", "#000000"]
    np.testing.assert_allclose(coloured["size"], [3.0, 4.0, 5.0, 6.0])
    (area,) = glyphs(plot, "Patches")
    assert {float(y) for y in area["ys"][0]} >= {*(Y - 1), *(Y + 1)}
    boxes = [(min(p["x"]), max(p["x"]), min(p["y"]), max(p["y"])) for p in glyphs(plot, "Patch")]
    assert any(np.allclose(box, (0.75, 1.25, 0.0, 5.0)) for box in boxes)
    band = next(box for box in boxes if np.allclose(box[:2], (1.0, 2.0)))
    assert band[2] <= axes.get_ylim()[0] + 1e-9 and band[3] >= axes.get_ylim()[1] - 1e-9
    (bars,) = glyphs(plot, "MultiLine")
    np.testing.assert_allclose(bars["ys"][3], [9.5, 10.5])
    (span,) = plot.select({"type": bokeh_models.Span})
    assert (span.location, span.dimension) == (7.0, "width")
    assert plot.title.text == "left k"
    assert [item.label.value for item in plot.legend[0].items] == ["seen"]


def test_axes_are_logarithmic_shared_and_named_alike() -> None:
    figure = blank_figure(6, 3)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes in (left, right):
        axes.loglog(X, Y)
    left.set_xticks([0.5, 4.0], ["first", "last"])
    left.text(0.5, 1.1, "above", transform=left.transAxes)
    right.plot(1.0, 0.5, "x", transform=right.get_xaxis_transform())
    first, second = sorted(panels(twin.interactive(figure).layout), key=lambda plot: len(plot.renderers))
    assert first.y_range is second.y_range and first.x_range is not second.x_range
    assert first.xaxis[0].__class__.__name__ == "LogAxis"
    assert dict(first.xaxis[0].major_label_overrides) == {0.5: "first", 4: "last"}
    assert any(getattr(part, "text", "") == "above" for part in first.above)
    middle = np.sqrt(np.prod(right.get_ylim()))  # half-way up a logarithmic axis
    np.testing.assert_allclose(glyphs(second, "Scatter")[0]["y"], [middle])


def test_what_is_lost_is_named_and_words_stay_words(tmp_path: Path) -> None:
    figure = blank_figure(4, 3)
    axes = figure.subplots()
    axes.imshow(np.eye(3))
    figure.suptitle("<script>alert(1)</script>")
    with pytest.warns(TwinWarning, match="1 of AxesImage"):
        picture = twin.interactive(figure)
    path = picture.save(tmp_path / "picture.html")
    text = path.read_text()
    assert "<script>alert(1)" not in text
    assert "<script src" not in text and "<link" not in text  # nothing is loaded from elsewhere
    assert picture._repr_html_().startswith("<iframe srcdoc=")


def test_panel_adds_nothing_to_the_page() -> None:
    """As `twin serve` loads it; its own bundles would be fetched from a server that is not there."""
    panel = pytest.importorskip("panel")
    panel.extension(inline=True)
    figure = blank_figure(3, 2)
    figure.subplots().plot(X, Y)
    assert "<script src" not in twin.interactive(figure).html()


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TwinError, match="the figure has no panels"):
        twin.interactive(blank_figure(3, 2))
    figure = blank_figure(3, 2)
    figure.subplots().plot(X, Y)
    with pytest.raises(TwinError, match="cannot be written"):
        twin.interactive(figure).save(tmp_path / "no such folder" / "picture.html")
    monkeypatch.setattr("twin.interactive_figure.find_spec", lambda name: None)
    with pytest.raises(TwinError, match=r"cytotwin\[web\]"):
        twin.interactive(figure)


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason=MISSING)
def test_a_browser_draws_it(tmp_path: Path) -> None:
    model = twin.Model("decay", [twin.State("x", 2.0)], [twin.Parameter("k", 0.5)], odes={"x": "-k * x"})
    ds = twin.simulate(model, np.linspace(0, 4, 20), {"k": np.linspace(0.2, 1.0, 30)})
    path = twin.interactive(plot_dataset(ds)).save(tmp_path / "picture.html")
    with browser() as program:
        page = program.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function("() => window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle")
        kinds = page.evaluate("() => [...Bokeh.documents[0]._all_models.values()].map((model) => model.type)")
    assert faults == [] and "Patches" in kinds and "Line" in kinds
