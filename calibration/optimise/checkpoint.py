"""A fit on disk while it runs: the whole state after an iteration, so that it can be continued exactly."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from calibration.optimise.archive import read_archive, write_archive
from calibration.optimise.lanes import State
from calibration.problem import Problem
from twin.errors import ProblemError

KIND = "cytotwin checkpoint of a fit, form 3"
"""Another form for another state: a file of an earlier one is refused by name."""
EVERY = 2.0
"""Seconds between writings; the numbers do not depend on it."""


@dataclass(frozen=True)
class Progressed:
    """How far a fit is.

    Args:
        state: Where the starts stand.
        starts: Where they began.
        redrawn: Starting points that were drawn anew.
        seconds: Wall time so far, in all processes.
        counted: That of this process.
    """

    state: State
    starts: Float[np.ndarray, "start parameter"]
    redrawn: int
    seconds: float
    counted: float


class Checkpoint:
    """The file; without a path nothing is kept.

    Args:
        path: Where it is.
        problem: What is fitted.
        settings: What else the numbers depend on.
        kind: The type of the state.
        best: Objective that is known from an earlier fit.
        given: Starting vectors of the user.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None,
        problem: Problem,
        settings: Mapping[str, Any],
        kind: type[State],
        best: float,
        given: np.ndarray | None,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.kind, self._last = kind, -np.inf
        if self.path is not None:
            drawn = None if given is None else hashlib.sha256(np.ascontiguousarray(given).tobytes()).hexdigest()
            self.asked = {**description(problem), **settings, "best known": repr(best), "given starts": drawn}

    def read(self) -> Progressed | None:
        """Where the fit stood; None if it has not begun.

        Raises:
            ProblemError: the file is that of another fit; the message says in what they differ.
        """
        if self.path is None or not self.path.exists():
            return None
        ds = read_archive(self.path, KIND)
        had = json.loads(ds.attrs["asked"])
        asked = json.loads(json.dumps(self.asked))
        if different := [name for name in {**had, **asked} if had.get(name) != asked.get(name)]:
            name = different[0]
            raise ProblemError(
                f"the checkpoint is that of another fit: {name} was {_short(had.get(name))} and is now "
                f"{_short(asked.get(name))}",
                where=str(self.path),
                fix="call with the same arguments, or with another file",
            )
        arrays = {field.name: ds[field.name].to_numpy() for field in fields(self.kind)}
        state = self.kind(**{name: x.astype(bool) if x.dtype == np.int8 else x for name, x in arrays.items()})
        return Progressed(state, ds["starts"].to_numpy(), int(ds.attrs["redrawn"]), float(ds.attrs["seconds"]), 0.0)

    def write(self, now: Progressed, *, force: bool = False) -> None:
        """Keep the state, unless one was kept a moment ago."""
        if self.path is None or (not force and time.monotonic() - self._last < EVERY):
            return
        arrays = {field.name: getattr(now.state, field.name) for field in fields(self.kind)} | {"starts": now.starts}
        data = {
            name: ([f"{name}_{axis}" for axis in range(x.ndim)], x.astype(np.int8) if x.dtype == bool else x)
            for name, x in arrays.items()
        }
        attrs = {"kind": KIND, "asked": json.dumps(self.asked), "redrawn": now.redrawn, "seconds": now.seconds}
        write_archive(xr.Dataset(data, attrs=attrs), self.path)
        self._last = time.monotonic()


def description(problem: Problem) -> dict[str, str]:
    """What the problem is, as far as its objective depends on it: hashes, and the solver in words."""
    parts = {
        "model": problem.model.fingerprint,
        "measurements": hashlib.sha256(problem.measurements.table.to_csv(index=False).encode()).hexdigest(),
        "estimates": repr(problem.estimates),
        "noise": repr(problem.noise),
        "experiments": repr(problem.experiments),
        "fixed parameters": repr(sorted(problem.fixed.items())),
        "values by reading": "" if problem.by_reading is None else problem.by_reading.to_csv(index=False),
    }
    solver = {"solver": problem.method.name, "tolerances": repr(problem.tolerance)}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in parts.items()} | solver


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
