"""Small tables in plain text that fit a terminal."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence

NARROWEST, WIDEST = 60, 120


def terminal_width() -> int:
    """Columns of the terminal, within reason."""
    return min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST)


def figure(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits; a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    return f"{float(value):.{digits}g}"


def text_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,), width: int | None = None
) -> str:
    """Rows under a heading, columns aligned; a last column of words is cut where the terminal ends.

    Args:
        head: Headings.
        rows: Cells.
        left: Columns set flush left; the others are numbers, set flush right.
        width: Columns of the terminal.
    """
    cells = [tuple(head), *(tuple(str(cell) for cell in row) for row in rows)]
    wide = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        padded = [cell.ljust(wide[i]) if i in left else cell.rjust(wide[i]) for i, cell in enumerate(row)]
        lines.append(_cut("  ".join(padded).rstrip(), width or terminal_width()))
    lines.insert(1, _cut("  ".join("-" * w for w in wide), width or terminal_width()))
    return "\n".join(lines)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
