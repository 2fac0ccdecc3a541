"""Detection limits: filled in where a reading is censored, and held against the readings that are not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from twin.errors import MeasurementError, suggestion
from twin.measurements.options import Options
from twin.measurements.raw import RawTable
from twin.measurements.readings import Reading


def apply_limits(raw: RawTable, readings: Sequence[Reading], known: Sequence[str], options: Options) -> list[Reading]:
    """Gives every censored reading its detection limit as value.

    With a declared limit, readings below it become censored, and a number written beside a censoring flag
    (often zero, or half the limit) gives way to it. Without one, that number is the limit.

    Raises:
        MeasurementError: A censored reading has no limit or lies above it, or the limits of one observable
            differ.
    """
    limits = _declared(readings, known, options.detection_limit)
    done = [_limited(raw, reading, limits.get(reading.observable)) for reading in readings]
    if not options.varying_limits:
        for observable in dict.fromkeys(reading.observable for reading in done):
            _check_one_limit(raw, [reading for reading in done if reading.observable == observable])
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
    if not reading.below:
        below = limit is not None and reading.value < limit
        return replace(reading, value=limit, below=True) if below else reading
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


def _check_one_limit(raw: RawTable, readings: Sequence[Reading]) -> None:
    """Refuses limits that differ, and numbers below the limit: both often mean that a limit was misread."""
    censored = [reading for reading in readings if reading.below]
    if not censored:
        return
    first, name = censored[0], readings[0].observable
    fix = "pass detection_limit=... to set one limit, or varying_limits=True if it differs between samples"
    if other := [reading for reading in censored if reading.value != first.value]:
        raise raw.fault(
            [reading.row for reading in other],
            other[0].columns.value.index,
            f"the detection limit of {name!r} is {other[0].value:g} here and {first.value:g} at {raw.place(first.row)}",
            expected="one limit per observable",
            fix=fix,
        )
    if lower := [reading for reading in readings if not reading.below and reading.value < first.value]:
        raise raw.fault(
            [reading.row for reading in lower],
            lower[0].columns.value.index,
            f"{lower[0].value:g} is below the detection limit of {name!r}, {first.value:g}, but is not "
            "marked as censored",
            expected="readings above the limit, or a mark",
            fix=fix,
        )
