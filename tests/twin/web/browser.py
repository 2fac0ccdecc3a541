"""A server of the page in a process of its own, and a headless Chromium to look at it.

``CYTOTWIN_CHROMIUM`` names the program where it is not on PATH; ``CYTOTWIN_CHROMIUM_LIBRARIES`` the folders of its
libraries (as in LD_LIBRARY_PATH) where they are not the system's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DRAWN_AFTER = """before => {
  const inside = [...document.querySelectorAll("*")].flatMap((e) => e.shadowRoot ? [e.shadowRoot] : []);
  const panel = inside.map((root) => root.querySelector(".twin-controls")).find((found) => found);
  return panel && Number(panel.dataset.drawn) > before && !panel.dataset.busy;
}"""
TEXTS = """() => {
  const found = [];
  const walk = (root) => {
    for (const e of root.querySelectorAll("*")) {
      if (e.shadowRoot) walk(e.shadowRoot);
      // Words have letters or digits; the dots of a toolbar are a picture, which needs less (1.4.11).
      const own = [...e.childNodes].some((n) => n.nodeType === 3 && /[\\p{L}\\d]/u.test(n.textContent));
      if (!own || !e.getClientRects().length || ["STYLE", "SCRIPT", "OPTION"].includes(e.tagName)) continue;
      let ground = "rgba(0, 0, 0, 0)";
      for (let a = e; a && ground === "rgba(0, 0, 0, 0)"; a = a.parentElement || a.getRootNode().host)
        ground = getComputedStyle(a).backgroundColor;
      found.push([e.textContent.trim().slice(0, 40), getComputedStyle(e).color, ground]);
    }
  };
  walk(document.body);
  return found;
}"""
"""Words of the page with their colour and that of the ground they stand on."""
MISSING = "no Chromium: put one on PATH or name it in CYTOTWIN_CHROMIUM"


def chromium() -> str | None:
    """The browser, if there is one."""
    given = os.environ.get("CYTOTWIN_CHROMIUM")
    if given:
        return given if Path(given).is_file() else None
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run ``twin serve`` at a free port; gives the link that it prints."""
    command = [sys.executable, "-m", "twin.cli", "serve", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"http://\S+", line):
                    yield found[0]
                    break
            else:
                raise AssertionError(f"the server printed no link and ended with {process.wait()}")
        finally:
            process.terminate()


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium under Playwright."""
    from playwright.sync_api import sync_playwright

    libraries = os.environ.get("CYTOTWIN_CHROMIUM_LIBRARIES")
    environment = {**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(), env=environment, args=["--no-sandbox", "--disable-gpu"], headless=True
        )
        try:
            yield started
        finally:
            started.close()


def opened(page: Any, link: str) -> None:
    """Go to the page and wait until its controls are there and its curves drawn."""
    page.goto(link, timeout=120_000)  # a link with other doses compiles first
    page.wait_for_selector(".twin-controls[data-drawn]", timeout=120_000)
    page.wait_for_selector(".bk-Canvas, canvas", timeout=60_000)


def drawn(page: Any) -> int:
    """How many messages of the controls have been answered."""
    return int(page.locator(".twin-controls").get_attribute("data-drawn") or 0)


def after(page: Any, act: Any) -> None:
    """Do something that moves the picture, and wait until it is drawn."""
    before = drawn(page)
    act()
    page.wait_for_function(DRAWN_AFTER, arg=before, timeout=60_000)


def colour_of(text: str) -> str:
    """A colour as a style sheet computes it, ``rgb(10, 88, 150)``, in hexadecimal."""
    numbers = text[text.index("(") + 1 : -1].split(",")[:3]
    return "#" + "".join(f"{int(float(number)):02x}" for number in numbers)
