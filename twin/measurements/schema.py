"""The schema of a table of readings, and the check that a data frame has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.errors import MeasurementError

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a validated table, in this order.
COLUMNS = ("experiment", "subject", "observable", "time", "value", "noise", "censoring")
#: A further column, only in tables with interval-censored readings: their upper limits, NaN in other rows.
UPPER = "upper"
TEXT = ("experiment", "subject", "observable", "censoring")
NUMBERS = ("time", "value", "noise")


def frame(columns: dict[str, list[str] | list[float]]) -> pd.DataFrame:
    """A data frame of the schema's columns and types, not yet checked; without upper limits if there are none."""
    import pandas as pd

    names = (*COLUMNS, UPPER) if "interval" in columns["censoring"] else COLUMNS
    return pd.DataFrame({name: pd.Series(columns[name], dtype="str" if name in TEXT else "float64") for name in names})


def check_schema(table: pd.DataFrame, source: str) -> None:
    """Refuses a data frame that is not a validated table of readings.

    Raises:
        MeasurementError: Wrong columns or types, no rows, a number that is not finite, noise that is not
            positive, an unknown censoring word, or an interval without an upper limit above its lower one.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise MeasurementError(f"the table is a {type(table).__name__}", where=source, expected="a pandas.DataFrame")
    if tuple(table.columns) not in (COLUMNS, (*COLUMNS, UPPER)):
        raise MeasurementError(
            f"the columns are {', '.join(map(str, table.columns)) or 'none'}",
            where=source,
            expected=", ".join(COLUMNS) + ", and upper if readings are interval-censored",
            fix="use Measurements.from_table, which finds and converts the columns",
        )
    if not len(table):
        raise MeasurementError("there are no readings", where=source, expected="at least one row")
    has_upper = UPPER in table
    for name in (*NUMBERS, UPPER) if has_upper else NUMBERS:
        if table[name].dtype != np.float64:
            raise MeasurementError(
                f"the type is {table[name].dtype}", where=f"{source}, column {name!r}", expected="float64"
            )
    for name in TEXT:
        if not all(isinstance(cell, str) for cell in table[name]):
            raise MeasurementError(
                "not every cell is text", where=f"{source}, column {name!r}", expected="str in every row"
            )
    time, value, noise = (table[name].to_numpy() for name in NUMBERS)
    known = table["censoring"].isin(("", "left", "right", "interval")).to_numpy()
    between = (table["censoring"] == "interval").to_numpy()
    upper = table[UPPER].to_numpy() if has_upper else np.full(len(table), np.nan)
    faults = (
        ("time", np.isnan(time) | (time == -np.inf), "a number, or inf for a reading at steady state"),
        ("value", ~np.isfinite(value), "a finite number"),
        ("noise", ~(np.isnan(noise) | (np.isfinite(noise) & (noise > 0))), "a positive number, or NaN"),
        ("censoring", ~known, "'', 'left', 'right' or 'interval'"),
        ("censoring" if not has_upper else UPPER, between & ~np.isfinite(upper), "a finite number in column 'upper'"),
        (UPPER, between & (upper <= value), "an upper limit above the lower one, which is the value"),
        (UPPER, ~between & ~np.isnan(upper), "NaN, since the reading is not interval-censored"),
    )
    for name, bad, expected in faults:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise MeasurementError(
                f"{table[name].iloc[row]!s} cannot stand here",
                where=f"{source}, row {row}, column {name!r}",
                expected=expected,
            )
