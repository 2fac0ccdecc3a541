"""Seconds of repeated calls, and tables of what was measured: TSV for programs, Markdown for people."""

from __future__ import annotations

import csv
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

type Row = Mapping[str, object]


def seconds_of(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def fastest(call: Callable[[int], object], *, least: int = 3, spend: float = 0.5) -> float:
    """Seconds of the fastest of several calls, the least disturbed one.

    Args:
        call: What to time; it is given 0, 1, 2, ... so that no two calls need ask for the same numbers.
        least: Fewest calls.
        spend: Seconds after which no further call is begun, once there were `least`.
    """
    begin, found = time.perf_counter(), []
    for number in itertools.count():
        if number >= least and time.perf_counter() - begin > spend:
            return min(found)
        found.append(seconds_of(lambda n=number: call(n)))
    raise AssertionError("unreachable")


def write_tsv(path: Path, rows: Sequence[Row]) -> None:
    """Rows to a file; columns are those of the first row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)


def markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown; columns are those of the first row, numbers stand right."""
    names = list(rows[0])
    right = [any(isinstance(row[name], int | float) for row in rows) for name in names]
    lines = [names, ["---:" if numeric else "---" for numeric in right]]
    lines += [[_text(row[name]) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _text(value: object) -> str:
    """Four digits; nothing for what is not known."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
