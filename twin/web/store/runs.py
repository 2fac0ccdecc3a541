"""Finished runs that are shown, and what pages need of them, computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from twin.errors import ScenarioError, StoreError
from twin.scenario.between import compare_runs, same_patients
from twin.scenario.compare import compare_dataset, measures
from twin.scenario.integrity import check_finished
from twin.scenario.journal import Journal
from twin.scenario.results import open_scenario
from twin.scenario.run import Status, status_of
from twin.scenario.store import FOLDER
from twin.solve.nodes import OK, REASONS

if TYPE_CHECKING:
    import pandas as pd

MOST_RUNS = 6
LEVELS = np.linspace(0.0, 1.0, 401)
"""Levels of the quantiles by which a distribution is drawn."""
MOST_KEPT = 2000
"""Computed parts that are kept, each some kB."""
CHECKED_FOR = 2.0
"""Seconds for which files that were there are taken to be there still."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """An endpoint over the patients of an arm who have a value.

    Args:
        quantiles: At `LEVELS`; infinite where patients are.
        known: Number of patients with a value.
    """

    quantiles: Float[np.ndarray, " level"]
    known: int

    @property
    def finite(self) -> Float[np.ndarray, " some"]:
        """Quantiles that are finite."""
        return self.quantiles[np.isfinite(self.quantiles)]


@dataclass(frozen=True, eq=False)
class Failure:
    """Patients of an arm that failed in one way.

    Args:
        arm: The arm.
        reason: Why.
        patients: Their numbers, from 0.
    """

    arm: str
    reason: str
    patients: Int[np.ndarray, " failed"]


class Run:
    """A finished run.

    Args:
        folder: Its folder, or the zarr folder in it.

    Raises:
        ScenarioError: No scenario was run there, or the run is not complete.
        StoreError: It cannot be read, a file is missing, or one lies elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.parent if folder.name == FOLDER else folder
        self.status = _complete(self.folder)
        _refuse_links(self.folder)
        self.ds = open_scenario(self.folder)
        self.arms = tuple(map(str, self.ds["arm"].to_numpy()))
        self.reference = str(self.ds.attrs["reference"])
        self.endpoints, self.criteria = map(tuple, measures(self.ds))
        self.outputs = tuple(map(str, self.ds["variable"].to_numpy())) if "band" in self.ds else ()
        self.label = self.status.name
        self._kept: dict[Hashable, Any] = {}
        self._lock = RLock()  # files are made in other threads than pages
        self._checked = -np.inf

    @property
    def attrs(self) -> Mapping[str, Any]:
        """What the store says about the run."""
        return self.ds.attrs

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that began the run; empty for a run that is older than this note."""
        found = (Journal(self.folder).header() or {}).get("versions", {})
        return found if isinstance(found, dict) else {}

    @property
    def patients(self) -> int:
        """Number of patients."""
        return int(self.ds.sizes["patient"])

    @property
    def times(self) -> Float[np.ndarray, " time"]:
        """Sample times of the bands."""
        return self._once("times", lambda: self.ds["time"].to_numpy())

    @property
    def time_unit(self) -> str:
        """Unit of time."""
        return str(self.ds["time"].attrs.get("units", "")) if "time" in self.ds.coords else ""

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the bands."""
        return self._once("levels", lambda: tuple(map(float, self.ds["quantile"].to_numpy())))

    def unit(self, name: str) -> str:
        """Unit of an output or an endpoint; empty where it is unknown."""
        if name in self.outputs:
            return str(self.ds["band"].attrs.get("unit_of_variable", {}).get(name, ""))
        return str(self.ds[name].attrs.get("units", ""))

    def definition(self, name: str) -> str:
        """Formula of an endpoint or a criterion; empty for an endpoint of a store that does not say it."""
        parts = (self.attrs.get(key, {}) for key in ("endpoints", "derived", "responders"))
        return str(next((part[name] for part in parts if name in part), ""))

    def band(self, output: str, arm: str) -> Float[np.ndarray, "quantile time"]:
        """Quantiles of an output over the patients of an arm."""
        place = self.outputs.index(output), self.arms.index(arm)
        array = self.ds["band"]
        return self._once(("band", *place), lambda: array.isel(variable=place[0], arm=place[1]).to_numpy())

    def distribution(self, endpoint: str, arm: str) -> Distribution:
        """An endpoint over the patients of an arm."""

        def found() -> Distribution:
            known = self._values(endpoint, arm)
            quantiles = (
                np.quantile(known, LEVELS, method="inverted_cdf") if len(known) else np.full(len(LEVELS), np.nan)
            )
            return Distribution(quantiles, len(known))

        return self._once(("distribution", endpoint, arm), found)

    def histogram(self, endpoint: str, arm: str, edges: tuple[float, ...]) -> Float[np.ndarray, " bin"]:
        """Shares of the patients with a value that lie in bins; infinite values lie in none."""

        def found() -> np.ndarray:
            known = self._values(endpoint, arm)
            return np.histogram(known[np.isfinite(known)], edges)[0] / max(len(known), 1)

        return self._once(("histogram", endpoint, arm, edges), found)

    def compared(self, reference: str, name: str, arms: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Rows of `twin.scenario.compare.compare_arms`, of one endpoint or criterion, by arm."""
        keys = {arm: ("compared", reference, name, arm) for arm in arms}
        with self._lock:
            found = {arm: self._kept[key] for arm, key in keys.items() if key in self._kept}
            if missing := [arm for arm in arms if arm not in found]:
                self.check_files()
                frames = compare_dataset(self.ds, reference, (name,), missing)
                for row in next(frame for frame in frames if len(frame)).to_dict("records"):
                    found[str(row["arm"])] = {str(key): value for key, value in row.items()}
                for arm in missing:
                    self._keep(keys[arm], found[arm])
        return {arm: found[arm] for arm in arms}

    def tables(self, reference: str, arms: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of `twin.scenario.compare.compare_arms` for some arms, of all endpoints and all criteria."""
        self.check_files()
        return compare_dataset(self.ds, reference, shown=arms)

    def failures(self) -> tuple[Failure, ...]:
        """Patients that failed, by arm and reason."""

        def found() -> tuple[Failure, ...]:
            listed = []
            for index, arm in enumerate(self.arms):
                status = self.ds["status"].isel(arm=index).to_numpy()
                for code in sorted(set(status[status != OK].tolist())):
                    reason = REASONS.get(code, f"status {code}")
                    listed.append(Failure(arm, reason, np.flatnonzero(status == code)))
            return tuple(listed)

        return self._once("failures", found)

    def _values(self, endpoint: str, arm: str) -> np.ndarray:
        values = self.ds[endpoint].isel(arm=self.arms.index(arm)).to_numpy()
        return values[~np.isnan(values)]

    def _once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made, or is made now from files that are there: a missing one would be read as failed patients."""
        with self._lock:
            if key not in self._kept:
                self.check_files()
                self._keep(key, make())
            return self._kept[key]

    def _keep(self, key: Hashable, made: Any) -> None:
        """Keep what was made, in the place of the oldest if there is much."""
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = made

    def check_files(self) -> None:
        """Refuse to read on when a file has gone.

        Raises:
            StoreError: A file is missing.
        """
        if time.monotonic() - self._checked > CHECKED_FOR:
            check_finished(self.folder, contents=False)
            self._checked = time.monotonic()


def _refuse_links(folder: Path) -> None:
    """Refuse a folder by which files elsewhere would be read.

    Raises:
        StoreError: Something in it links to a place outside.
    """
    inside = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            found, fix = "it links to something outside the folder of the run", "copy what it links to into its place"
            raise StoreError(found, where=str(path), fix=fix)


def _complete(folder: Path) -> Status:
    status = status_of(folder)
    if not status.complete:
        done, total = sum(status.done), status.chunks * len(status.arms)
        found = f"the run is not complete: {total - done} of {total} chunks are missing"
        fix = "wait for it" if status.running else f"twin scenario resume {folder}"
        raise ScenarioError(found, where=str(folder), expected="a finished run", fix=fix)
    return status


class Runs(Sequence[Run]):
    """The runs of a page, the first of which others are compared with.

    Args:
        folders: Their folders.

    Raises:
        ScenarioError: Too many, one twice, or one that is not complete.
        StoreError: One cannot be read, or a file is missing or damaged.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        if not 1 <= len(folders) <= MOST_RUNS:
            raise ScenarioError(f"{len(folders)} stores", where="twin serve", expected=f"1 to {MOST_RUNS}")
        self._runs = tuple(Run(folder) for folder in folders)
        if len({run.folder.resolve() for run in self._runs}) < len(self._runs):
            raise ScenarioError("a store is named twice", where="twin serve", fix="name it once")
        for run in self._runs:
            check_finished(run.folder, contents=True)
        names = [run.label for run in self._runs]
        for place, run in enumerate(self._runs, start=1):
            if names.count(run.label) > 1:
                run.label = f"{run.label} ({place})"
        self._lock = RLock()
        self._between: dict[tuple, tuple[pd.DataFrame, pd.DataFrame]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, place: Any) -> Any:
        return self._runs[place]

    @property
    def series(self) -> tuple[tuple[int, str], ...]:
        """Every arm as the place of its run and its name."""
        return tuple((place, arm) for place, run in enumerate(self._runs) for arm in run.arms)

    def title(self, place: int, arm: str) -> str:
        """What an arm is called on the page."""
        return arm if len(self) == 1 else f"{arm} · {self[place].label}"

    def paired(self, place: int) -> bool:
        """Whether a run has the patients of the first."""
        return same_patients(self[0].ds, self[place].ds)

    def between(self, place: int, arm: str, against: str, name: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """An arm of a run against one of the first run: the tables of `twin.scenario.between.compare_runs`."""
        key = (place, arm, against, name)
        with self._lock:
            if key not in self._between:
                for run in (self[0], self[place]):
                    run.check_files()
                names = None if name is None else (name,)
                made = compare_runs(self[0].ds, self[place].ds, {arm: against}, names)
                if len(self._between) >= MOST_KEPT:
                    del self._between[next(iter(self._between))]
                self._between[key] = made
            return self._between[key]
