"""Detection limits: filled in where a reading is censored, and held against the readings that are not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from twin.errors import MeasurementError, suggestion
from twin.measurements.columns import Column
from twin.measurements.options import Options
from twin.measurements.raw import RawTable
from twin.measurements.readings import Reading


def apply_limits(raw: RawTable, readings: Sequence[Reading], known: Sequence[str], options: Options) -> list[Reading]:
    """Gives every censored reading its limit as value, and checks the limits of intervals.

    With a declared limit, readings below it become censored, and a number written beside a censoring flag
    (often zero, or half the limit) gives way to it. Without one, that number is the limit.

    Raises:
        MeasurementError: A censored reading has no limit or lies on its wrong side, the limits of one observable
            differ, or the upper limit of an interval is missing, not above the lower one, or given elsewhere.
    """
    _check_intervals(raw, readings)
    limits = _declared(readings, known, options.detection_limit)
    done = [_limited(raw, reading, limits.get(reading.observable)) for reading in readings]
    if not options.varying_limits:
        for observable in dict.fromkeys(reading.observable for reading in done):
            of_one = [reading for reading in done if reading.observable == observable]
            _check_one_limit(raw, of_one, "left")
            _check_one_limit(raw, of_one, "right")
    return done


def _declared(
    readings: Sequence[Reading], known: Sequence[str], limit: float | Mapping[str, float] | None
) -> dict[str, float]:
    present = list(dict.fromkeys(reading.observable for reading in readings))
    if limit is None:
        return {}
    by_observable = dict(limit) if isinstance(limit, Mapping) else dict.fromkeys(present, limit)
    for name, number in by_observable.items():
        if name not in known and name not in present:
            raise MeasurementError(
                f"detection_limit names {name!r}, which is no observable",
                fix=suggestion(str(name), known or present),
            )
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise MeasurementError(
                f"the detection limit of {name!r} is {number!r}",
                expected="a finite number in the table's own unit",
            )
    return {name: float(number) for name, number in by_observable.items()}


def _limited(raw: RawTable, reading: Reading, limit: float | None) -> Reading:
    place = reading.columns.value.index
    if reading.censoring != "left":
        below = limit is not None and not reading.censoring and reading.value < limit
        return replace(reading, value=limit, censoring="left") if below else reading
    if limit is None:
        if math.isnan(reading.value):
            raise raw.fault(
                [reading.row],
                place,
                "the reading is below a detection limit that is not given",
                expected="the limit in the cell ('<50'), or for the whole table",
                fix="pass detection_limit=..., in the unit of the value column",
            )
        return reading
    written = raw.cells[place][reading.row]
    if isinstance(written, str) and written.strip().startswith("<") and not math.isnan(reading.value):
        return reading  # "<50" states the limit of its own sample
    if reading.value > limit:
        raise raw.fault(
            [reading.row],
            place,
            f"the reading is marked as below the detection limit, but {reading.value:g} is above {limit:g}",
            fix="check the mark, the limit and its unit",
        )
    return replace(reading, value=limit)


def _check_intervals(raw: RawTable, readings: Sequence[Reading]) -> None:
    """Refuses limits that do not make an interval, and right-censored readings without a limit."""

    def refuse(bad: list[Reading], found: str, column: Column | None, expected: str, fix: str) -> None:
        if bad:
            place = column or bad[0].columns.value
            raise raw.fault([each.row for each in bad], place.index, found, expected=expected, fix=fix)

    empty = [each for each in readings if each.censoring == "right" and math.isnan(each.value)]
    found = "the reading is above a limit that is not given"
    refuse(empty, found, None, "the limit in the cell, as a number or as '>50'", "fill it in")
    between = [each for each in readings if each.censoring == "interval"]
    empty = [each for each in between if math.isnan(each.value)]
    fix = "mark readings that are only known to lie below the upper limit as left, with that limit as value"
    refuse(empty, "the interval has no lower limit", None, "the lower limit as the value", fix)
    fix = "name its column in columns={'upper': ...}; mark readings without an upper limit as right"
    empty = [each for each in between if math.isnan(each.upper)]
    column = empty[0].columns.upper or empty[0].columns.censoring if empty else None
    refuse(empty, "the interval has no upper limit", column, "the upper limit in a column 'upper'", fix)
    wrong = [each for each in between if each.upper <= each.value]
    if wrong:
        found = f"the interval from {wrong[0].value:g} to {wrong[0].upper:g} is empty"
        fix = "exchange the limits, or give a reading that is known exactly without a censoring mark"
        refuse(wrong, found, wrong[0].columns.upper, "an upper limit above the lower one, which is the value", fix)
    extra = [each for each in readings if each.censoring != "interval" and not math.isnan(each.upper)]
    if extra:
        found = f"the upper limit {extra[0].upper:g} stands beside a reading that is not interval-censored"
        fix = "write 'interval' into the censoring column, or empty the cell"
        refuse(extra, found, extra[0].columns.upper, "an empty cell", fix)


def _check_one_limit(raw: RawTable, readings: Sequence[Reading], kind: Literal["left", "right"]) -> None:
    """Refuses limits that differ, and numbers beyond the limit: both often mean that a limit was misread."""
    censored = [reading for reading in readings if reading.censoring == kind]
    if not censored:
        return
    first, name = censored[0], readings[0].observable
    what, side, inside = ("detection limit", "below", "above") if kind == "left" else ("upper limit", "above", "below")
    fix = "pass detection_limit=... to set one limit, or " if kind == "left" else "correct the limits, or pass "
    fix += "varying_limits=True if it differs between samples"
    if other := [reading for reading in censored if reading.value != first.value]:
        raise raw.fault(
            [reading.row for reading in other],
            other[0].columns.value.index,
            f"the {what} of {name!r} is {other[0].value:g} here and {first.value:g} at {raw.place(first.row)}",
            expected="one limit per observable",
            fix=fix,
        )
    sign = 1 if kind == "left" else -1
    beyond = [each for each in readings if not each.censoring and sign * each.value < sign * first.value]
    if beyond:
        raise raw.fault(
            [reading.row for reading in beyond],
            beyond[0].columns.value.index,
            f"{beyond[0].value:g} is {side} the {what} of {name!r}, {first.value:g}, but is not marked as censored",
            expected=f"readings {inside} the limit, or a mark",
            fix=fix,
        )
