"""One cell at a time: numbers, names, censoring words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

#: How a reading is censored: not at all, below a limit, above one, or between two.
type Censoring = Literal["", "left", "right", "interval"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII)
_MISSING = frozenset({"", ".", "na", "n/a", "nan", "null", "none", "<na>", "#n/a"})
# "nd" is not among them: it means "not detected" in one laboratory and "not done" in the next.
_BELOW = frozenset(
    {
        *("blq", "bql", "bloq", "bdl", "<lod", "<loq", "<lloq", "< lod", "< loq", "< lloq"),
        *("below detection", "below detection limit", "not detected", "undetected", "undetectable"),
    }
)
_UNCENSORED = frozenset({"", "0", "false", "no", "none", "uncensored", "na", "nan", "<na>"})
_LEFT = frozenset({"1", "true", "yes", "left", "bql", "blq"})
_RIGHT = frozenset({"-1", "right", ">", "above", "alq", "aql"})


class CellError(ValueError):
    """A cell that cannot be read; the text says what it is, `expected` and `fix` what to do."""

    def __init__(self, found: str, expected: str, fix: str | None = None) -> None:
        super().__init__(found)
        self.found, self.expected, self.fix = found, expected, fix


@dataclass(frozen=True)
class Value:
    """A value cell.

    Args:
        number: The number, or the limit of a censored reading; NaN if there is none.
        censoring: "left" or "right" if the cell says that the reading is below or above a limit.
    """

    number: float
    censoring: Censoring = ""


def is_missing(cell: Any) -> bool:
    """True for None, NaN, pandas' NA and NaT."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, (Real, Decimal)) and bool(cell != cell)


def read_number(cell: Any) -> float:
    """A number; NaN for a missing cell.

    Raises:
        CellError: Not a number, or an infinite one.
    """
    if is_missing(cell):
        return math.nan
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in _MISSING:
            return math.nan
        if not _NUMBER.fullmatch(text) and not _INFINITE.fullmatch(text):
            raise CellError(f"{_quoted(text)} is not a number", "a number", _hint(text))
        number = float(text)
    elif isinstance(cell, (Real, Decimal)) and type(cell).__name__ not in ("bool", "bool_"):
        try:
            number = float(cell)
        except OverflowError:
            number = math.inf
    else:
        kind = type(cell).__name__
        fix = "give times as numbers since the start of the experiment" if _is_date(cell) else None
        raise CellError(f"{_quoted(str(cell))} ({kind}) is not a number", "a number", fix)
    if math.isinf(number):
        raise CellError(f"{_quoted(str(cell).strip())} is infinite", "a finite number")
    return number


def read_value(cell: Any) -> Value:
    """A value, which may be written as a censored one: ``"<50"``, ``"BLQ"`` or ``">1000"``.

    Raises:
        CellError: Neither a number nor a censored one.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in _BELOW:
            return Value(math.nan, "left")
        if text.startswith("<") and text.lower() not in _MISSING:
            return Value(read_number(text.lstrip("<= ") or text), "left")
        if text.startswith(">"):
            return Value(read_number(text.lstrip(">= ") or text), "right")
    return Value(read_number(cell))


def read_name(cell: Any) -> str:
    """A name such as a subject's; "" for a missing cell. The float 3.0 is the name "3"."""
    if is_missing(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def read_censoring(cell: Any) -> Censoring:
    """A censoring word: "", "left", "right" or "interval".

    Raises:
        CellError: An unknown word.
    """
    word = read_name(cell).lower()
    if word in _UNCENSORED:
        return ""
    if word in _LEFT:
        return "left"
    if word in _RIGHT:
        return "right"
    if word == "interval":
        return "interval"
    raise CellError(
        f"{_quoted(read_name(cell))} is not a censoring word",
        "'left', '1' or 'true' for a reading below the detection limit, 'right' or '-1' for one above a limit, "
        "'interval' for one between value and upper; '', '0' or 'false' otherwise",
    )


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _hint(text: str) -> str | None:
    if _DECIMAL_COMMA.fullmatch(text):
        return f"write a decimal point: {text.replace(',', '.')}"
    if text.lower() in ("nd", "n.d.", "n.d"):
        return "write '<' and the limit if it was not detected, and leave the cell empty if it was not done"
    return None


def _is_date(cell: Any) -> bool:
    return any(word in type(cell).__name__.lower() for word in ("date", "time"))
