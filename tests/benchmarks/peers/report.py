"""Makes tables in Markdown and plots in PNG of what was measured.

    uv run --group peers python -m tests.benchmarks.peers.report out/peers [--document docs/performance.md]
        [--images docs/images]

Tables go to `tables/` of the folder, and into their places in the document; plots to `plots/` or the folder of images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .plots import ratio_bars, work_precision
from .tables import MAIN, TITLES, fill, load_parts, table


def main() -> None:
    """Reads the results of a folder and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of results")
    parser.add_argument("--document", type=Path, help="Markdown with places for tables")
    parser.add_argument("--images", type=Path, help="folder for plots")
    arguments = parser.parse_args()
    parts = load_parts(arguments.folder)
    tables = {part: table(part, rows) for part, rows in parts.items()}
    folder, images = arguments.folder / "tables", arguments.images or arguments.folder / "plots"
    for each in (folder, images):
        each.mkdir(parents=True, exist_ok=True)
    for part, text in tables.items():
        (folder / f"{part}.md").write_text(text + "\n", encoding="utf-8")
    if arguments.document:
        fill(arguments.document, tables)
    for part, rows in parts.items():
        if part != "compile":
            main_rows = [row for row in rows if row["rtol"] == MAIN.get(part, row["rtol"])]
            ratio_bars(main_rows, images / f"peers-{part}.png", TITLES[part])
    if "ensembles" in parts:
        work_precision(parts["ensembles"], images / "peers-work-precision.png")


if __name__ == "__main__":
    main()
