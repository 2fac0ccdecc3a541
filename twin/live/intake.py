"""New readings, checked against a twin before anything is computed."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from twin.errors import MeasurementError, suggestion
from twin.measurements import Measurements, read_measurements

if TYPE_CHECKING:
    from twin.live.ensemble import Twin

type Given = Measurements | pd.DataFrame | str | PathLike[str]
DEFAULT = ("default", "1")
"""The series of a table that names none."""


def take_in(twin: Twin, given: Given) -> Measurements:
    """Readings in the model's units, of series and observables that the twin knows, none from the past.

    Raises:
        MeasurementError: the table cannot be used, a series or observable is unknown, or a reading is too early.
        UnitError: a unit does not convert.
    """
    basis = twin.basis
    if isinstance(given, Measurements):
        readings = given.for_model(basis.model)
    elif isinstance(given, pd.DataFrame):
        readings = Measurements.from_table(given, basis.model, allow_negative_time=True)
    else:
        readings = read_measurements(given, basis.model, allow_negative_time=True)
    if readings.series == [DEFAULT] and DEFAULT not in basis.series and len(basis.series) == 1:
        experiment, subject = basis.series[0]
        readings = Measurements(
            readings.table.assign(experiment=experiment, subject=subject),
            source=readings.source,
            time_unit=readings.time_unit,
            units=readings.units,
            dropped=readings.dropped,
        )
    _check(twin, readings)
    return readings


def _check(twin: Twin, readings: Measurements) -> None:
    basis, times = twin.basis, twin.times
    for row, reading in enumerate(readings.table.to_dict("records"), 1):
        where = f"{readings.source}, reading {row}"
        series = (reading["experiment"], reading["subject"])
        if series not in times:
            known = [f"{experiment} / {subject}" for experiment, subject in basis.series]
            raise MeasurementError(
                f"the twin knows no experiment {series[0]!r} with subject {series[1]!r}",
                where=where,
                expected="a series that it was calibrated for",
                fix=suggestion(" / ".join(series), known),
            )
        if (name := reading["observable"]) not in basis.noise:
            raise MeasurementError(
                f"the twin does not know how {name!r} scatters",
                where=where,
                expected="an observable that it was calibrated for",
                fix=suggestion(name, basis.noise),
            )
        if not np.isfinite(reading["time"]):
            raise MeasurementError(f"the time is {reading['time']}", where=where, expected="a finite time")
        if reading["time"] < times[series]:
            raise MeasurementError(
                f"it was made at {reading['time']:g}, and the twin stands at {times[series]:g}",
                where=where,
                expected="readings in the order in which they were made",
                fix="update an earlier copy of the twin, or calibrate again with all readings",
            )
        if basis.noise[name].scale is None and not reading["noise"] > 0:
            raise MeasurementError(
                f"{name!r} has the noise {reading['noise']}",
                where=where,
                expected="a positive number: its noise comes from the table",
            )
