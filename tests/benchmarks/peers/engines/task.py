"""What every engine offers for a prepared task: run it once and say how long it took, and give the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

Task = dict[str, Any]
"""Kind of task ("gradient", "batch", "jacobian", "ensemble"), problem, tolerances: what a worker is sent as JSON."""


class Prepared(Protocol):
    """A task whose code is generated and compiled.

    Attributes:
        compile_s: Seconds from the file to the first result.
    """

    compile_s: float

    def run(self) -> dict[str, float]:
        """Does the task once; seconds by clock, the one to compare under "seconds"."""
        ...

    def answer(self) -> dict[str, Any]:
        """The result of the last run: numbers and lists of numbers only."""
        ...


class EngineError(Exception):
    """An engine did not give a result; the message is the reason that the tables show."""


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call and what it returned."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result
