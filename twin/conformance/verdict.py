"""The verdict on a case: passed, refused by name, skipped, crashed, or wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from twin.errors import TwinError

type Name = Literal["passed", "skipped", "refused", "crashed", "wrong"]

BEST_FIRST: tuple[Name, ...] = get_args(Name.__value__)
"""From the best to the worst: a wrong number is worse than none."""

LONGEST_REASON = 300


@dataclass(frozen=True)
class Verdict:
    """What came of a case.

    Args:
        name: ``passed``: the numbers agree. ``skipped``: something optional is not installed. ``refused``: a typed
            error, or no end within the time. ``crashed``: an error that is none of ours, or the process died.
            ``wrong``: other numbers than the suite's.
        reason: Why, in one line; empty if it passed.
    """

    name: Name
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(self.reason))


def judged(judge: Callable[[], Verdict]) -> Verdict:
    """The verdict of `judge`; errors become verdicts."""
    try:
        return judge()
    except TwinError as error:
        where = f" [{error.where}]" if error.where else ""
        return Verdict("refused", f"{type(error).__name__}: {error.found}{where}")
    except Exception as error:  # whatever it is, it is counted, and the other cases go on
        return Verdict("crashed", f"untyped {type(error).__name__}: {error} [{_place(error)}]")


def group(reason: str) -> str:
    """The reason without what is peculiar to one case: ids, numbers, places."""
    text = re.sub(r" \[[^\]]*\]?$", "", reason)
    text = re.sub(r"(?<!package )'[^']*'", "'...'", text)
    # What stands before a colon after the error's class says what it is; the rest explains it.
    head, colon, rest = text.partition(": ")
    text = head + colon + re.split(r"[:;]\s|\s\(", rest, maxsplit=1)[0] if colon else text
    return re.sub(r"(?<![\w.])-?\d[\d.,]*(e[+-]?\d+)?(?!\w)", "N", text)[:120].strip()


def one_line(text: str) -> str:
    """Text that fits a cell of a table: no line breaks or tabs, and not too long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 3] + "..."


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown place"
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
