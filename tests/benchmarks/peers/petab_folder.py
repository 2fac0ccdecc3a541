"""PEtab problems of a folder and vectors of their estimated parameters, on the scales of the parameter table."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

SPREAD = 0.05
"""Standard deviation of the perturbation of vectors, on the scale of estimation."""
FORWARD = {"lin": float, "log": math.log, "log10": math.log10, "": float}


@dataclass(frozen=True)
class Parameter:
    """An estimated parameter, on the scale on which it is estimated."""

    name: str
    scale: str
    nominal: float
    lower: float
    upper: float


def petab_files(folder: Path, only: list[str]) -> dict[str, Path]:
    """YAML files by problem, those named only or all."""
    files = {path.parent.name: path for path in sorted(folder.glob("*/*.yaml"))}
    return {name: path for name, path in files.items() if not only or name in only}


def table_rows(path: Path, key: str) -> list[dict[str, str]]:
    """Rows of a table that the YAML file names: "parameter_file", "condition_files", "measurement_files"."""
    described = yaml.safe_load(path.read_text())
    names = described["parameter_file"] if key == "parameter_file" else described["problems"][0][key]
    rows = []
    for name in [names] if isinstance(names, str) else names:
        with (path.parent / name).open(newline="") as file:
            rows += csv.DictReader(file, delimiter="\t")
    return rows


def model_file(path: Path) -> Path:
    """The SBML model of a problem of version 1."""
    return path.parent / yaml.safe_load(path.read_text())["problems"][0]["sbml_files"][0]


def estimated_parameters(path: Path) -> list[Parameter]:
    """Estimated parameters of a problem, in the order of its table."""
    found = []
    for row in table_rows(path, "parameter_file"):
        if int(float(row["estimate"])) == 1:
            scale = row.get("parameterScale") or "lin"
            bounds = (_on(scale, row[name]) for name in ("nominalValue", "lowerBound", "upperBound"))
            found.append(Parameter(row["parameterId"], scale, *bounds))
    return found


def _on(scale: str, text: str) -> float:
    value = float(text) if text else math.nan
    return -math.inf if scale != "lin" and value == 0 else FORWARD[scale](value)


def vectors_beside(path: Path, count: int, seed: int = 0) -> list[dict[str, float]]:
    """The nominal vector and others near it, inside the bounds: {name: value on the scale of estimation}."""
    parameters, generator = estimated_parameters(path), np.random.default_rng(seed)
    vectors = [{entry.name: entry.nominal for entry in parameters}]
    for _ in range(count - 1):
        vector = {}
        for entry in parameters:
            # On a linear scale the size of the parameter is that of its perturbation.
            width = SPREAD * (abs(entry.nominal) if entry.scale == "lin" else 1.0)
            moved = entry.nominal + width * generator.standard_normal()
            vector[entry.name] = float(np.clip(moved, entry.lower, entry.upper))
        vectors.append(vector)
    return vectors
