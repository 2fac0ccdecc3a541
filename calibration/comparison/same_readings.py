"""Models can be compared only on the same readings: the check, and which row is which where their order differs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Int

from calibration.problem import Problem
from twin.errors import ProblemError

OF_THE_MODEL = ("noise",)
"""Columns that belong to the noise model rather than to the data: rival models may differ there."""
KEYS = ("experiment", "subject", "observable", "time")


def matched_rows(problems: Mapping[str, Problem]) -> dict[str, Int[np.ndarray, " reading"]]:
    """For each model the rows of its table in the order of the first model's.

    Replicates with the same value are exchangeable and matched in the order of their tables.

    Raises:
        ProblemError: two models are not asked about the same readings; the message says what differs first.
    """
    first, *others = problems
    reference = _readings(problems[first])
    order = _order(reference)
    found = {first: np.arange(len(reference))}
    for name in others:
        table = _readings(problems[name])
        if list(table.columns) != list(reference.columns) or len(table) != len(reference):
            raise _different(first, name, _what_is_missing(reference, table))
        own = _order(table)
        left, right = (t.iloc[o].reset_index(drop=True) for t, o in ((reference, order), (table, own)))
        same = (left == right) | (left.isna() & right.isna())
        if not same.to_numpy().all():
            raise _different(first, name, _what_is_missing(reference, table))
        rows = np.empty(len(order), dtype=int)
        rows[order] = own
        found[name] = rows
    return found


def _readings(problem: Problem) -> pd.DataFrame:
    table = problem.measurements.table
    kept = [name for name in table.columns if name not in OF_THE_MODEL]
    return table[[*KEYS, *sorted(set(kept) - set(KEYS))]].reset_index(drop=True)


def _order(table: pd.DataFrame) -> Int[np.ndarray, " reading"]:
    return table.sort_values(list(table.columns), kind="stable").index.to_numpy()


def _what_is_missing(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """The first reading of one table that the other lacks, in words."""
    names = [name for name in one.columns if name in other.columns]
    for here, there, whose in ((one, other, "first"), (other, one, "second")):
        rows = here[names].assign(copy=here.groupby(names, dropna=False).cumcount())
        known = there[names].assign(copy=there.groupby(names, dropna=False).cumcount())
        joined = rows.merge(known, how="left", indicator=True)
        lacking = joined[joined["_merge"] == "left_only"]
        if len(lacking):
            row = lacking.iloc[0]
            said = ", ".join(f"{name} {row[name]!r}" for name in names if row[name] != "")
            return f"{len(lacking)} readings of the {whose} are not among the other's, such as {said}"
    return "one of their tables has columns that the other lacks"


def _different(first: str, name: str, what: str) -> ProblemError:
    return ProblemError(
        f"{first!r} ({name!r} beside it) is asked about other data: {what}",
        where="compare",
        expected="models of the same readings: likelihoods of different data say nothing about one another",
        fix="give all problems the same measurements",
    )
