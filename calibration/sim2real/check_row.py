"""One row of a layer: a check with its stable name, what was found as text and as a number, and the judgement."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd


class Check(NamedTuple):
    """A check of a layer.

    Args:
        key: Machine name, stable between versions ("r_hat"); checks of a named thing have it after a dot
            ("positive.V").
        check: What was asked, for people.
        result: What was found, for people.
        passed: The judgement; None where there is no threshold or no power.
        note: How to read it.
        value: The number that a threshold would be put on; NaN where there is none. Default: `result`, if that is
            a number.
        powerless: It could not have failed: meeting a threshold then says nothing.
    """

    key: str
    check: str
    result: Any
    passed: bool | None
    note: str
    value: float | None = None
    powerless: bool = False


def check_table(checks: Iterable[Check]) -> pd.DataFrame:
    """Columns key, check, result, value, passed, powerless, note."""
    rows = [(c.key, c.check, c.result, _number(c), c.passed, c.powerless, c.note) for c in checks]
    table = pd.DataFrame(rows, columns=["key", "check", "result", "value", "passed", "powerless", "note"])
    return table.astype({"value": float, "passed": object, "powerless": bool})


def _number(check: Check) -> float:
    if check.value is not None:
        return float(check.value)
    return float(check.result) if isinstance(check.result, Real) else float("nan")
