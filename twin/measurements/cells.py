"""One cell at a time: numbers, names, censoring words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

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
        below: True if the cell says that the reading is below the detection limit.
    """

    number: float
    below: bool = False


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
    """A value, which may be written as a censored one: ``"<50"`` or ``"BLQ"``.

    Raises:
        CellError: Neither a number nor a censored one, or censored from above.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in _BELOW:
            return Value(math.nan, below=True)
        if text.startswith("<") and text.lower() not in _MISSING:
            return Value(read_number(text.lstrip("<= ") or text), below=True)
        if text.startswith(">"):
            raise CellError(*_right(text))
    return Value(read_number(cell))


def read_name(cell: Any) -> str:
    """A name such as a subject's; "" for a missing cell. The float 3.0 is the name "3"."""
    if is_missing(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def read_censoring(cell: Any) -> Literal["", "left"]:
    """A censoring word: "" or "left".

    Raises:
        CellError: An unknown word, or one for another kind of censoring.
    """
    word = read_name(cell).lower()
    if word in _UNCENSORED:
        return ""
    if word in _LEFT:
        return "left"
    if word in _RIGHT:
        raise CellError(*_right(read_name(cell)))
    if word == "interval":
        raise CellError("interval censoring is not supported", "'left', or nothing", "remove these rows, and say so")
    raise CellError(
        f"{_quoted(read_name(cell))} is not a censoring word",
        "'left', '1' or 'true' for a reading below the detection limit; '', '0' or 'false' otherwise",
    )


def _right(text: str) -> tuple[str, str, str]:
    return (
        f"{_quoted(text)}: right-censored readings (above a limit) are not supported",
        "a number, or a reading below a detection limit",
        "remove these rows, and say so where the result is reported",
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
