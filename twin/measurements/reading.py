"""`read_measurements`: from a CSV or TSV file to `Measurements`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from twin.measurements.assembly import assemble
from twin.measurements.delimited import read_delimited
from twin.measurements.options import ColumnNames, Missing, Options, ReadsModel, Replicates
from twin.measurements.table import Measurements


def read_measurements(
    path: str | os.PathLike[str],
    model: ReadsModel | None = None,
    *,
    columns: ColumnNames | None = None,
    observable: str | None = None,
    time_unit: str | None = None,
    value_units: str | Mapping[str, str] | None = None,
    detection_limit: float | Mapping[str, float] | None = None,
    missing: Missing = "error",
    replicates: Replicates = "allow",
    allow_negative_time: bool = False,
    varying_limits: bool = False,
    delimiter: str | None = None,
) -> Measurements:
    """Reads a table of measurements and converts it to a model's units.

    The file is UTF-8 text with a header line; lines that start with ``#`` are comments. Columns are found by
    the names that laboratories and pharmacometricians use (time, day, hours; value, dv, conc; subject, id,
    patient; observable, analyte, dvid; experiment, arm, condition; noise, sd; censoring, cens, bql), whatever
    their case; other columns are ignored. A unit in a header, ``time [h]`` or ``conc (mg/L)``, counts, and so
    does a time column called ``hours``. Without an experiment column every row belongs to "default", without
    a subject column to "1". A table without value column may have one column per observable, named as in the
    model.

    Readings below a detection limit are marked in a censoring column (1, true, left; the value is then the
    limit), written as ``<50``, or found by `detection_limit`. Readings above a limit are marked as -1 or right, or
    written as ``>1000``. Readings known to lie between two limits are marked as interval: the value is the lower limit,
    and a column upper (upper_limit, upper_bound) has the upper one.

    Args:
        path: A CSV or TSV file.
        model: The model that has the observables; without it nothing is converted.
        columns: The file's headers by our names, ``{"time": "hours_post_infection", "value": "titre"}``. For
            a wide table, "value" (and "noise", "censoring", "upper") map observables to headers, ``{"value": {"V":
            "virus"}}``. None as a header ignores a column that would be found by its name.
        observable: What was read, in a table without an observable column; not needed if the model has only
            one.
        time_unit: Unit of the time column, for instance "hour"; default the header's, or else the model's.
        value_units: Unit of the values, and of the noise: one for all, or by observable; default the
            header's, or else the model's. A log10 observable is dimensionless.
        detection_limit: Limit below which readings are censored, in the unit of the value column: one for
            all, or by observable.
        missing: "error" refuses empty value cells, "drop" leaves their rows out and counts them in `dropped`.
        replicates: "allow" takes several readings of a series at one time if they differ, "identical" also if
            they are equal, "error" takes none.
        allow_negative_time: Whether readings before time 0 may stand.
        varying_limits: Whether the limit of left- or right-censored readings of one observable may differ between rows.
        delimiter: What separates columns; default by suffix and header.

    Returns:
        The readings, in the order of the file.

    Raises:
        MeasurementError: The file cannot be read, or the table cannot be used; the message names line and
            column.
        UnitError: A unit is unknown or does not convert.

    Example:
        >>> readings = twin.read_measurements("titres.csv", model, time_unit="hour")  # doctest: +SKIP
    """
    options = Options(
        observable=observable,
        time_unit=time_unit,
        value_units=value_units,
        detection_limit=detection_limit,
        missing=missing,
        replicates=replicates,
        allow_negative_time=allow_negative_time,
        varying_limits=varying_limits,
    )
    raw = read_delimited(path, delimiter)
    table, unit, units, dropped = assemble(raw, model, columns, options)
    return Measurements(table, source=raw.source, time_unit=unit, units=units, dropped=dropped)
