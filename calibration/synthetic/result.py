"""`Synthetic`: a labelled cohort with its ground truth, and its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from calibration.synthetic.card import card_text, schema
from twin.commands.files import write_table, write_text, write_tree

if TYPE_CHECKING:
    from twin.measurements import Measurements

SERIES = ["experiment", "subject"]
FILES = ("readings.csv", "parameters.csv", "endpoints.csv", "synthetic.nc", "card.json", "card.md", "schema.json")


@dataclass(frozen=True)
class Synthetic:
    """A synthetic cohort.

    Args:
        measurements: What was read, as a laboratory would hand it over.
        parameters: True values of the estimated parameters, linear scale; a row per experiment and subject.
        endpoints: True endpoints of the courses without noise; a row per experiment, subject and observable.
        trajectories: Courses without noise over (series, observable, time).
        subjects: Source subject, virtual study, batch, batch effect and time of leaving, a row per series.
        card: What it is: model, versions, seed, hashes, process, counts.
    """

    measurements: Measurements
    parameters: pd.DataFrame
    endpoints: pd.DataFrame
    trajectories: xr.DataArray
    subjects: pd.DataFrame
    card: dict[str, Any]

    def to_tree(self) -> xr.DataTree:
        """Everything as one DataTree: readings, truth/parameters, truth/trajectories, truth/endpoints, subjects."""
        readings = self.measurements.table.assign(censoring=lambda t: t["censoring"].astype(str))
        return xr.DataTree.from_dict(
            {
                "/": xr.Dataset(attrs={"card": json.dumps(self.card, sort_keys=True)}),
                "/readings": _dataset(readings, "row"),
                "/subjects": _dataset(self.subjects, "series"),
                "/truth/parameters": _dataset(self.parameters, "series"),
                "/truth/endpoints": _dataset(self.endpoints, "row"),
                "/truth/trajectories": self.trajectories.to_dataset(name="value"),
            }
        )

    def save(self, folder: Path) -> list[Path]:
        """Write readings.csv, parameters.csv, endpoints.csv, synthetic.nc, card.json, card.md and schema.json."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in FILES]
        write_table(self.measurements.table, paths[0])
        write_table(self.parameters, paths[1])
        write_table(self.endpoints, paths[2])
        write_tree(self.to_tree(), paths[3])
        write_text(json.dumps(self.card, indent=2, sort_keys=True) + "\n", paths[4])
        write_text(card_text(self.card), paths[5])
        write_text(json.dumps(schema(self), indent=2) + "\n", paths[6])
        return paths

    def __str__(self) -> str:
        counts = self.card["counts"]
        return (
            f"{self.card['problem']}: {counts['subjects']} virtual subjects in {counts['series']} series, "
            f"{counts['readings']} readings ({counts['censored']} censored, {counts['missed']} missed, "
            f"{counts['after_dropout']} lost to {counts['dropouts']} dropouts), seed {self.card['seed']}"
        )


def _dataset(table: pd.DataFrame, dim: str) -> xr.Dataset:
    columns = {}
    for name in table.columns:
        column = table[name].to_numpy()
        columns[str(name)] = (dim, column.astype(str) if column.dtype.kind in "OUT" else np.asarray(column))
    return xr.Dataset(columns)
