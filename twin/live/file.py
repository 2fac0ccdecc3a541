"""A twin as one netCDF file, the mechanism included: no pickle, a hash over the contents, checks at reading."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from twin.errors import ProblemError, TwinError
from twin.live.basis import Basis
from twin.live.records import as_record, from_record
from twin.model.model import Model

if TYPE_CHECKING:
    from twin.live.ensemble import Twin

KIND, FORMAT = "living twin", 1
WORDS, NUMBERS = ("experiment", "subject", "observable", "censoring"), ("time", "value", "noise", "upper")


def save(twin: Twin, path: str | PathLike[str]) -> str:
    """Write the file whole or not at all; see `Twin.save`."""
    ds = _dataset(twin)
    sha256 = _hash(ds)
    ds.attrs |= {"kind": KIND, "format": FORMAT, "sha256": sha256}
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        ds.to_netcdf(part, engine="h5netcdf")
        part.replace(path)
    except OSError as error:
        raise ProblemError(
            f"the file cannot be written ({error.strerror or error})", where=str(path), expected="a writable folder"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return sha256


def _dataset(twin: Twin) -> xr.Dataset:
    ensemble, table = twin.ensemble, twin.readings
    about = {
        "basis": {item.name: as_record(getattr(twin.basis, item.name)) for item in dataclasses.fields(Basis)},
        "fingerprint": twin.model.fingerprint,
        "log": [dict(record) for record in twin.log],
        "scales": list(ensemble.scales),
    }
    data: dict[str, Any] = {
        # Scalars, not attributes: HDF5 keeps no attribute of more than 64 kB.
        "about": ((), json.dumps(about, sort_keys=True, ensure_ascii=True)),
        "theta": (("draw", "entry"), ensemble.theta),
        "log_weight": ("draw", ensemble.log_weights),
        "value": (("parameter", "series", "draw"), np.stack(list(ensemble.values.values()))),
    }
    data |= {f"reading_{name}": ("reading", table[name].to_numpy().astype(str)) for name in WORDS}
    data |= {f"reading_{name}": ("reading", table[name].to_numpy(dtype=float)) for name in NUMBERS if name in table}
    coords = {"entry": list(ensemble.names), "parameter": list(ensemble.values)}
    return xr.Dataset(data, coords)


def load(
    path: str | PathLike[str], model: Model | None = None
) -> tuple[Basis, dict[str, Any], pd.DataFrame, tuple[dict[str, Any], ...]]:
    """The parts of a twin; see `Twin.load`."""
    ds, where = _open(Path(path)), str(path)
    if _hash(ds) != ds.attrs.get("sha256"):
        raise ProblemError(
            "its contents do not have the hash that it says",
            where=where,
            expected="a twin as it was saved",
            fix="take a copy: this file was changed or damaged after it was written",
        )
    try:
        about = json.loads(str(ds["about"].item()))
        log = tuple(about["log"])
        basis = Basis(**{name: from_record(each, where) for name, each in about["basis"].items()})
        names = [f"reading_{name}" for name in (*WORDS, *NUMBERS)]
        table = pd.DataFrame({n.removeprefix("reading_"): ds[n].to_numpy() for n in names if n in ds})
        ensemble = {
            "names": tuple(map(str, ds["entry"].to_numpy())),
            "scales": tuple(about["scales"]),
            "theta": ds["theta"].to_numpy(),
            "log_weights": ds["log_weight"].to_numpy(),
            "values": {str(name): ds["value"].sel(parameter=name).to_numpy() for name in ds["parameter"].to_numpy()},
        }
    except TwinError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        raise ProblemError(f"a part of it is missing or unreadable ({error})", where=where, expected=KIND) from error
    _check_model(basis.model, about["fingerprint"], model, where)
    order = ["experiment", "subject", "observable", "time", "value", "noise", "censoring", "upper"]
    table = table[[name for name in order if name in table]]
    return basis, ensemble, table.astype(dict.fromkeys(WORDS, object)), log


def _check_model(found: Model, fingerprint: str, expected: Model | None, where: str) -> None:
    if found.fingerprint != fingerprint:
        raise ProblemError(
            f"the model {found.name!r} reads as {found.fingerprint[:16]}…, and was saved as {fingerprint[:16]}…",
            where=where,
            fix="read it with the version of cytotwin that wrote it",
        )
    if expected is not None and expected.fingerprint != fingerprint:
        same = "another version of it" if expected.name == found.name else "another model"
        raise ProblemError(
            f"the twin is of the model {found.name!r} ({fingerprint[:16]}…), asked for was {same}, "
            f"{expected.name!r} ({expected.fingerprint[:16]}…)",
            where=where,
            fix="leave model= out to take the mechanism in the file, or calibrate a twin of the other",
        )


def _open(path: Path) -> xr.Dataset:
    expected = f"a file of kind {KIND!r}, which Twin.save wrote"
    if not path.is_file():
        raise ProblemError("there is no such file", where=str(path), expected=expected)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            ds = opened.load()
    except (OSError, ValueError, KeyError) as error:
        raise ProblemError("it is no netCDF file", where=str(path), expected=expected) from error
    if ds.attrs.get("kind") != KIND:
        raise ProblemError(f"it holds {ds.attrs.get('kind', 'something else')!r}", where=str(path), expected=expected)
    if ds.attrs.get("format") != FORMAT:
        raise ProblemError(
            f"it is of format {ds.attrs.get('format')}",
            where=str(path),
            expected=f"format {FORMAT}",
            fix="read it with the version of cytotwin that wrote it",
        )
    return ds


def _hash(ds: xr.Dataset) -> str:
    """SHA-256 of every array: name, shape, and values as little-endian float64 or UTF-8."""
    digest = hashlib.sha256()
    for name in sorted(map(str, ds.variables)):
        values = ds[name].to_numpy()
        digest.update(f"{name} {values.shape}\n".encode())
        if values.dtype.kind == "f":
            # One bit pattern for every NaN and for both zeros.
            digest.update(np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8").tobytes())
        else:
            digest.update("\x1f".join(map(str, values.ravel())).encode("utf-8"))
    return digest.hexdigest()
