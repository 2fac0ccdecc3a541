"""Time from a moved slider to the picture on the page of `twin serve`: computing alone, and as a reader waits for it.

The parameter that is moved takes another value each time. "computed" is the simulation of 1,000 patients with bands
and endpoints in this process; "answered" the time from a key on the slider until the browser has the answer, "redrawn"
until two frames later. The browser is a headless Chromium (see tests/twin/web/browser.py), which draws without a
graphics card.

    uv run python -m tests.benchmarks.page_latency [MODEL ...]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from tests.twin.web.browser import MISSING, after, browser, chromium, opened, serving
from twin import library
from twin.web.compute import compute
from twin.web.link import view_of
from twin.web.served import serve_model

MOVES, PATIENTS = 20, 1000


def computed(name: str) -> list[float]:
    """Milliseconds of every move but the first, which compiles."""
    served = serve_model(library.load_model(name), until=None, patients=PATIENTS)
    parameter = served.spread.varied[0]
    value = served.start().values[parameter]
    factors = np.geomspace(0.5, 2.0, MOVES + 1)
    views = [view_of(f"p.{parameter}={float(value * factor)!r}", served) for factor in factors]
    return [1e3 * compute(served, view).seconds for view in views][1:]


def seen(name: str) -> tuple[list[float], list[float]]:
    """Milliseconds until the answer and until it is drawn, for keys on a parameter's slider in a browser."""
    answered, redrawn = [], []
    with serving(name, "--patients", str(PATIENTS)) as link, browser() as program:
        page = program.new_page(viewport={"width": 1440, "height": 1000})
        opened(page, link)
        slider = page.locator('input[type=range][data-key^="p."]').first
        panel = page.locator(".twin-controls")
        slider.focus()
        for move in range(MOVES + 1):
            after(page, lambda move=move: slider.press("ArrowLeft" if move % 3 == 2 else "ArrowRight"))
            answered.append(float(panel.get_attribute("data-answered")))
            redrawn.append(float(panel.get_attribute("data-milliseconds")))
    return answered[1:], redrawn[1:]


def show(what: str, milliseconds: Sequence[float]) -> None:
    """One line: median and worst of a few."""
    middle, late = np.quantile(milliseconds, [0.5, 0.9])
    print(f"  {what:9s} median {middle:4.0f} ms, 90 % within {late:4.0f} ms", flush=True)


def main() -> None:
    """Measure and print."""
    for name in sys.argv[1:] or ["theophylline", "influenza_teiv"]:
        print(f"{name}: {PATIENTS:,} patients, {MOVES} moves")
        show("computed", computed(name))
        if chromium() is None:
            print(f"  {MISSING}")
            continue
        answered, redrawn = seen(name)
        show("answered", answered)
        show("redrawn", redrawn)


if __name__ == "__main__":
    main()
