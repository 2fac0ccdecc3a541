"""A posterior file, as ``twin calibrate`` writes it: draws of parameters and the readings behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from twin.errors import ExperimentError

if TYPE_CHECKING:
    import xarray as xr

    from twin.model.model import Model

_OF_GROUP = re.compile(r"(?P<name>\w+)\[(?P<group>.+)\]")
_EXPECTED = "the posterior.nc of twin calibrate"


@dataclass(frozen=True)
class Posterior:
    """Draws on the linear scale, chains one after the other.

    Args:
        path: The file.
        columns: Draws by name of the entry, as `calibration.sample` names them.
        readings: Columns experiment, subject, observable, time, value and censoring; may be empty.
        attrs: What the file says about itself.
    """

    path: Path
    columns: Mapping[str, Float[np.ndarray, " draw"]]
    readings: pd.DataFrame
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of draws."""
        return len(next(iter(self.columns.values())))

    @property
    def model(self) -> str:
        """Name of the calibrated model."""
        return str(self.attrs.get("model", ""))

    def of_groups(self, name: str, suffix: str = "") -> dict[str, str]:
        """Entries of a parameter that has one per subject or experiment, by that: ``ka[3]``, or ``ka_eta[3]``."""
        found = {}
        for entry in self.columns:
            match = _OF_GROUP.fullmatch(entry)
            if match is not None and match["name"] == name + suffix:
                found[match["group"]] = entry
        return found


def read_posterior(path: Path) -> Posterior:
    """Read draws and readings; numbers and text only, so nothing in the file can run.

    Raises:
        ExperimentError: No such file, another format, no posterior, or draws that are not finite.
    """
    import xarray as xr

    where = str(path.name)
    if not path.is_file():
        raise ExperimentError("there is no such file", where=where, expected=_EXPECTED)
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            attrs = dict(tree.attrs)
            if "posterior" not in tree.children:
                raise ExperimentError(
                    f"it has the groups {', '.join(tree.children) or 'none'}", where=where, expected=_EXPECTED
                )
            columns = _columns(tree["posterior"].to_dataset(), where)
            observed = tree["observed_data"].to_dataset() if "observed_data" in tree.children else None
            readings = _readings(observed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ExperimentError):
            raise
        raise ExperimentError(f"it cannot be read ({error})", where=where, expected=_EXPECTED) from error
    return Posterior(path, columns, readings, attrs)


def check_model(posterior: Posterior, model: Model) -> None:
    """Refuse draws of another model.

    Raises:
        ExperimentError: The file was made with a model of another name or content.
    """
    fingerprint = posterior.attrs.get("model_fingerprint")
    if posterior.model != model.name or fingerprint not in (None, model.fingerprint):
        what = "of another name" if posterior.model != model.name else "of the same name, but changed since"
        raise ExperimentError(
            f"its draws belong to the model {posterior.model!r}, {what}",
            where=posterior.path.name,
            expected=f"draws of {model.name!r} as it is now",
            fix="calibrate again, or give the model's own file with --model",
        )


def _columns(group: xr.Dataset, where: str) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, variable in group.data_vars.items():
        if set(variable.dims) != {"chain", "draw"}:
            continue
        values = variable.transpose("chain", "draw").to_numpy()
        if values.dtype.kind not in "fiu" or not values.size or not np.isfinite(values).all():
            raise ExperimentError(
                f"{str(name)!r} is empty or holds something else than finite numbers",
                where=where,
                expected="finite draws",
            )
        found[str(name)] = values.astype(float).ravel()
    if not found:
        raise ExperimentError("no variable has one value per draw", where=where, expected=_EXPECTED)
    return found


def _readings(observed: xr.Dataset | None) -> pd.DataFrame:
    names = ("experiment", "subject", "observable", "time", "censoring")
    if observed is None or "reading" not in observed or not set(names) <= set(observed.coords):
        return pd.DataFrame({name: [] for name in (*names, "value")})
    table = pd.DataFrame({name: observed[name].to_numpy() for name in names})
    table["value"] = observed["reading"].to_numpy().astype(float)
    return table.astype({name: str for name in names if name != "time"} | {"time": float})
