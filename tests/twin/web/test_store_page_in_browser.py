"""The page of stores in a headless Chromium: the keyboard chooses, links restore, files come, words can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pandas as pd
import pytest
import xarray as xr

from tests.twin.web.browser import MISSING, TEXTS, browser, chromium, colour_of, serving
from twin.web.palette import contrast
from twin.web.store.charts import COLOURS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("stores"),
    pytest.mark.skipif(chromium() is None, reason=MISSING),
]


@pytest.fixture(scope="module")
def link(stores: tuple[Path, Path, Path]) -> Iterator[str]:
    with serving(*map(str, stores)) as address:
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
    window.on("console", lambda message: window.faults.append(message.text))
    window.on("pageerror", lambda error: window.faults.append(str(error)))
    window.goto(link)
    yield window
    assert window.faults == []  # what the policy forbids would be said here
    assert [url for url in window.asked if not url.startswith((link, "data:"))] == []
    window.close()


def picture(page: Any, section: str) -> str:
    """The words and lines of the picture of a section."""
    return page.locator(f"#{section} svg.picture").first.inner_html()


def test_the_keyboard_chooses_what_is_shown(page: Any) -> None:
    before = picture(page, "courses")
    assert "strong · decay" in page.locator("#courses svg.picture").get_attribute("aria-label")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the pictures"
    for _ in range(3):
        page.keyboard.press("Tab")
    for _ in range(20):  # on to the third arm of the first run
        if page.evaluate("document.activeElement.value") == "strong":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "arm"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Space")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert picture(page, "courses") != before
    assert "strong · decay" not in page.locator("#courses svg.picture").get_attribute("aria-label")
    assert "arm=none" in page.url and "arm=strong" not in page.url


def test_a_link_restores_the_view(page: Any, program: Any) -> None:
    page.get_by_label("Endpoint", exact=True).select_option("peak")
    page.get_by_label("Shown as").select_option("histogram")
    page.get_by_label("logarithmic axis", exact=True).check()
    page.get_by_label("Reference in again").select_option("strong")
    with page.expect_navigation():
        page.get_by_role("button", name="Show").click()
    assert page.get_by_role("heading", name="Endpoint: peak").count() == 1
    again = program.new_page()
    again.goto(page.url)
    for section in ("courses", "endpoint", "differences", "between"):
        assert picture(again, section) == picture(page, section)
    assert again.get_by_label("Shown as").input_value() == "histogram"
    assert again.get_by_label("Reference in again").input_value() == "strong"
    again.close()


def test_a_link_that_cannot_be_shown(program: Any, link: str) -> None:
    window = program.new_page()
    assert window.goto(f"{link}?arm=nonee").status == 400
    assert "did you mean 'none'" in window.get_by_role("alert").inner_text()
    window.get_by_role("link", name="The page as it begins").click()
    assert window.get_by_role("heading", name="Over time").count() == 1
    window.close()


def test_files_come(page: Any, tmp_path: Path) -> None:
    for name, file in (("courses as CSV", "bands.csv"), ("all patients of again as netCDF", "patients-2.nc")):
        with page.expect_download(timeout=60_000) as waiting:
            page.get_by_role("link", name=name).click()
        assert waiting.value.suggested_filename == file
        waiting.value.save_as(tmp_path / file)
    table = pd.read_csv(tmp_path / "bands.csv", comment="#")
    assert set(table["run"]) == {"decay", "again"} and (table["q10"] <= table["q90"]).all()
    with xr.open_dataset(tmp_path / "patients-2.nc") as found:
        assert found.sizes["patient"] == 300 and "late" in found


def test_words_and_lines_stand_out(page: Any) -> None:
    found = page.evaluate(TEXTS)
    assert len(found) > 100
    faint = [entry for entry in found if contrast(colour_of(entry[1]), colour_of(entry[2])) < 4.5]
    assert faint == []
    letters = page.evaluate("[...document.querySelectorAll('svg.picture text')].map((e) => getComputedStyle(e).fill)")
    assert letters and all(contrast(colour_of(fill), "#ffffff") >= 4.5 for fill in letters)
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in COLOURS)


def test_a_narrow_window_needs_no_scrolling_sideways(program: Any, link: str) -> None:
    window = program.new_page(viewport={"width": 390, "height": 800})
    window.goto(link)
    assert window.evaluate("document.documentElement.scrollWidth") <= 390
    window.close()


def test_who_comes_in(stores: tuple[Path, Path, Path]) -> None:
    def status(url: str, **headers: str) -> int:
        try:
            return urlopen(Request(url, headers=headers)).status
        except HTTPError as error:
            with error:
                return error.code

    with serving(str(stores[0]), "--host", "0.0.0.0") as address:
        parts = urlsplit(address)
        own = f"http://127.0.0.1:{parts.port}/"
        assert status(own) == 403 and status(f"{own}download/bands.csv") == 403
        assert status(f"{own}?token=wrong") == 403
        token = parts.query.removeprefix("token=")
        assert status(own, Cookie=f"cytotwin-{parts.port}={token}") == 200
        assert status(own, Host=f"elsewhere.example:{parts.port}", Cookie=f"cytotwin-{parts.port}={token}") == 403
