"""A zarr folder (format 3) as a store: one file per chunk of subjects and variable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from twin.cohort.layout import Layout
from twin.cohort.stores import AbstractFileStore, coordinates, disk_attributes, disk_names, own_names
from twin.errors import LibraryError

try:
    import zarr
except ImportError:
    raise LibraryError(
        "writing zarr folders needs the package zarr",
        fix="pip install 'cytotwin[cohort]', or write netCDF: to=\"x.nc\"",
    ) from None


class ZarrStore(AbstractFileStore):
    """A folder in zarr's format 3."""

    def create(self, layout: Layout, width: int) -> None:
        names = disk_names(layout)
        attrs = dict(layout.attrs) | {"coordinates": coordinates(layout, names), "names": names}
        group = zarr.create_group(store=self.path, zarr_format=3, attributes=attrs)
        for item in layout.fields:
            name = names[item.name]
            attributes = disk_attributes(item, name)
            if item.values is not None:
                values = np.array(item.values)
                array = group.create_array(
                    name=name, shape=values.shape, dtype=str if item.dtype is str else item.dtype,
                    dimension_names=item.dims, attributes=attributes,
                )  # fmt: skip
                array[...] = values
                continue
            shape = layout.shape(item)
            # Whole chunks of subjects, so that no two parts of the run touch one file.
            chunks = (min(width, shape[0]), *shape[1:]) if item.by_subject else shape
            fill = np.nan if np.issubdtype(item.dtype, np.floating) else 0
            group.create_array(
                name=name, shape=shape, dtype=item.dtype, chunks=chunks, fill_value=fill,
                dimension_names=item.dims, attributes=attributes,
            )  # fmt: skip

    def write(self, start: int, parts: Mapping[str, np.ndarray]) -> None:
        group = zarr.open_group(self.path, mode="r+")
        names = dict(group.attrs["names"])
        for name, values in parts.items():
            group[names[name]][start : start + len(values)] = values

    def finish(self, results: Mapping[str, np.ndarray]) -> None:
        group = zarr.open_group(self.path, mode="r+")
        names = dict(group.attrs["names"])
        for name, values in results.items():
            group[names[name]][...] = values

    @classmethod
    def attributes(cls, path: Path) -> Mapping[str, object]:
        try:
            return dict(zarr.open_group(path, mode="r").attrs)
        except (ValueError, KeyError) as error:
            raise OSError(str(error)) from error

    @classmethod
    def open(cls, path: Path) -> xr.Dataset:
        ds = xr.open_zarr(path, consolidated=False, chunks=None, decode_times=False)
        ds.attrs.pop("names", None)
        return own_names(ds)
