"""The store of a scenario: a zarr folder with a file per array, arm and chunk of patients; see `docs/scenarios.md`.

Chunks are uncompressed and in little-endian order, so that a file's bytes are those of its numbers and nothing else:
the same whenever, in whatever order and by whichever version of zarr they are written.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twin.cohort.bands import Quantiles
from twin.errors import LibraryError, StoreError
from twin.experiment.show import as_lines
from twin.scenario.durable import PART, checksum, checksum_of, plain_faults, write_whole
from twin.scenario.formulas import NO, UNKNOWN, YES
from twin.scenario.scenario import FORMAT, Scenario
from twin.simulation import unit_of
from twin.solve.nodes import OK, REASONS

FOLDER = "endpoints.zarr"
NEVER_RUN = -1
"""Status of patients whose chunk is not there yet."""

_META = "zarr.json"


@dataclass(frozen=True)
class Spec:
    """One array that comes in chunks of patients.

    Args:
        dims: Its dimensions; the last is "patient".
        dtype: Type of its numbers.
        fill: What stands where nothing was written.
        attrs: Attributes.
    """

    dims: tuple[str, ...]
    dtype: str
    fill: float
    attrs: Mapping[str, object]


class Store:
    """The arrays of a scenario.

    Args:
        folder: The folder of the run.
        scenario: What is run.
        width: Patients of a chunk.
    """

    def __init__(self, folder: Path, scenario: Scenario, width: int) -> None:
        self.path, self.scenario, self.width = folder / FOLDER, scenario, width
        self.chunks = math.ceil(scenario.cohort.size / width)
        self.sizes = {
            "arm": len(scenario.all_arms),
            "endpoint": len(scenario.measure_names),
            "criterion": len(scenario.responders),
            "parameter": len(scenario.parameter_names),
            "patient": scenario.cohort.size,
        }
        meaning = {OK: "simulated", **REASONS, NEVER_RUN: "not run yet"}
        answers = {YES: "yes", NO: "no", UNKNOWN: "unknown: an endpoint is not a number"}
        self.specs = {
            "values": Spec(("arm", "endpoint", "patient"), "<f8", math.nan, {}),
            "status": Spec(("arm", "patient"), "|i1", NEVER_RUN, _flags(meaning)),
            "responder": Spec(("arm", "criterion", "patient"), "|i1", UNKNOWN, _flags(answers)),
            "parameters": Spec(("parameter", "patient"), "<f8", math.nan, {}),
        }
        if not scenario.responders:
            del self.specs["responder"]

    def file(self, array: str, arm: int, chunk: int) -> Path:
        """The file of a chunk."""
        places = [arm if dim == "arm" else chunk if dim == "patient" else 0 for dim in self.specs[array].dims]
        return self.path.joinpath(array, "c", *map(str, places))

    def files_of(self, arm: int, chunk: int) -> dict[str, Path]:
        """Files that the work on a chunk of an arm writes; what does not depend on the arm comes with the first."""
        return {n: self.file(n, arm, chunk) for n, spec in self.specs.items() if arm == 0 or "arm" in spec.dims}

    def prepare(self) -> None:
        """Make, or put right, everything that is known beforehand; remove what does not belong to the store.

        Raises:
            LibraryError: The package zarr is not installed.
            StoreError: It cannot be written.
        """
        skeleton = self.path.with_name(f"{FOLDER}{PART}")
        with plain_faults(self.path):
            shutil.rmtree(skeleton, ignore_errors=True)
            self._make(skeleton)
            wanted = {path.relative_to(skeleton): path for path in skeleton.rglob("*") if path.is_file()}
            for name, source in wanted.items():
                content = source.read_bytes()
                target = self.path / name
                if checksum_of(target) != checksum(content):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(target, content)
            shutil.rmtree(skeleton)
            for name, spec in self.specs.items():
                for arm in range(self.sizes["arm"]) if "arm" in spec.dims else (0,):
                    self.file(name, arm, 0).parent.mkdir(parents=True, exist_ok=True)

    def strays(self) -> Iterator[Path]:
        """Files that a kill may have left behind."""
        return self.path.rglob(f"*{PART}")

    def _make(self, path: Path) -> None:
        try:
            import zarr
        except ImportError:
            fix = "pip install 'cytotwin[cohort]'"
            raise LibraryError("the store of a scenario needs the package zarr", fix=fix) from None
        scenario = self.scenario
        group = zarr.create_group(store=path, zarr_format=3, attributes=self._attributes())
        labels = {
            "arm": scenario.arm_names,
            "endpoint": scenario.measure_names,
            "criterion": tuple(scenario.responders),
            "parameter": scenario.parameter_names,
            "factor": self.factors,
            "unit": tuple(scenario.units[name] for name in scenario.measure_names),
        }
        for name, values in labels.items():
            if values:
                dims = ("endpoint" if name == "unit" else name,)
                array = group.create_array(name=name, shape=(len(values),), dtype=str, dimension_names=dims)
                array[...] = np.array(values)
        self._put(group, "time", ("time",), scenario.sampled, {"units": scenario.model.time_unit})
        if self.factors:
            self._put(group, "level", ("arm", "factor"), self._levels(), {})
        for name, spec in self.specs.items():
            shape = tuple(self.sizes[dim] for dim in spec.dims)
            chunks = tuple(
                1 if dim == "arm" else self.width if dim == "patient" else size
                for dim, size in zip(spec.dims, shape, strict=True)
            )
            group.create_array(
                name=name, shape=shape, dtype=spec.dtype, chunks=chunks, fill_value=spec.fill, compressors=None,
                dimension_names=spec.dims, attributes=dict(spec.attrs),
            )  # fmt: skip
        self._make_bands(group)

    def _make_bands(self, group) -> None:
        bands = self.scenario.bands
        if bands is None:
            return
        names = tuple(bands.variables or ())
        array = group.create_array(name="variable", shape=(len(names),), dtype=str, dimension_names=("variable",))
        array[...] = np.array(names)
        self._put(group, "quantile", ("quantile",), np.array(bands.levels), {})
        units = {name: unit_of(self.scenario.model, name) for name in names}
        shape = (self.sizes["arm"], len(names), len(bands.levels), len(self.scenario.sampled))
        dims = ("arm", "variable", "quantile", "time")
        about = {"long_name": "largest possible error of the share of patients below the quantile"}
        for name, attrs in (("band", {"unit_of_variable": units}), ("band_rank_error", about)):
            group.create_array(
                name=name, shape=shape, dtype="<f8", chunks=(1, *shape[1:]), fill_value=math.nan, compressors=None,
                dimension_names=dims, attributes=attrs,
            )  # fmt: skip

    @staticmethod
    def _put(group, name: str, dims: tuple[str, ...], values: np.ndarray, attrs: dict) -> None:
        array = group.create_array(
            name=name, shape=values.shape, dtype="<f8", compressors=None, dimension_names=dims, attributes=attrs
        )
        array[...] = values

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of all factors."""
        return tuple(dict.fromkeys(name for arm in self.scenario.all_arms for name in arm.levels))

    def _levels(self) -> np.ndarray:
        """Level of each factor in each arm; NaN where an arm leaves the patients' own values."""
        return np.array([[arm.levels.get(n, math.nan) for n in self.factors] for arm in self.scenario.all_arms])

    def _attributes(self) -> dict[str, object]:
        scenario = self.scenario
        return {
            "format": FORMAT,
            "scenario": scenario.name,
            "fingerprint": scenario.fingerprint,
            "model": scenario.model.name,
            "model_fingerprint": scenario.model.fingerprint,
            "cohort_fingerprint": scenario.cohort.fingerprint,
            "reference": scenario.reference_name,
            "experiments": self._experiments(),
            "endpoints": {name: item.formula for name, item in scenario.endpoints.items()},
            "derived": dict(scenario.derived),
            "responders": dict(scenario.responders),
            "solver": scenario.solver,
            "rtol": scenario.rtol,
            "atol": scenario.atol,
            "max_steps": scenario.max_steps,
            "precision": scenario.precision,
            "seed": int(scenario.seed),
            "cohort_seed": scenario.cohort.seed,
        }

    def _experiments(self) -> dict[str, list[str]]:
        """What is done in words, by arm where arms have an experiment of their own; "" stands for the others."""
        every = {"": self.scenario.experiment, **self.scenario.experiments}
        return {name: as_lines(experiment) for name, experiment in every.items()}

    def write(self, arm: int, chunk: int, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Write a chunk of an arm to the disk.

        Args:
            arm: Index of the arm.
            chunk: Index of the chunk.
            arrays: By name; the last axis are the patients of the chunk.

        Returns:
            Checksum of each file.

        Raises:
            StoreError: It cannot be written.
        """
        found = {}
        for name, path in self.files_of(arm, chunk).items():
            content = self._content(name, arrays[name])
            write_whole(path, content)
            found[name] = checksum(content)
        return found

    def _content(self, name: str, values: np.ndarray) -> bytes:
        """The bytes of a chunk; the last one is filled up."""
        spec = self.specs[name]
        whole = np.full((*values.shape[:-1], self.width), spec.fill, dtype=spec.dtype)
        whole[..., : values.shape[-1]] = values
        return whole.tobytes()

    def band_file(self, name: str, arm: int) -> Path:
        """The file of the bands of an arm."""
        return self.path.joinpath(name, "c", str(arm), "0", "0", "0")

    def write_bands(self, arm: int, quantiles: Quantiles) -> None:
        """Write the bands of an arm."""
        results = quantiles.results()
        for name, part in (("band", "quantile"), ("band_rank_error", "rank_error")):
            values = np.stack([results[f"{variable}_{part}"] for variable in quantiles.names])
            path = self.band_file(name, arm)
            with plain_faults(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, values.astype("<f8").tobytes())

    def intact(self, arm: int, chunk: int, sums: Mapping[str, str]) -> bool:
        """Whether the files of a chunk are there and have these checksums.

        Raises:
            StoreError: They cannot be read.
        """
        files = self.files_of(arm, chunk)
        with plain_faults(self.path, "read"):
            return set(sums) == set(files) and all(checksum_of(path) == sums[name] for name, path in files.items())


def _flags(meaning: Mapping[int, str]) -> dict[str, object]:
    """Codes and their meaning, as CF has them but for the blanks."""
    return {"flag_values": list(meaning), "flag_meanings": list(meaning.values())}


NEEDED = ("arm", "endpoint", "unit", "parameter", "time", "values", "status", "parameters")
"""Arrays that every store has."""


def open_store(folder: Path):
    """The raw arrays of a store as a dataset; values are read when they are used.

    Raises:
        StoreError: There is none, or it cannot be read.
    """
    import xarray as xr

    path = folder / FOLDER
    if not (path / _META).is_file():
        raise StoreError("no scenario was run into it", where=str(folder), fix="twin scenario run FILE --out FOLDER")
    try:
        # Format 3 alone: that has no codec which unpickles.
        raw = xr.open_zarr(
            path, consolidated=False, chunks=None, decode_times=False, mask_and_scale=False, zarr_format=3
        )
        if missing := [name for name in NEEDED if name not in raw]:
            raise KeyError(f"there is no array {missing[0]!r}")
        return raw
    except (OSError, ValueError, KeyError) as error:
        said = f"the store cannot be read ({error})"
        raise StoreError(said, where=str(path), fix="resume: what is damaged is made again") from error
