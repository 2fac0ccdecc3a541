"""Readings tied to the simulation: which lane, which sample time and which observable each one belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from twin.compile.system import System
from twin.errors import ProblemError
from twin.experiment.actions import Actions, collect_actions
from twin.experiment.experiment import Experiment


@dataclass(frozen=True)
class Bindings:
    """A table of readings as arrays.

    Args:
        system: The compiled model.
        series: (experiment, subject) of every lane.
        actions: What is done in every lane.
        times: Sample times of every lane, padded with its last one.
        lane: Lane of every reading.
        sample: Index of its time in that lane.
        observable: Name of its observable.
        observables: Distinct observables, in order.
        rows_of: Readings of each observable.
        value: Readings.
        noise: Given standard deviations, NaN where none is given.
        censored: Whether the value is a detection limit that the reading lies below.
    """

    system: System
    series: tuple[tuple[str, str], ...]
    actions: Actions
    times: Float[np.ndarray, "sample series"]
    lane: Int[np.ndarray, " reading"]
    sample: Int[np.ndarray, " reading"]
    observables: tuple[str, ...]
    rows_of: Mapping[str, Int[np.ndarray, " reading"]]
    value: Float[np.ndarray, " reading"]
    noise: Float[np.ndarray, " reading"]
    censored: Bool[np.ndarray, " reading"]


def bind(system: System, table: pd.DataFrame, experiments: Mapping[str, Experiment]) -> Bindings:
    """Tie the rows of a table to lanes, sample times and observables.

    Raises:
        ProblemError: there are no rows, or a reading is earlier than the start of its experiment.
    """
    if table.empty:
        raise ProblemError("there are no readings", where="measurements", expected="at least one")
    keys = list(zip(table["experiment"], table["subject"], strict=True))
    series = tuple(dict.fromkeys(keys))
    position = {key: index for index, key in enumerate(series)}
    lane = np.array([position[key] for key in keys])
    time = table["time"].to_numpy(dtype=float)
    per_lane = [np.unique(time[lane == index]) for index in range(len(series))]
    for (name, subject), times in zip(series, per_lane, strict=True):
        if times[0] < experiments[name].t0:
            raise ProblemError(
                f"a reading at {times[0]:g} is earlier than the start of its experiment at {experiments[name].t0:g}",
                where=f"experiment {name!r}, subject {subject!r}",
                fix="set t0 of the experiment",
            )
    length = max(map(len, per_lane))
    padded = np.stack([np.pad(times, (0, length - len(times)), mode="edge") for times in per_lane], axis=1)
    observable = table["observable"].to_numpy()
    observables = tuple(dict.fromkeys(observable))
    return Bindings(
        system=system,
        series=series,
        actions=collect_actions(system, [experiments[name] for name, _ in series], [times[-1] for times in per_lane]),
        times=padded,
        lane=lane,
        sample=np.array([np.searchsorted(per_lane[k], t) for k, t in zip(lane, time, strict=True)]),
        observables=observables,
        rows_of={name: np.flatnonzero(observable == name) for name in observables},
        value=table["value"].to_numpy(dtype=float),
        noise=table["noise"].to_numpy(dtype=float),
        censored=(table["censoring"] == "left").to_numpy(),
    )
