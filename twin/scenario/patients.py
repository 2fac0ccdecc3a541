"""Patients of a finished run for questions about who they are: a sample of them, bounded however many there are."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from twin.errors import ScenarioError
from twin.scenario.formulas import UNKNOWN
from twin.scenario.results import PLAIN, open_scenario


class Finished:
    """A finished run.

    Args:
        folder: Its folder.
        most: Take at most so many patients, drawn without replacement.
        seed: Of that draw.

    Raises:
        ScenarioError: The run is not complete, or its patients do not differ.
        StoreError: There is none, or it cannot be read.
    """

    def __init__(self, folder: str | Path, most: int, seed: int) -> None:
        self._ds = ds = open_scenario(folder)
        if not ds.attrs["complete"]:
            raise ScenarioError("the run is not complete", where=str(folder), fix="twin scenario resume FOLDER")
        self.name = str(ds.attrs["scenario"])
        self.rtol = float(ds.attrs["rtol"])
        self.arms = tuple(map(str, ds["arm"].to_numpy()))
        self.reference = str(ds.attrs["reference"])
        self.formulas: dict[str, str] = dict(ds.attrs["responders"])
        self.criteria = tuple(self.formulas)
        self.endpoints = tuple(str(name) for name in ds.data_vars if name not in (*PLAIN, *self.criteria))
        self.patients = int(ds.sizes["patient"])
        rng = np.random.default_rng(seed)
        every = np.arange(self.patients)
        self.chosen = every if self.patients <= most else np.sort(rng.choice(self.patients, most, replace=False))
        if not self.parameters:
            raise ScenarioError("its patients are all alike", where=str(folder), expected="parameters that differ")

    @cached_property
    def parameters(self) -> dict[str, Float[np.ndarray, " patient"]]:
        """Parameters and covariates that are not the same for all."""
        names = [str(name) for name in self._ds.coords if self._ds[name].dims == ("patient",)]
        columns = {name: self._take(self._ds[name]) for name in names}
        return {name: values for name, values in columns.items() if np.ptp(values) > 0}

    def values(self, name: str, arm: int) -> Float[np.ndarray, " patient"]:
        """An endpoint, or a criterion as 1 and 0, in an arm; NaN where it is unknown."""
        found = self._take(self._ds[name].isel(arm=arm))
        return np.where(found == UNKNOWN, np.nan, found) if name in self.criteria else found

    def status(self, arm: int) -> Int[np.ndarray, " patient"]:
        """How the integration ended."""
        return self._take(self._ds["status"].isel(arm=arm))

    def unit(self, name: str) -> str:
        """Unit of an endpoint, where it is known."""
        return str(self._ds[name].attrs.get("units", ""))

    def _take(self, array) -> np.ndarray:
        return array.to_numpy() if len(self.chosen) == self.patients else array.isel(patient=self.chosen).to_numpy()
