"""The table of verdicts: one line per case, written as the cases finish, so that an interrupted run goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from twin.conformance.verdict import BEST_FIRST, Verdict
from twin.errors import TwinError

COLUMNS = ("case", "verdict", "reason", "seconds", "tags")
_KEY = "# computed by "


@dataclass(frozen=True)
class Row:
    """A line.

    Args:
        case: Name of the case.
        verdict: The verdict.
        seconds: Time from the file to the verdict.
        tags: What the case is about.
    """

    case: str
    verdict: Verdict
    seconds: float
    tags: tuple[str, ...]


def read_table(path: Path) -> tuple[str, dict[str, Row]]:
    """Reads a table.

    Args:
        path: The file; a last line that is not complete is left out.

    Returns:
        The key it was written with (empty if none), and the rows by name of the case.

    Raises:
        TwinError: It is no such table.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _fault(path) from error
    key = ""
    if text.startswith(_KEY):
        head, _, text = text.partition("\n")
        key = head.removeprefix(_KEY).strip()
    whole, _, _ = text.rpartition("\n")
    reader = csv.reader(io.StringIO(whole), delimiter="\t", quoting=csv.QUOTE_NONE)
    if tuple(next(reader, ())) != COLUMNS:
        raise _fault(path)
    rows = {}
    for cells in reader:
        try:
            case, name, reason, seconds, tags = cells
            if name not in BEST_FIRST:
                raise ValueError
            listed = tuple(tag for tag in tags.split(",") if tag)
            rows[case] = Row(case, Verdict(name, reason), float(seconds), listed)
        except ValueError:
            raise _fault(path, reader.line_num) from None
    return key, rows


class TableFile:
    """A table that grows on disk, a line per finished case.

    Args:
        path: The file.
        key: What decides the results: rows that were written with another key are dropped.

    Attributes:
        rows: What is in it, by name of the case.
        dropped: How many rows were dropped.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self.rows: dict[str, Row] = {}
        self.dropped = 0
        if path.exists():
            found, rows = read_table(path)
            if found == key:
                self.rows = rows
            else:
                self.dropped = len(rows)
        write_table(path, self.rows.values(), key)

    def add(self, row: Row) -> None:
        """Append a row; it is on disk when this returns."""
        self.rows[row.case] = row
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_line(row))


def write_table(path: Path, rows: Iterable[Row], key: str = "") -> None:
    """Write a table whole."""
    head = f"{_KEY}{key}\n" if key else ""
    text = head + "\t".join(COLUMNS) + "\n" + "".join(map(_line, rows))
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def count(rows: Iterable[Row]) -> Mapping[str, int]:
    """How many rows have each verdict, all verdicts named."""
    counts: dict[str, int] = dict.fromkeys(BEST_FIRST, 0)
    for row in rows:
        counts[row.verdict.name] += 1
    return counts


def _line(row: Row) -> str:
    return f"{row.case}\t{row.verdict.name}\t{row.verdict.reason}\t{row.seconds:.1f}\t{','.join(row.tags)}\n"


def _fault(path: Path, line: int = 0) -> TwinError:
    return TwinError(
        "this is no table of verdicts",
        where=f"{path}, line {line}" if line else str(path),
        expected=f"the columns {', '.join(COLUMNS)}, separated by tabs",
        fix="name another file",
    )
