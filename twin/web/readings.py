"""Published readings of a study in the units of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from twin import library, units
from twin.errors import LibraryError, UnitError

if TYPE_CHECKING:
    from twin.model.model import Model
    from twin.study import Study

COLUMNS = ("experiment", "subject", "observable", "time", "value", "censoring")


def readings_of(study: Study, model: Model) -> pd.DataFrame:
    """Readings of the study's dataset; an observable that is not the model's, or does not convert, is left out.

    Returns:
        Columns `COLUMNS`, times and values in the model's units.
    """
    try:
        dataset = library.dataset(study.dataset)
    except LibraryError:
        return pd.DataFrame({name: [] for name in COLUMNS})
    table = dataset.load()
    parts = []
    for observable, rows in table.groupby("observable", sort=False):
        name = str(observable)
        if name not in model.observable_names and name not in model.state_names:
            continue
        try:
            value = units.convert(rows["value"].to_numpy(), dataset.units.get(name, ""), model.unit(name))
            time = units.convert(rows["time"].to_numpy(), dataset.time_unit, model.time_unit)
        except UnitError:
            continue
        parts.append(rows.assign(value=value, time=time)[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in COLUMNS})
