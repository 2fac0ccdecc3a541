"""Files of a view: bands of all scenarios as CSV, courses and parameters of every patient as netCDF."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import xarray as xr

from twin.simulation import unit_of
from twin.units import pretty
from twin.web.compute import dataset_of, lanes, result_of
from twin.web.endpoints import SHARES
from twin.web.link import query_of
from twin.web.served import Served
from twin.web.settings import View
from twin.web.tables import differences

NOW = "now"
RTOL = 1e-8
"""Numbers that are taken away get what `twin.simulate` gives."""


def bands_csv(served: Served, view: View) -> bytes:
    """Quantiles over patients by scenario, variable and time, one row each, under a head that says what was set.

    Raises:
        TwinError: The view cannot be computed.
    """
    parts, head = [], [f"# cytotwin twin serve: {served.model.name} ({served.model.fingerprint})"]
    for name, settings in [(NOW, view.settings), *((s.name, s.settings) for s in view.scenarios)]:
        result = result_of(served, settings, view.until, (*view.shown, view.endpoint), RTOL)
        head.append(
            f"# scenario {_one_line(name)}: {_one_line(differences(served, settings))}; {result.patients} patients"
        )
        for variable, course in result.courses.items():
            table = pd.DataFrame(course.bands.T, columns=[f"q{100 * share:02.0f}" for share in SHARES])
            table.insert(0, "time", result.times)
            table.insert(0, "variable", variable)
            table.insert(0, "scenario", name)
            parts.append(table)
    units = {"time": served.model.time_unit}
    units |= {name: unit_of(served.model, name) for name in (*view.shown, view.endpoint)}
    head.append("# units " + ", ".join(f"{name}: {pretty(unit) or '-'}" for name, unit in units.items()))
    head.append(f"# link ?{query_of(view, served)}")
    return ("\n".join(head) + "\n" + pd.concat(parts).to_csv(index=False)).encode()


def patients_netcdf(served: Served, view: View) -> bytes:
    """Courses of every patient under the settings of now, with their parameters.

    Raises:
        TwinError: The view cannot be computed.
    """
    ds = patients_dataset(served, view)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patients.nc"
        encoding = {str(name): {"zlib": True, "complevel": 3} for name in ds.data_vars if ds[name].ndim > 1}
        ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        return path.read_bytes()


def patients_dataset(served: Served, view: View) -> xr.Dataset:
    """The same as a dataset: dimensions patient and time; patients that failed are NaN."""
    ds, remark = dataset_of(served, view.settings, view.until, (*view.shown, view.endpoint), RTOL)
    ds = ds.rename(draw="patient") if "draw" in ds.dims else ds
    for name, values in lanes(served, view.settings).items():
        dims = ("patient",) if values.ndim else ()
        unit = unit_of(served.model, name)
        # A parameter may bear the name of nothing else in the model, so it cannot hide a variable.
        ds[name] = xr.Variable(dims, values, {"units": unit} if unit else {})
    first = "the typical patient" if served.drawn is None else "a draw of the posterior, like all"
    said = {"settings": differences(served, view.settings), "link": f"?{query_of(view, served)}", "patient_0": first}
    return ds.assign_attrs(**said, **({"remark": remark} if remark else {}))


def _one_line(text: str) -> str:
    return " ".join(text.split())
