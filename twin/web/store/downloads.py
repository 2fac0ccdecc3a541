"""Files of a view of stores: bands, endpoints and failed patients as CSV, all patients of a run as netCDF."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from twin.errors import ScenarioError
from twin.exchange.results import write_results
from twin.scenario.store import FOLDER
from twin.units import pretty
from twin.web.store.runs import Run, Runs
from twin.web.store.view import View, query_of

if TYPE_CHECKING:
    import xarray as xr

MOST_BYTES = 2_000_000_000
"""Numbers of a run that are put into one file; more are read from the store itself."""


def csv_of(runs: Runs, view: View, name: str) -> bytes:
    """One of the tables by its name, under a head that says where it comes from; units are in the head."""
    frame = TABLES[name](runs, view)
    head = [f"# cytotwin twin serve: {name}"]
    for place, run in enumerate(runs):
        head.append(
            f"# run {_one_line(run.label)}: {run.attrs['fingerprint']}, reference {_one_line(view.references[place])}"
        )
        units = {key: pretty(run.unit(key)) or "-" for key in (*run.outputs, *run.endpoints)}
        units["time"] = pretty(run.time_unit) or "-"
        head.append("# units " + ", ".join(f"{key}: {unit}" for key, unit in units.items()))
    head.append(f"# link ?{query_of(view)}")
    return ("\n".join(head) + "\n" + frame.to_csv(index=False)).encode()


def _bands(runs: Runs, view: View) -> pd.DataFrame:
    """A row per run, arm, output and time, of all outputs of the arms that are shown."""
    parts = []
    for place, arm in view.series:
        run = runs[place]
        for output in run.outputs:
            columns = [f"q{100 * level:g}" for level in run.levels]
            table = pd.DataFrame(run.band(output, arm).T, columns=columns)
            for at, (key, value) in enumerate(
                (("run", run.label), ("arm", arm), ("output", output), ("time", run.times))
            ):
                table.insert(at, key, value)
            parts.append(table)
    return pd.concat(parts) if parts else pd.DataFrame(columns=["run", "arm", "output", "time"])


def _compared(kind: int) -> Callable[[Runs, View], pd.DataFrame]:
    """All endpoints (0) or criteria (1) of the arms that are shown, as `twin scenario compare` writes them."""

    def made(runs: Runs, view: View) -> pd.DataFrame:
        parts = []
        for place, run in enumerate(runs):
            frame = run.tables(view.references[place], (*view.arms[place], view.references[place]))[kind]
            if len(frame):
                frame.insert(0, "run", run.label)
                parts.append(frame)
        return pd.concat(parts) if parts else pd.DataFrame(columns=["run", "criterion", "arm"])

    return made


def _between(runs: Runs, view: View) -> pd.DataFrame:
    """All endpoints, then all criteria, of arms of further runs against those of the first."""
    parts = []
    for kind in (0, 1):
        for place in range(1, len(runs)):
            for arm in view.arms[place]:
                if (base := view.against or arm) in runs[0].arms:
                    frame = runs.between(place, arm, base)[kind].rename(
                        columns={"endpoint": "name", "criterion": "name"}
                    )
                    frame.insert(0, "run", runs[place].label)
                    parts.append(frame)
    return pd.concat(parts) if parts else pd.DataFrame(columns=["run", "name", "arm", "against"])


def _failed(runs: Runs, view: View) -> pd.DataFrame:
    """A row per failed patient of every arm, with the parameters that the cohort gave, without levels of arms."""
    del view
    parts = [part for run in runs for part in _failed_of(run)]
    return pd.concat(parts) if parts else pd.DataFrame(columns=["run", "arm", "patient", "reason"])


def _failed_of(run: Run) -> Iterator[pd.DataFrame]:
    names = [str(name) for name in run.ds.coords if run.ds[name].dims == ("patient",)]
    for failure in run.failures():
        chosen = failure.patients
        columns = {name: run.ds[name].to_numpy()[chosen] for name in names}
        yield pd.DataFrame(
            {"run": run.label, "arm": failure.arm, "patient": chosen, "reason": failure.reason, **columns}
        )


TABLES: dict[str, Callable[[Runs, View], pd.DataFrame]] = {
    "bands": _bands, "endpoints": _compared(0), "responders": _compared(1), "between": _between, "failed": _failed,
}  # fmt: skip


def netcdf_of(run: Run, arms: tuple[str, ...], link: str) -> bytes:
    """Endpoints, answers, status and parameters of every patient in some arms, and their bands.

    Raises:
        ScenarioError: No arm, or more numbers than one file should hold.
    """
    if not arms:
        raise ScenarioError("no arm of this run is shown", where="the address", fix="show one")
    with tempfile.TemporaryDirectory() as folder:
        return write_results(dataset_of(run, arms, link), Path(folder) / "patients.nc").read_bytes()


def dataset_of(run: Run, arms: tuple[str, ...], link: str) -> xr.Dataset:
    """The same as a dataset, in the types and attributes that netCDF has."""
    ds = run.ds.isel(arm=[run.arms.index(arm) for arm in arms])
    if ds.nbytes > MOST_BYTES:
        found = f"the arms that are shown hold {ds.nbytes / 1e9:.1f} GB"
        fix = f"show fewer arms, or open {FOLDER} in the folder of the run with zarr, xarray or DuckDB"
        raise ScenarioError(found, where="patients as netCDF", expected=f"at most {MOST_BYTES / 1e9:g} GB", fix=fix)
    ds = ds.load()
    for name in ds.variables:
        ds[name].attrs = {key: _plain(value) for key, value in ds[name].attrs.items()}
        if not np.issubdtype(ds[name].dtype, np.number):
            ds = ds.assign_coords({name: (ds[name].dims, np.array(list(map(str, ds[name].to_numpy())), dtype=object))})
    return ds.assign_attrs({key: _plain(value) for key, value in {**run.attrs, "link": f"?{link}"}.items()})


def _plain(value: object) -> object:
    """An attribute as netCDF takes it: lists of numbers stay, meanings are words as CF has them, mappings are JSON."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return " ".join(item.replace(" ", "_") for item in value)
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        return np.array(value, dtype=np.int8)
    return json.dumps(value) if isinstance(value, (dict, list)) or value is None else value


def _one_line(text: str) -> str:
    return " ".join(text.split())
