"""From a raw table to a validated one: find the columns, read the cells, check, convert."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twin.measurements.conversion import time_in_model, values_in_model
from twin.measurements.layout import find_layout
from twin.measurements.limits import apply_limits
from twin.measurements.options import ColumnNames, Options, ReadsModel
from twin.measurements.raw import RawTable
from twin.measurements.readings import collect
from twin.measurements.replicates import check_replicates
from twin.measurements.schema import frame

if TYPE_CHECKING:
    import pandas as pd


class Assembled(NamedTuple):
    """A validated table.

    Args:
        table: The readings, in the schema of `twin.measurements.schema`.
        time_unit: Unit of the times, if known.
        units: Unit of the values by observable, where known.
        dropped: Rows without a value that were left out.
    """

    table: pd.DataFrame
    time_unit: str | None
    units: dict[str, str | None]
    dropped: int


def assemble(
    raw: RawTable,
    model: ReadsModel | None,
    columns: ColumnNames | None,
    options: Options,
) -> Assembled:
    """Reads, checks and converts a table.

    Raises:
        MeasurementError: The table cannot be used; the message names the place.
        UnitError: A unit is unknown or does not convert.
    """
    layout = find_layout(raw, model, columns, options.observable)
    known = tuple(model.observable_names) if model is not None else ()
    readings, dropped = collect(raw, layout, known, options)
    readings = apply_limits(raw, readings, known, options)
    check_replicates(raw, readings, options.replicates)
    times = np.array([reading.time for reading in readings], dtype=np.float64)
    times, time_unit = time_in_model(raw, layout.time, times, model, options.time_unit)
    values, upper, noise, units = values_in_model(raw, readings, model, options)
    table = frame(
        {
            "experiment": [reading.experiment for reading in readings],
            "subject": [reading.subject for reading in readings],
            "observable": [reading.observable for reading in readings],
            "time": times.tolist(),
            "value": values.tolist(),
            "noise": noise.tolist(),
            "censoring": [reading.censoring for reading in readings],
            "upper": upper.tolist(),
        }
    )
    return Assembled(table, time_unit, units, dropped)
