"""Results and checkpoints as netCDF files that are whole at every moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import xarray as xr

from twin.errors import ProblemError


def write_archive(ds: xr.Dataset, path: str | PathLike[str]) -> None:
    """Write a dataset so that the file is either the old one or the new one, even if the process is killed.

    Raises:
        ProblemError: the file cannot be written.
    """
    write_whole(Path(path), lambda part: ds.to_netcdf(part, engine="h5netcdf"))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have a file written under another name and then put in its place.

    Args:
        path: The file.
        write: Writes it to the path that it is given.

    Raises:
        ProblemError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ProblemError(
            f"the file cannot be written ({error.strerror or error})", where=str(path), expected="a writable folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def read_archive(path: str | PathLike[str], kind: str) -> xr.Dataset:
    """The dataset in a file, in memory.

    Args:
        path: The file.
        kind: What its attribute "kind" has to say.

    Raises:
        ProblemError: it is not there, cannot be read, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ProblemError("there is no such file", where=str(path), expected=f"a file of kind {kind!r}")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            ds = opened.load()
    except (OSError, ValueError, KeyError) as error:
        raise ProblemError("it is no netCDF file", where=str(path), expected=f"a file of kind {kind!r}") from error
    if ds.attrs.get("kind") != kind:
        raise ProblemError(
            f"it holds {ds.attrs.get('kind', 'something else')!r}", where=str(path), expected=f"a file of kind {kind!r}"
        )
    return ds
