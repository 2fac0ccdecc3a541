"""Files that commands write and read: checked before any work is done, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twin.errors import ExperimentError, TwinError, suggestion

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr


def output_file(text: str, option: str, suffixes: Sequence[str]) -> Path:
    """The path of a file to be written, if it can be.

    Raises:
        TwinError: Another suffix, a folder that is not there, or a folder in its place.
    """
    path = Path(text)
    if path.suffix.lower() not in suffixes:
        raise TwinError(
            f"the file is called {path.name!r}", where=option, expected="a name that ends in " + " or ".join(suffixes)
        )
    if path.is_dir():
        raise TwinError(f"{text!r} is a folder", where=option, expected="the name of a file")
    if not path.parent.is_dir():
        raise TwinError(f"there is no folder {str(path.parent)!r}", where=option, fix="create it first")
    return path


def output_folder(text: str, option: str = "--out") -> Path:
    """A folder for results, created if it is not there.

    Raises:
        TwinError: A file is in its place, or it cannot be created.
    """
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise TwinError(f"{text!r} is a file", where=option, expected="the name of a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TwinError(f"the folder {text!r} cannot be created ({error.strerror})", where=option) from error
    return path


def write_dataset(ds: xr.Dataset, path: Path) -> None:
    """Write a simulation as netCDF, or as a table with one row per time (and draw): CSV or Parquet.

    Variables that are expressions get a name that netCDF allows; the expression is kept in their attributes.
    """
    from twin.exchange.results import write_results

    write_results(ds, path)


def write_tree(tree: xr.DataTree, path: Path) -> None:
    """Write draws as netCDF."""
    _whole(path, lambda part: tree.to_netcdf(part, engine="h5netcdf"))


def write_table(frame: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Write a table as CSV."""
    _whole(path, lambda part: frame.to_csv(part, index=index))


def write_text(text: str, path: Path) -> None:
    """Write text as UTF-8."""
    _whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def _whole(path: Path, write) -> None:
    # An interruption in the middle must not leave half a file under the final name.
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_draws(text: str, parameters: Sequence[str]) -> tuple[Mapping[str, np.ndarray], tuple[str, ...]]:
    """Parameter values of many draws, from a CSV table (a column per parameter) or the posterior of `twin calibrate`.

    Args:
        text: Path of a .csv or .nc file; values on the linear scale.
        parameters: Names that may occur.

    Returns:
        One array per parameter found, all of one length, and the names that are no parameters.

    Raises:
        ExperimentError: The file cannot be read, or holds no parameter or no draw.
    """
    import numpy as np

    path = Path(text)
    if not path.is_file():
        raise ExperimentError(f"there is no file {text!r}", where="--draws")
    if path.suffix.lower() not in (".csv", ".nc"):
        raise ExperimentError(f"the file is called {path.name!r}", where="--draws", expected="a .csv or .nc file")
    columns = _csv_columns(path) if path.suffix.lower() == ".csv" else _posterior_columns(path)
    found = {name: values for name, values in columns.items() if name in parameters}
    if not found:
        name = next(iter(columns), "")
        raise ExperimentError(
            f"none of its columns is a parameter of the model ({', '.join(list(columns)[:6]) or 'there are none'})",
            where=f"--draws {text}",
            fix=suggestion(name, parameters),
        )
    for name, values in found.items():
        if values.dtype.kind not in "fiu" or not values.size or not np.isfinite(values).all():
            raise ExperimentError(
                f"the column {name!r} is empty or holds something else than finite numbers", where=f"--draws {text}"
            )
    return found, tuple(name for name in columns if name not in found)


def _csv_columns(path: Path) -> dict[str, np.ndarray]:
    import pandas as pd

    try:
        table = pd.read_csv(path, comment="#")
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise ExperimentError(f"the table cannot be read ({error})", where=f"--draws {path}") from error
    return {str(name): table[name].to_numpy() for name in table.columns}


def _posterior_columns(path: Path) -> dict[str, np.ndarray]:
    import xarray as xr

    try:
        with xr.open_dataset(path, group="posterior", engine="h5netcdf") as posterior:
            drawn = {str(n): v.load() for n, v in posterior.data_vars.items() if set(v.dims) == {"chain", "draw"}}
    except (OSError, ValueError, KeyError) as error:
        raise ExperimentError(
            f"it holds no posterior that can be read ({error})",
            where=f"--draws {path}",
            expected="the posterior.nc of twin calibrate",
        ) from error
    return {name: values.transpose("chain", "draw").to_numpy().ravel() for name, values in drawn.items()}
