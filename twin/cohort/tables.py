"""A table with one row per subject as columns of finite numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twin.cohort.formulas import Columns
from twin.errors import DuplicateNameError, ExperimentError, suggestion

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def columns(table: pd.DataFrame | Mapping[str, Any] | str | Path, ignore: Sequence[str] = ()) -> Columns:
    """Checked columns by name.

    Args:
        table: A data frame, what makes one, or the path of a .csv or .tsv file.
        ignore: Columns to leave out.

    Raises:
        ExperimentError: A table that cannot be read, is empty, or has cells that are not finite numbers.
        DuplicateNameError: Two columns have one name.
    """
    where = f"table {table}" if isinstance(table, (str, Path)) else "table"
    frame = _frame(table, where)
    names = [str(name) for name in frame.columns]
    for name in names:
        if names.count(name) > 1:
            raise DuplicateNameError(f"the column {name!r} is there twice", where=where, fix="drop one of the two")
    for name in ignore:
        if name not in names:
            raise ExperimentError(f"there is no column {name!r}", where=where, fix=suggestion(str(name), names))
    if not len(frame) or not set(names) - set(ignore):
        raise ExperimentError(
            f"it has {len(frame)} rows and {len(names)} columns",
            where=where,
            expected="a row per subject and a column per parameter",
        )
    return {name: _numbers(frame.iloc[:, place], name, where) for place, name in enumerate(names) if name not in ignore}


def _frame(table: object, where: str) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, Mapping):
        try:
            return pd.DataFrame(dict(table))
        except ValueError as error:
            raise ExperimentError(f"it is no table ({error})", where=where, expected="columns of one length") from error
    if not isinstance(table, (str, Path)):
        found = f"it is a {type(table).__name__}"
        raise ExperimentError(found, where=where, expected="a pandas.DataFrame or the path of a .csv or .tsv file")
    path = Path(table)
    if path.suffix.lower() not in _SEPARATORS:
        raise ExperimentError(
            f"the file ends in {path.suffix!r}", where=where, expected=".csv or .tsv", fix="read it with pandas first"
        )
    if not path.is_file():
        raise ExperimentError("there is no such file", where=where)
    try:
        # Without a header pandas would rename the second of two equal names.
        text = pd.read_csv(path, sep=_SEPARATORS[path.suffix.lower()], header=None, comment="#", dtype=str)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise ExperimentError(f"the table cannot be read ({error})", where=where) from error
    body = text.iloc[1:].reset_index(drop=True)
    body.columns = [str(name).strip() for name in text.iloc[0]]
    return body


def _numbers(column: pd.Series, name: str, where: str) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        found = column.iloc[row]
        shown = "empty" if pd.isna(found) else repr(found)
        raise ExperimentError(
            f"column {name!r} is {shown} in row {row + 1} (the first after the header is 1)",
            where=where,
            expected="a finite number in every cell",
            fix=f"complete or drop the row; a column that is not wanted: ignore=[{name!r}]",
        )
    return values
