"""How cost grows with estimated parameters, states, lanes, subjects and cores.

    uv run python tests/benchmarks/scaling.py --out out/scaling [--full] [--only parameters states lanes subjects cores]

Writes scaling.tsv, scaling.png, scaling.md (the slopes, as a table) and machine.json. What should come out: a gradient
in reverse mode that costs the same for one parameter and for many; a residual Jacobian whose cost grows with them; a
call that costs little more for several draws than for one, and is linear after that; memory that does not grow.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import scaling_axes as axes
from peers.machine import description
from scaling_axes import Point
from scaling_figure import draw
from stopwatch import markdown, write_tsv

UPPER = 3
"""Points at the upper end that a slope is fitted to."""


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/scaling"))
    parser.add_argument("--full", action="store_true", help="a million subjects, too")
    parser.add_argument("--only", nargs="+", choices=list(measurements(False)), help="these axes only")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[Point] = []
    for name, measure in measurements(arguments.full).items():
        if arguments.only and name not in arguments.only:
            continue
        for row in measure():
            rows.append(row)
            write_tsv(arguments.out / "scaling.tsv", rows)
            print(f"{row['axis']} {row['x']}: {row['curve']} {row['cost']:.4g} {row['unit']}", flush=True)
    draw(rows, arguments.out / "scaling.png")
    text = markdown(slopes(rows))
    (arguments.out / "scaling.md").write_text(text, encoding="utf-8")
    (arguments.out / "machine.json").write_text(json.dumps(description(), indent=2) + "\n", encoding="utf-8")
    print(text)


def measurements(full: bool) -> dict[str, Callable[[], Iterable[Point]]]:
    """What is measured, by axis."""
    sizes = (*axes.SUBJECTS, axes.MANY_SUBJECTS) if full else axes.SUBJECTS
    return {
        "parameters": axes.parameters,
        "states": axes.states,
        "lanes": axes.lanes,
        "subjects": partial(axes.subjects, sizes),
        "cores": axes.cores,
    }


def slopes(rows: Sequence[Point]) -> list[Point]:
    """Per curve: cost at both ends, and the exponent b of cost = a x^b between all points and at the upper end."""
    table = []
    for axis, curve in dict.fromkeys((row["axis"], row["curve"]) for row in rows):
        if curve == "time" and axis == "cores":
            continue  # said by the next curve
        own = [row for row in rows if (row["axis"], row["curve"]) == (axis, curve)]
        x, cost = (np.array([float(str(row[name])) for row in own]) for name in ("x", "cost"))
        first, last = own[0], own[-1]
        table.append(
            {
                "axis": axis,
                "from": first["x"],
                "to": last["x"],
                "cost": f"{curve} [{first['unit']}]",
                "at the start": first["cost"],
                "at the end": last["cost"],
                "exponent": exponent(x, cost),
                "exponent at the upper end": exponent(x[-UPPER:], cost[-UPPER:]),
            }
        )
    return table


def exponent(x: np.ndarray, cost: np.ndarray) -> float | None:
    """Slope of the logarithm of the cost by least squares; 0 is flat, 1 linear. None for a single point."""
    return float(np.polyfit(np.log(x), np.log(cost), 1)[0]) if len(x) > 1 else None


if __name__ == "__main__":
    main()
