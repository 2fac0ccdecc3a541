"""Time of the pages of `twin serve STORE`: the first, what is computed once for a new choice, and the same page again.

Runs the scenario of ``examples/antiviral_weaker.yaml`` with another number of patients into OUT (or takes what is
there), serves it in a process of its own, and asks for pages over HTTP. "new" pages need something that no page before
needed.

    uv run python -m tests.benchmarks.store_page --patients 100000 --out OUT
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np

import twin
from tests.twin.web.browser import serving

SCENARIO = Path(__file__).resolve().parents[2] / "examples" / "antiviral_weaker.yaml"
AGAIN = 20
ENDPOINTS, ARMS = ("peak", "shedding", "burden"), ("day 1", "day 2")


def run_with(patients: int, out: Path) -> Path:
    """A finished run with so many patients."""
    text = SCENARIO.read_text(encoding="utf-8").replace("size: 10000", f"size: {patients}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "scenario.yaml").write_text(text, encoding="utf-8")
    folder = out / f"run-{patients}"
    twin.read_scenario(out / "scenario.yaml").run(folder)
    return folder


def timed(link: str, path: str) -> tuple[float, int]:
    """Milliseconds and bytes of an answer."""
    begin = time.perf_counter()
    with urlopen(link + path) as answer:
        size = len(answer.read())
    return 1e3 * (time.perf_counter() - begin), size


def new_views() -> Iterator[str]:
    """Queries that each need a distribution, a histogram or a comparison that none before needed."""
    for arm in ARMS:
        for endpoint in ENDPOINTS:
            yield urlencode({"endpoint": endpoint, "reference": arm, "output": "I", "shape": "histogram"})
    for endpoint in ENDPOINTS[:2]:
        yield urlencode({"endpoint": endpoint, "log": 1})


def show(what: str, milliseconds: Sequence[float]) -> None:
    """One line."""
    middle, most = np.quantile(milliseconds, [0.5, 1.0])
    print(f"  {what:12s} median {middle:5.0f} ms, longest {most:5.0f} ms, of {len(milliseconds)}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    folder = run_with(args.patients, args.out)
    begin = time.perf_counter()
    with serving(str(folder)) as link:
        print(f"{args.patients:,} patients in 3 arms; ready after {time.perf_counter() - begin:.1f} s", flush=True)
        show("first page", [timed(link, "")[0]])
        show("new", [timed(link, f"?{query}")[0] for query in new_views()])
        show("again", [timed(link, "")[0] for _ in range(AGAIN)])
        for name in ("endpoints.csv", "bands.csv", "patients-1.nc"):
            milliseconds, size = timed(link, f"download/{name}")
            print(f"  {name:14s} {size / 2**20:6.1f} MiB in {milliseconds:5.0f} ms", flush=True)


if __name__ == "__main__":
    main()
