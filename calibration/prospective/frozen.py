"""Predictions that can no longer change: what was predicted, by what, when, and a hash over all of it.

The hash is SHA-256 over the description (canonical JSON, the time included) and every array (name, shape, values as
little-endian float64 or UTF-8). It does not depend on the file format. A hash inside the file only shows that the
file is in one piece; that the predictions are older than the readings is shown by a copy of the hash in other hands,
for instance a preregistration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from calibration.optimise.archive import read_archive, write_archive
from twin.errors import ProblemError

KIND = "frozen predictions"
KEYS = ("experiment", "subject", "observable", "time")
_PER_DRAW = ("value", "scale", "reading")
_PER_ROW = ("sigma", "limit")


@dataclass(frozen=True, eq=False)
class Frozen:
    """Predictions of readings that nobody has seen yet.

    Args:
        design: What is predicted, a row each: experiment, subject, observable, time [time unit of the description].
        value: Noise-free predictions, natural scale, a row per draw.
        scale: Scale of the noise model for each of them.
        reading: New readings, noise included, natural scale.
        sigma: Standard deviation of the measurement noise, score scale: what the floor is made of.
        limit: Detection limit of each row, natural scale; minus infinity where there is none.
        baselines: Predictive draws of curves through the training readings, score scale, by name.
        about: Everything else that has to be known, in JSON's types: see `calibration.prospective.freeze`.
    """

    design: pd.DataFrame
    value: Float[np.ndarray, "draw row"]
    scale: Float[np.ndarray, "draw row"]
    reading: Float[np.ndarray, "draw row"]
    sigma: Float[np.ndarray, " row"]
    limit: Float[np.ndarray, " row"]
    baselines: Mapping[str, Float[np.ndarray, "draw row"]]
    about: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """The hash of everything above, in hexadecimal."""
        digest = hashlib.sha256(f"{KIND} 1\n{_canonical(self.about)}\n".encode())
        arrays: dict[str, np.ndarray] = {f"design {name}": self.design[name].to_numpy() for name in KEYS}
        arrays |= {name: getattr(self, name) for name in (*_PER_DRAW, *_PER_ROW)}
        arrays |= {f"baseline {name}": draws for name, draws in self.baselines.items()}
        for name in sorted(arrays):
            digest.update(f"{name} {arrays[name].shape}\n".encode())
            digest.update(_bytes(arrays[name]))
        return digest.hexdigest()

    def save(self, path: str | PathLike[str]) -> str:
        """Write one netCDF file and return the hash.

        Raises:
            ProblemError: the file cannot be written.
        """
        sha256 = self.sha256
        write_archive(self._dataset(sha256), path)
        return sha256

    def _dataset(self, sha256: str) -> xr.Dataset:
        data: dict[str, Any] = {name: (("draw", "row"), getattr(self, name)) for name in _PER_DRAW}
        data |= {name: ("row", getattr(self, name)) for name in _PER_ROW}
        data |= {f"baseline {name}": (("baseline_draw", "row"), draws) for name, draws in self.baselines.items()}
        coords: dict[str, Any] = {name: ("row", self.design[name].to_numpy().astype(str)) for name in KEYS[:-1]}
        coords["time"] = ("row", self.design["time"].to_numpy(dtype=float))
        return xr.Dataset(data, coords, {"kind": KIND, "about": _canonical(self.about), "sha256": sha256})

    @classmethod
    def load(cls, path: str | PathLike[str], sha256: str | None = None) -> Self:
        """Read the file and check that nothing in it has changed.

        Args:
            path: The file that `save` wrote.
            sha256: The hash as it was published; default the one in the file.

        Raises:
            ProblemError: it is no such file, or it is not what was frozen.
        """
        ds = read_archive(path, KIND)
        try:
            about = json.loads(ds.attrs["about"])
            design = pd.DataFrame({name: ds[name].to_numpy() for name in KEYS})
            frozen = cls(
                design=design.astype(dict.fromkeys(KEYS[:-1], str)),
                about=about,
                baselines={
                    str(name).removeprefix("baseline "): values.to_numpy()
                    for name, values in ds.data_vars.items()
                    if str(name).startswith("baseline ")
                },
                **{name: ds[name].to_numpy() for name in (*_PER_DRAW, *_PER_ROW)},
            )
            inside = str(ds.attrs["sha256"])
        except (KeyError, ValueError) as error:
            raise ProblemError(f"a part of it is missing ({error})", where=str(path), expected=f"{KIND}") from error
        found = frozen.sha256
        if found != inside:
            raise ProblemError(
                f"the contents have the hash {found[:16]}…, the file says {inside[:16]}…",
                where=str(path),
                expected="predictions as they were frozen",
                fix="take the original file: this one was changed or damaged after it was written",
            )
        if sha256 is not None and found != sha256.strip().lower():
            raise ProblemError(
                f"these predictions have the hash {found[:16]}…, asked for was {sha256.strip()[:16]}…",
                where=str(path),
                fix="take the file whose hash was published: this one was frozen at "
                f"{frozen.about.get('frozen_at', 'another time')}",
            )
        return frozen

    def quantiles(self) -> pd.DataFrame:
        """The design with quantiles of a new reading, natural scale: q05, q25, q50, q75, q95."""
        shares = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
        return self.design.assign(**{name: np.quantile(self.reading, q, axis=0) for name, q in shares.items()})

    def __repr__(self) -> str:
        return (
            f"Frozen({self.about.get('problem')!r}: {len(self.design)} readings by {len(self.reading)} draws, "
            f"frozen {self.about.get('frozen_at')}, sha256 {self.sha256[:16]}…)"
        )


def _canonical(about: Mapping[str, Any]) -> str:
    return json.dumps(about, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _bytes(values: np.ndarray) -> bytes:
    if values.dtype.kind == "f":
        # One bit pattern for every NaN and for both zeros.
        return np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8").tobytes()
    return "\x1f".join(map(str, values.ravel())).encode("utf-8")
