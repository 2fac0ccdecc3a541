"""Results and tables in files that pandas, R and others open: netCDF, Parquet, CSV.

========  ==================================================  =====================================================
ending    a dataset                                           a table
========  ==================================================  =====================================================
.nc       as it is (netCDF 4), units in attributes            one variable per column, dimension "row"
.parquet  a row per draw and time, columns with their units   as it is; text, whole numbers and units stay what they are
.csv      the same, units in the header                       as it is
========  ==================================================  =====================================================

Parquet needs pyarrow, the extra ``export``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from twin.errors import TwinError
from twin.units import pretty

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".nc", ".parquet", ".csv")


def write_results(result: xr.Dataset | pd.DataFrame, path: str | Path) -> Path:
    """Write a simulation or a table; the ending of the name says as what.

    Variables that are expressions get a name that netCDF allows, and keep the expression in their attributes. The file
    appears whole or not at all.

    Args:
        result: Result of `twin.simulate`, or a table, whose units may stand in ``frame.attrs["units"]`` by column.
        path: File to write, ending in .nc, .parquet or .csv; an existing one is replaced.

    Returns:
        The path.

    Raises:
        TwinError: Another ending, a folder that is not there, pyarrow missing, or something else than a result.

    Example:
        >>> twin.write_results(twin.simulate(model, times), "run.parquet")
        >>> pd.read_parquet("run.parquet")
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise TwinError(
            f"the file is called {path.name!r}",
            where="write_results",
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
        )
    if not isinstance(result, xr.Dataset | pd.DataFrame):
        found = f"the result is a {type(result).__name__}"
        raise TwinError(found, where="write_results", expected="an xarray.Dataset or a pandas.DataFrame")
    if not path.parent.is_dir():
        raise TwinError(f"there is no folder {str(path.parent)!r}", where="write_results", fix="create it first")
    part = path.with_name(f".{path.name}.part")
    try:
        {".nc": _netcdf, ".parquet": _parquet, ".csv": _csv}[kind](result, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def tidy(result: xr.Dataset) -> tuple[pd.DataFrame, dict[str, str]]:
    """A dataset as a table with a row per point, and the units by column; parameters of a draw repeat in each row."""
    frame = result.to_dataframe().reset_index()
    units = {str(n): str(result[n].attrs["units"]) for n in result.variables if result[n].attrs.get("units")}
    return frame, {name: unit for name, unit in units.items() if name in frame.columns}


def _tabled(result: xr.Dataset | pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str], dict[str, Any]]:
    if isinstance(result, xr.Dataset):
        frame, units = tidy(result)
        return frame, units, {str(key): value for key, value in result.attrs.items()}
    units = {str(name): str(unit) for name, unit in dict(result.attrs.get("units", {})).items() if name in result}
    return result, units, {str(key): value for key, value in result.attrs.items() if key != "units"}


def _csv(result: xr.Dataset | pd.DataFrame, path: Path) -> None:
    frame, units, _ = _tabled(result)
    shown = {name: pretty(unit) for name, unit in units.items()}
    frame = frame.rename(columns={name: f"{name} [{unit}]" for name, unit in shown.items() if unit})
    frame.to_csv(path, index=False)


def _netcdf(result: xr.Dataset | pd.DataFrame, path: Path) -> None:
    if isinstance(result, pd.DataFrame):
        _, units, attrs = _tabled(result)
        row = ("row",)
        columns = {str(n): xr.Variable(row, _plain(result[n]), _unit(units.get(str(n)))) for n in result.columns}
        result = xr.Dataset(columns, attrs={key: _attribute(value) for key, value in attrs.items()})
    named = {}
    result = result.copy()
    for name in result.data_vars:
        if (allowed := re.sub(r"\W+", "_", str(name)).strip("_") or "value") != name:
            while allowed in named.values() or allowed in result.variables:
                allowed += "_"  # "a-b" and "a+b" are two columns
            result[name].attrs["expression"] = str(name)
            named[name] = allowed
    result.rename(named).to_netcdf(path, engine="h5netcdf")


def _parquet(result: xr.Dataset | pd.DataFrame, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise TwinError(
            "Parquet needs pyarrow",
            where=path.name.removeprefix(".").removesuffix(".part"),
            expected="the extra 'export'",
            fix="pip install 'cytotwin[export]', or write .nc or .csv",
        ) from error
    frame, units, attrs = _tabled(result)
    plain = frame.copy(deep=False)
    plain.attrs = {}  # pandas would write them into its own part of the metadata, which has no place for arrays
    pq.write_table(_described(pa.Table.from_pandas(plain, preserve_index=False), units, attrs), path)


def _described(table: pa.Table, units: Mapping[str, str], attrs: Mapping[str, Any]) -> pa.Table:
    """Units at the columns (key ``units``), and what the result says about itself as JSON (key ``cytotwin``)."""
    fields = [
        field.with_metadata({"units": units[field.name]}) if field.name in units else field for field in table.schema
    ]
    said = {key: _attribute(value) for key, value in attrs.items()}
    metadata = {**(table.schema.metadata or {}), b"cytotwin": json.dumps(said).encode()}
    import pyarrow as pa

    return table.cast(pa.schema(fields)).replace_schema_metadata(metadata)


def _attribute(value: Any) -> str | int | float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return value.item() if isinstance(value, np.number) else str(value)


def _plain(column: pd.Series) -> np.ndarray:
    return column.to_numpy() if column.dtype.kind in "fiub" else column.astype(str).to_numpy(dtype=object)


def _unit(unit: str | None) -> dict[str, str]:
    return {"units": unit} if unit else {}
