"""The result of a scenario as a dataset, read from disk when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twin.scenario.integrity import check_finished
from twin.scenario.journal import Journal
from twin.scenario.store import open_store

if TYPE_CHECKING:
    import xarray as xr

PLAIN = ("status", "level", "band", "band_rank_error")
"""Arrays that are handed on as they are."""


def open_scenario(folder: str | Path) -> xr.Dataset:
    """Open the result of a scenario, also while it is being computed.

    Args:
        folder: The folder of the run.

    Returns:
        A dataset with a variable (arm, patient) for each endpoint (NaN for patients that failed or are not there yet),
        one for each criterion of response (1 yes, 0 no, -1 unknown), ``status`` (arm, patient), the patients'
        parameters as coordinates, ``level`` (arm, factor), and where asked for ``band`` (arm, variable, quantile,
        time). ``attrs["complete"]`` says whether all is there, ``attrs["failed"]`` how many integrations failed.

    Raises:
        StoreError: There is none, it cannot be read, or it is complete and a file is missing.
    """
    folder = Path(folder)
    raw = open_store(folder)
    journal = Journal(folder)
    variables = {name: raw[name].variable for name in PLAIN if name in raw}
    units = raw["unit"].to_numpy()
    for index, name in enumerate(raw["endpoint"].to_numpy()):
        variables[str(name)] = raw["values"].isel(endpoint=index).variable
        variables[str(name)].attrs = {"units": str(units[index])} if units[index] else {}
    if "criterion" in raw:
        for index, name in enumerate(raw["criterion"].to_numpy()):
            variables[str(name)] = raw["responder"].isel(criterion=index).variable
    coords = {name: raw[name].variable for name in ("arm", "factor", "variable", "quantile", "time") if name in raw}
    for index, name in enumerate(raw["parameter"].to_numpy()):
        coords[str(name)] = raw["parameters"].isel(parameter=index).variable
    import xarray as xr

    finished = journal.finished()
    if finished is not None:
        check_finished(folder, contents=False)
    failed = {} if finished is None else finished["failed"]
    attrs = {
        **raw.attrs,
        "complete": finished is not None,
        "failed": sum(sum(counts.values()) for counts in failed.values()),
    }
    return xr.Dataset(variables, coords, attrs)
