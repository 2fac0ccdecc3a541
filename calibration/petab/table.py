"""Tab-separated tables, cell by cell, so that every complaint names file, row and column.

Rows are counted as lines of the file, the header being line 1. What pandas reads as missing is missing here, too.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.petab.errors import PetabError
from calibration.petab.formulas import model_formula
from twin.errors import FormulaError, suggestion

MISSING = frozenset({"", "NaN", "nan", "NA", "N/A", "n/a", "NULL", "null", "None", "#N/A"})
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
LARGEST_TABLE = 2**28
"""Bytes of a table that we are willing to read."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        file: Name of the file.
        line: Its line, the header being line 1.
        cells: Text by column.
    """

    file: str
    line: int
    cells: dict[str, str]

    def where(self, column: str | None = None) -> str:
        """The place, for messages."""
        place = f"{self.file}, row {self.line}"
        return place if column is None else f"{place}, column {column!r}"

    def fault(
        self, column: str | None, found: str, *, expected: str | None = None, fix: str | None = None
    ) -> PetabError:
        """What to raise for a bad cell."""
        return PetabError(found, where=self.where(column), expected=expected, fix=fix)

    def optional(self, column: str) -> str | None:
        """The text of a cell, None where it is missing."""
        text = self.cells.get(column, "")
        return None if text in MISSING else text

    def text(self, column: str) -> str:
        """The text of a cell.

        Raises:
            PetabError: it is missing.
        """
        text = self.optional(column)
        if text is None:
            raise self.fault(column, "the cell is empty", expected="a value in every row")
        return text

    def identifier(self, column: str) -> str:
        """The text of a cell that names something.

        Raises:
            PetabError: it is missing, or no identifier.
        """
        text = self.text(column)
        if not IDENTIFIER.match(text):
            raise self.fault(
                column, f"{_shown(text)} is no identifier", expected="letters, digits and _, not beginning with a digit"
            )
        return text

    def number(self, column: str, *, infinite: bool = False) -> float:
        """A number.

        Raises:
            PetabError: it is missing, no number, or infinite where that makes no sense.
        """
        text = self.text(column)
        value = as_number(text)
        if value is None or math.isnan(value):
            raise self.fault(column, f"{_shown(text)} is no number", expected="a number")
        if math.isinf(value) and not infinite:
            raise self.fault(column, f"the number is {value}", expected="a finite number")
        return value

    def numbers(self, column: str) -> tuple[float, ...]:
        """Numbers separated by semicolons; none where the cell is missing.

        Raises:
            PetabError: one of them is no finite number.
        """
        result = []
        for text in self.parts(column):
            value = as_number(text)
            if value is None or not math.isfinite(value):
                raise self.fault(column, f"{_shown(text)} is no finite number", expected="numbers separated by ;")
            result.append(value)
        return tuple(result)

    def formula(self, column: str) -> str:
        """A formula, as models read it.

        Raises:
            PetabError: it is missing, or no formula by PEtab's rules.
        """
        text = self.text(column)
        try:
            return model_formula(text)
        except FormulaError as error:
            raise self.fault(column, error.found, expected=error.expected, fix=error.fix) from None

    def parts(self, column: str) -> tuple[str, ...]:
        """Texts separated by semicolons; none where the cell is missing."""
        text = self.optional(column)
        if text is None:
            return ()
        parts = tuple(part.strip() for part in text.split(";"))
        if "" in parts:
            raise self.fault(column, f"{_shown(text)} has an empty part", expected="values separated by ;")
        return parts

    def choice(self, column: str, options: Sequence[str], default: str) -> str:
        """One of several words.

        Raises:
            PetabError: it is another.
        """
        text = self.optional(column)
        if text is None:
            return default
        if text not in options:
            raise self.fault(
                column,
                f"{_shown(text)} is not known",
                expected=f"one of {', '.join(options)}",
                fix=suggestion(text, options),
            )
        return text


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        file: Name of its file.
        columns: Names in the header.
        rows: Its lines.
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def require(self, *columns: str) -> Table:
        """The table itself.

        Raises:
            PetabError: it lacks a column.
        """
        for column in columns:
            if column not in self.columns:
                raise PetabError(
                    f"the column {column!r} is missing",
                    where=self.file,
                    expected=", ".join(columns),
                    fix=suggestion(column, self.columns),
                )
        return self


def read_table(path: Path) -> Table:
    """Reads a tab-separated file.

    Raises:
        PetabError: it is no text, has no header, a column twice, or rows longer than the header.
    """
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise PetabError("the table is larger than 256 megabytes", where=path.name)
        text = path.read_bytes().decode("utf-8-sig")
        lines = csv.reader(text.splitlines(), delimiter="\t")
        header: list[str] | None = None
        rows = []
        for cells in lines:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = _header(cells, path.name)
                continue
            if any(cells[len(header) :]):
                raise PetabError(
                    f"the row has {len(cells)} cells",
                    where=f"{path.name}, row {lines.line_num}",
                    expected=f"at most {len(header)}, as in the header",
                    fix="separate cells by single tabs",
                )
            rows.append(Row(path.name, lines.line_num, dict(zip(header, cells, strict=False))))
    except UnicodeDecodeError as error:
        raise PetabError(f"byte {error.start} is no UTF-8", where=path.name, expected="a text file") from None
    except (csv.Error, OSError) as error:
        raise PetabError(f"the table cannot be read ({error})", where=path.name) from None
    if header is None:
        raise PetabError("the table is empty", where=path.name, expected="a header")
    return Table(path.name, tuple(header), tuple(rows))


def read_tables(paths: Sequence[Path], *columns: str) -> tuple[Table, ...]:
    """Several files of one kind.

    Raises:
        PetabError: one of them cannot be read or lacks a column.
    """
    return tuple(read_table(path).require(*columns) for path in paths)


def as_number(text: str) -> float | None:
    """The number that a text is, or None; what only Python reads as a number (1_000) is none."""
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _header(cells: list[str], file: str) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    for index, cell in enumerate(cells):
        if cell and cell in cells[:index]:
            raise PetabError(f"the column {cell!r} is there twice", where=file, expected="each column once")
    return cells


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
