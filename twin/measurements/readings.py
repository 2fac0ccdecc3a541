"""Readings on their way from cells to a table: one record each, with the place it came from.

Axis letters: ``reading`` counts readings (one per row of a long table, several per row of a wide one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twin.errors import MeasurementError, suggestion
from twin.measurements.cells import CellError, Censoring, Value, read_censoring, read_name, read_number, read_value
from twin.measurements.columns import Column, Layout, ValueColumn
from twin.measurements.options import Options
from twin.measurements.raw import RawTable

# Columns by which pharmacometric tables mark rows that are no readings: doses, resets, missing values.
_EVENT_COLUMNS = ("evid", "mdv")


@dataclass
class Reading:
    """One reading, in the table's own units.

    Args:
        row: Its row in the raw table.
        columns: The columns it is read from.
        experiment: Name of the experiment.
        subject: Name of the subject.
        observable: What was read.
        time: When; NaN if missing.
        value: The number, or the limit if censored (the lower one of an interval); NaN if missing.
        noise: Standard deviation of the reading; NaN if not given.
        censoring: How it is censored.
        upper: Upper limit of an interval-censored reading; NaN if not given.
    """

    row: int
    columns: ValueColumn
    experiment: str
    subject: str
    observable: str
    time: float
    value: float
    noise: float
    censoring: Censoring
    upper: float


def collect(raw: RawTable, layout: Layout, known: Sequence[str], options: Options) -> tuple[list[Reading], int]:
    """Reads every cell of a table.

    Args:
        raw: The table.
        layout: What its columns are.
        known: The model's observables; empty for any.
        options: What is tolerated.

    Returns:
        The readings, row by row, and the number of rows without a value that were dropped.

    Raises:
        MeasurementError: A cell cannot be read, is missing, or names an unknown observable.
    """
    _refuse_doses(raw)
    if not raw.rows:
        raise MeasurementError("there are no readings, only a header", where=raw.header, expected="at least one row")
    times = _parsed(raw, layout.time, read_number)
    experiments = _names(raw, layout.experiment, "default")
    subjects = _names(raw, layout.subject, "1")
    named = _names(raw, layout.observable, "") if layout.observable else None
    by_column: list[list[Reading]] = []
    for columns in layout.values:
        values: list[Value] = _parsed(raw, columns.value, read_value)
        noise = _parsed(raw, columns.noise, read_number) if columns.noise else None
        words: list[Censoring] | None = _parsed(raw, columns.censoring, read_censoring) if columns.censoring else None
        kinds = _kinds(raw, columns, values, words)
        # Without intervals the column is of something else, as of confidence intervals: it is ignored like others.
        upper = _parsed(raw, columns.upper, read_number) if columns.upper and "interval" in kinds else None
        by_column.append(
            [
                Reading(
                    row=row,
                    columns=columns,
                    experiment=experiments[row],
                    subject=subjects[row],
                    observable=named[row] if named else columns.observable or "",
                    time=times[row],
                    value=value.number,
                    noise=noise[row] if noise else math.nan,
                    censoring=kinds[row],
                    upper=upper[row] if upper else math.nan,
                )
                for row, value in enumerate(values)
            ]
        )
    readings = [reading for together in zip(*by_column, strict=True) for reading in together]
    _refuse_unknown(raw, readings, layout, known)
    kept = _without_missing(raw, readings, options)
    _refuse_bad_times(raw, kept, layout.time, options)
    if bad := [reading for reading in kept if reading.noise <= 0]:
        column = bad[0].columns.noise
        raise raw.fault(
            [reading.row for reading in bad],
            column.index if column else None,
            f"the noise is {bad[0].noise:g}",
            expected="a positive standard deviation, or an empty cell",
        )
    return kept, len(readings) - len(kept)


def _parsed(raw: RawTable, column: Column, read: Callable[[Any], Any]) -> list[Any]:
    """Every cell of a column; the first faulty cell is quoted, and the rows of the others are listed."""
    parsed, bad = [], []
    for row, cell in enumerate(raw.cells[column.index]):
        try:
            parsed.append(read(cell))
        except CellError as error:
            bad.append((row, error))
    if bad:
        first = bad[0][1]
        raise raw.fault(
            [row for row, _ in bad], column.index, first.found, expected=first.expected, fix=first.fix
        ) from None
    return parsed


def _kinds(raw: RawTable, columns: ValueColumn, values: list[Value], words: list[Censoring] | None) -> list[Censoring]:
    """How each reading is censored, as its cell or the word beside it says; refuses two that contradict."""
    if words is None:
        return [value.censoring for value in values]
    bad = [
        row
        for row, (value, word) in enumerate(zip(values, words, strict=True))
        if value.censoring and word and value.censoring != word
    ]
    if bad:
        raise raw.fault(
            bad,
            columns.value.index,
            f"the cell says {values[bad[0]].censoring!r}, the censoring column {words[bad[0]]!r}",
            expected="the same in both, or one of them empty",
        )
    return [value.censoring or word for value, word in zip(values, words, strict=True)]


def _names(raw: RawTable, column: Column | None, default: str) -> list[str]:
    if column is None:
        return [default] * len(raw.rows)
    names = [read_name(cell) for cell in raw.cells[column.index]]
    if empty := [row for row, name in enumerate(names) if not name]:
        raise raw.fault(empty, column.index, "the cell is empty", expected="a name in every row")
    return names


def _refuse_doses(raw: RawTable) -> None:
    for index, name in enumerate(raw.names):
        if name.lower() not in _EVENT_COLUMNS:
            continue
        if rows := [row for row, cell in enumerate(raw.cells[index]) if read_name(cell) not in ("", "0", ".")]:
            raise raw.fault(
                rows,
                index,
                "the row is a dose or another event, not a reading",
                expected="readings only",
                fix="remove these rows, and describe the doses in a twin.Experiment",
            )


def _refuse_unknown(raw: RawTable, readings: list[Reading], layout: Layout, known: Sequence[str]) -> None:
    bad = [reading for reading in readings if reading.observable not in known] if known else []
    if not bad:
        return
    name = bad[0].observable
    column = layout.observable or bad[0].columns.value
    raise raw.fault(
        [reading.row for reading in bad if reading.observable == name],
        column.index,
        f"the model has no observable {name!r}",
        expected="one of: " + ", ".join(known),
        fix=suggestion(name, known)
        if layout.observable
        else f"name it in columns= or observable=; {suggestion(name, known)}",
    )


def _without_missing(raw: RawTable, readings: list[Reading], options: Options) -> list[Reading]:
    """Readings that have a value, or that are censored: their limits are checked later."""
    empty = [reading for reading in readings if math.isnan(reading.value) and not reading.censoring]
    if empty and options.missing == "error":
        raise raw.fault(
            [reading.row for reading in empty],
            empty[0].columns.value.index,
            "the value is missing",
            expected="a number in every row",
            fix="pass missing='drop' to leave such rows out",
        )
    kept = [reading for reading in readings if not math.isnan(reading.value) or reading.censoring]
    if not kept:
        raise MeasurementError(
            "there are no readings: every value is missing", where=raw.source, expected="at least one value"
        )
    return kept


def _refuse_bad_times(raw: RawTable, readings: Iterable[Reading], column: Column, options: Options) -> None:
    readings = list(readings)
    if missing := [reading.row for reading in readings if math.isnan(reading.time)]:
        raise raw.fault(missing, column.index, "the time is missing", expected="a number in every row")
    negative = [reading for reading in readings if reading.time < 0]
    if negative and not options.allow_negative_time:
        raise raw.fault(
            [reading.row for reading in negative],
            column.index,
            f"the time is negative, {negative[0].time:g}",
            expected="times since the start of the experiment, 0 or later",
            fix="pass allow_negative_time=True if the experiment starts before time 0",
        )
