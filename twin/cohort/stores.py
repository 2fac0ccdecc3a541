"""Where a result is written while it comes to be: memory, a zarr folder or a netCDF file."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from twin.cohort.layout import SUBJECT, Field, Layout


class AbstractStore(ABC):
    """Arrays of a layout that are written in parts. A kill at any moment leaves what was written before."""

    @abstractmethod
    def create(self, layout: Layout, width: int) -> None:
        """Make room for everything and write what is known; `width` subjects come at a time."""

    @abstractmethod
    def write(self, start: int, parts: Mapping[str, np.ndarray]) -> None:
        """Write values of the subjects from `start` on."""

    @abstractmethod
    def finish(self, results: Mapping[str, np.ndarray]) -> None:
        """Write what is known only at the end."""


class AbstractFileStore(AbstractStore):
    """A store on disk.

    Args:
        path: Where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @abstractmethod
    def attributes(cls, path: Path) -> Mapping[str, object]:
        """Attributes of a finished store.

        Raises:
            OSError: It is no store of this kind.
        """

    @classmethod
    @abstractmethod
    def open(cls, path: Path) -> xr.Dataset:
        """The dataset as it lies on disk; values are read when they are used."""


class MemoryStore(AbstractStore):
    """Everything in memory."""

    def create(self, layout: Layout, width: int) -> None:
        self.layout = layout
        self.arrays = {
            item.name: np.array(item.values, dtype=None if item.dtype is str else item.dtype)
            if item.values is not None
            else np.zeros(layout.shape(item), dtype=item.dtype)
            for item in layout.fields
        }

    def write(self, start: int, parts: Mapping[str, np.ndarray]) -> None:
        for name, values in parts.items():
            self.arrays[name][start : start + len(values)] = values

    def finish(self, results: Mapping[str, np.ndarray]) -> None:
        for name, values in results.items():
            self.arrays[name][...] = values

    def dataset(self) -> xr.Dataset:
        """All of it."""
        whole = {
            item.name: xr.Variable(item.dims, self.arrays[item.name], dict(item.attrs)) for item in self.layout.fields
        }
        ds = xr.Dataset(whole, attrs=dict(self.layout.attrs))
        return ds.set_coords([item.name for item in self.layout.fields if item.is_coordinate])


def disk_names(layout: Layout) -> dict[str, str]:
    """A name for each variable that files and folders allow; expressions such as "A / B" are no such names."""
    taken: dict[str, str] = {}
    for item in layout.fields:
        plain = re.sub(r"\W+", "_", item.name, flags=re.ASCII).strip("_") or "value"
        allowed, number = plain, 1
        while allowed in taken.values():
            number += 1
            allowed = f"{plain}_{number}"
        taken[item.name] = allowed
    return taken


def disk_attributes(item: Field, name: str) -> dict[str, object]:
    """Attributes of a variable on disk; they remember its own name."""
    return dict(item.attrs) | ({"expression": item.name} if name != item.name else {})


def own_names(ds: xr.Dataset) -> xr.Dataset:
    """Variables under their own names, and coordinates as such."""
    named = {name: v.attrs["expression"] for name, v in ds.variables.items() if "expression" in v.attrs}
    for name in named:
        del ds[name].attrs["expression"]
    return ds.rename(named)


def coordinates(layout: Layout, names: Mapping[str, str]) -> str:
    """Names of the coordinates that are no dimensions, as CF writes them."""
    return " ".join(
        names[item.name] for item in layout.fields if item.is_coordinate and item.name not in (*item.dims, SUBJECT)
    )
