"""The page in a headless Chromium: sliders move curves, links restore views, downloads come, words can be read."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pandas as pd
import psutil
import pytest

from tests.twin.web.browser import MISSING, TEXTS, after, browser, chromium, colour_of, opened, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("web_page"),
    pytest.mark.skipif(chromium() is None, reason=MISSING),
]

CURVE = """() => {
  const models = Bokeh.documents.flatMap((d) => [...d._all_models.values()]);
  const source = models.findLast((m) => m.type === "ColumnDataSource" && m.data.middle !== undefined);
  return Array.from(source.data.middle);
}"""
BAND = """() => {
  const models = Bokeh.documents.flatMap((d) => [...d._all_models.values()]);
  const { q05, q95 } = models.findLast((m) => m.type === "ColumnDataSource" && m.data.middle !== undefined).data;
  return Array.from(q95, (high, at) => high - q05[at]);
}"""


def _twin(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "twin.cli", *arguments], stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reports")
    (path / "gap.html").write_text("<p>The gap is 0.8</p>")
    return path


@pytest.fixture(scope="module")
def link(folder: Path) -> Iterator[str]:
    with serving("theophylline", "--patients", "100", "--folder", str(folder)) as address:
        yield address


@pytest.fixture(scope="module")
def program() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture
def page(program: Any, link: str) -> Iterator[Any]:
    window = program.new_page(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    window.asked, window.faults = [], []
    window.on("request", lambda request: window.asked.append(request.url))
    window.on("pageerror", lambda error: window.faults.append(str(error)))
    opened(window, link)
    yield window
    assert window.faults == []
    # The websocket and the page itself: nothing is loaded from elsewhere.
    assert [url for url in window.asked if not url.startswith((link, "data:", "blob:"))] == []
    window.close()


def test_sliders_move_the_curve_by_keyboard_and_by_hand(page: Any) -> None:
    first = page.evaluate(CURVE)
    slider = page.locator('input[data-key="p.CL"]')
    slider.focus()
    after(page, lambda: slider.press("PageUp"))
    second = page.evaluate(CURVE)
    assert second != first and second[-1] < first[-1]  # more clearance, less left
    assert "p.CL=" in page.url
    after(page, lambda: slider.fill("40"))
    assert page.evaluate(CURVE)[-1] > first[-1]
    box = page.locator('input[data-key="exact-p.CL"]')
    after(page, lambda: (box.fill("0.04"), box.press("Enter")))
    assert page.evaluate(CURVE) == pytest.approx(first, rel=1e-2)
    assert slider.get_attribute("aria-valuetext") == "0.04 liter/kilogram/hour"
    assert page.get_by_label("CL liter/kilogram/hour", exact=True).count() == 1


def test_a_link_restores_the_view(page: Any, program: Any, link: str) -> None:
    slider = page.locator('input[data-key="dose.0.amount"]')
    slider.focus()
    after(page, lambda: slider.press("PageDown"))
    name = page.locator('input[data-key="scenario-name"]')
    name.fill("<b>less</b>")
    after(page, lambda: name.press("Enter"))
    after(page, lambda: page.locator('input[data-key="show-gut"]').check())
    again = program.new_page()
    opened(again, page.url)
    assert again.evaluate(CURVE) == page.evaluate(CURVE)
    assert again.locator('input[data-key="show-gut"]').is_checked()
    assert again.get_by_role("cell", name="<b>less</b>").count() == 1  # as words, not as markup
    again.goto(link + "?p.CLL=1")
    assert again.get_by_role("alert").inner_text(timeout=60_000).startswith("The link cannot be used")
    again.close()


def test_downloads_and_reports(page: Any, link: str, tmp_path: Path) -> None:
    with page.expect_download(timeout=60_000) as waiting:
        page.locator('a[data-key="csv"]').click()
    waiting.value.save_as(tmp_path / "bands.csv")
    table = pd.read_csv(tmp_path / "bands.csv", comment="#")
    assert table["q50"].to_numpy()[-1] == pytest.approx(table["q50"].to_numpy()[-1]) and set(table["scenario"]) == {
        "now"
    }
    with page.expect_download(timeout=60_000) as waiting:
        page.locator('a[data-key="netcdf"]').click()
    waiting.value.save_as(tmp_path / "patients.nc")
    assert (tmp_path / "patients.nc").read_bytes()[1:4] == b"HDF"
    report = page.get_by_role("link", name="gap.html")
    assert b"The gap is 0.8" in urlopen(link + report.get_attribute("href")).read()


def test_a_server_whose_page_was_moved_rests(page: Any) -> None:
    slider = page.locator('input[data-key="p.CL"]')
    slider.focus()
    after(page, lambda: slider.press("PageUp"))
    time.sleep(1.0)  # what follows the picture: ranges that the browser reports
    servers = [child for child in psutil.Process().children() if "serve" in child.cmdline()]
    shares = [server.cpu_percent(interval=2.0) for server in servers]
    assert len(shares) == 1 and max(shares) < 25.0  # of a core


def test_a_calibrated_twin(program: Any, tmp_path: Path) -> None:
    told = ("--starts", "2", "--chains", "2", "--warmup", "100", "--draws", "100", "--quiet")
    with _twin("calibrate", "theophylline", *told, "--out", str(tmp_path)) as calibration:
        assert calibration.wait() == 0
    with serving(str(tmp_path / "posterior.nc")) as link:
        window = program.new_page(viewport={"width": 1440, "height": 1000})
        opened(window, link)
        typical = window.evaluate(BAND)
        after(window, lambda: window.locator('select[data-key="whom"]').select_option("new"))
        new = window.evaluate(BAND)
        assert max(new) > 2 * max(typical)  # people differ by more than the typical one is uncertain
        slider = window.locator('input[data-key="x.CL"]')
        slider.focus()
        before = window.evaluate(CURVE)
        after(window, lambda: slider.press("PageUp"))
        assert window.evaluate(CURVE)[-1] < before[-1]
        assert "x.CL=" in window.url and "whom=" in window.url


def test_words_stand_out(page: Any) -> None:
    from twin.web.palette import contrast

    found = page.evaluate(TEXTS)
    assert len(found) > 40
    faint = [(words, ink, ground) for words, ink, ground in found if contrast(colour_of(ink), colour_of(ground)) < 4.5]
    assert faint == []
