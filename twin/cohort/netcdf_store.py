"""A netCDF file as a store, safe against being killed.

HDF5 keeps its tables in memory and writes them when it likes; a process killed in between leaves a file that cannot be
opened. So the file is made whole at the start, with all arrays contiguous and empty, and closed. From then on values
are written to their places in it as plain bytes, which touches no table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from twin.cohort.layout import Layout
from twin.cohort.stores import AbstractFileStore, coordinates, disk_attributes, disk_names, own_names
from twin.errors import SimulationError


class NetcdfStore(AbstractFileStore):
    """A netCDF 4 file without compression."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._places: dict[str, tuple[int, np.dtype, tuple[int, ...]]] = {}

    def create(self, layout: Layout, width: int) -> None:
        names = disk_names(layout)
        with h5netcdf.File(self.path, "w") as file:
            file.dimensions = dict(layout.sizes)
            file.attrs.update({**layout.attrs, "coordinates": coordinates(layout, names)})
            for item in layout.fields:
                dtype = h5py.string_dtype() if item.dtype is str else np.dtype(item.dtype).newbyteorder("<")
                variable = file.create_variable(names[item.name], item.dims, dtype)
                variable.attrs.update(disk_attributes(item, names[item.name]))
                if item.values is not None:
                    variable[...] = np.array(item.values, dtype=object if item.dtype is str else dtype)
                else:
                    # The first value makes HDF5 give the whole array its place in the file.
                    variable[tuple(0 for _ in item.dims)] = 0

    def _place(self, name: str) -> np.ndarray:
        if not self._places:
            with h5py.File(self.path, "r") as file:
                for key, dataset in file.items():
                    if (offset := dataset.id.get_offset()) is not None:
                        own = dataset.attrs.get("expression", key)
                        self._places[str(own)] = offset, dataset.dtype, dataset.shape
        if name not in self._places:
            raise SimulationError(f"{name!r} has no place in {self.path}", fix="delete the file and begin anew")
        offset, dtype, shape = self._places[name]
        return np.memmap(self.path, dtype, "r+", offset, shape)

    def write(self, start: int, parts: Mapping[str, np.ndarray]) -> None:
        for name, values in parts.items():
            self._place(name)[start : start + len(values)] = values

    def finish(self, results: Mapping[str, np.ndarray]) -> None:
        for name, values in results.items():
            self._place(name)[...] = values

    @classmethod
    def attributes(cls, path: Path) -> Mapping[str, object]:
        with h5netcdf.File(path, "r") as file:
            return dict(file.attrs)

    @classmethod
    def open(cls, path: Path) -> xr.Dataset:
        return own_names(xr.open_dataset(path, engine="h5netcdf", decode_times=False, decode_timedelta=False))
