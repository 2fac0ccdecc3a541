"""Readings tied to the simulation: which lane, which sample time and which observable each one belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from calibration.noise.censoring import Censoring, kinds_of, upper_of
from twin.compile.system import System
from twin.errors import ProblemError
from twin.experiment.actions import Actions, collect_actions
from twin.experiment.experiment import Bolus, Experiment


@dataclass(frozen=True)
class Bindings:
    """A table of readings as arrays.

    Args:
        system: The compiled model.
        series: (experiment, subject) of every lane.
        experiments: The experiment of every lane.
        actions: What is done in every lane.
        times: Sample times of every lane, padded with its last one; infinite for a steady state.
        lane: Lane of every reading.
        sample: Index of its time in that lane.
        observable: Name of its observable.
        observables: Distinct observables, in order.
        rows_of: Readings of each observable.
        value: Readings, or the limits of censored ones (the lower limit of an interval).
        upper: Upper limits of interval-censored ones; numbers without meaning elsewhere.
        noise: Given standard deviations, NaN where none is given.
        kind: How each is censored, a number of `calibration.noise.Censoring`.
    """

    system: System
    series: tuple[tuple[str, str], ...]
    experiments: tuple[Experiment, ...]
    actions: Actions
    times: Float[np.ndarray, "sample series"]
    lane: Int[np.ndarray, " reading"]
    sample: Int[np.ndarray, " reading"]
    observables: tuple[str, ...]
    rows_of: Mapping[str, Int[np.ndarray, " reading"]]
    value: Float[np.ndarray, " reading"]
    upper: Float[np.ndarray, " reading"]
    noise: Float[np.ndarray, " reading"]
    kind: Int[np.ndarray, " reading"]

    @property
    def censored(self) -> Bool[np.ndarray, " reading"]:
        """Which readings are censored in any way."""
        return self.kind != Censoring.NONE


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
    of_lane = tuple(experiments[name] for name, _ in series)
    ends = [_last_time(each, times) for each, times in zip(of_lane, per_lane, strict=True)]
    settles = [bool(np.isinf(times[-1])) for times in per_lane]
    length = max(map(len, per_lane))
    padded = np.stack([np.pad(times, (0, length - len(times)), mode="edge") for times in per_lane], axis=1)
    observable = table["observable"].to_numpy()
    observables = tuple(dict.fromkeys(observable))
    return Bindings(
        system=system,
        series=series,
        experiments=of_lane,
        actions=collect_actions(system, of_lane, ends, settles),
        times=padded,
        lane=lane,
        sample=np.array([np.searchsorted(per_lane[k], t) for k, t in zip(lane, time, strict=True)]),
        observables=observables,
        rows_of={name: np.flatnonzero(observable == name) for name in observables},
        value=table["value"].to_numpy(dtype=float),
        upper=upper_of(table),
        noise=table["noise"].to_numpy(dtype=float),
        kind=kinds_of(table),
    )


def _last_time(experiment: Experiment, times: Float[np.ndarray, " sample"]) -> float:
    """The last sample; for one at steady state, the last moment at which something is done or sampled before."""
    if np.isfinite(times[-1]):
        return float(times[-1])
    moments = [reset.time for reset in experiment.resets]
    moments += [time for change in experiment.changes for time in (change.start, change.stop)]
    for dose in experiment.doses:
        start, duration = (dose.time, 0.0) if isinstance(dose, Bolus) else (dose.start, dose.duration)
        moments += [start, duration, dose.every]
        if not any(isinstance(x, str) for x in (start, duration, dose.every)):
            moments.append(start + duration + (dose.count - 1) * (dose.every or 0.0))  # type: ignore[operator]
    if any(isinstance(moment, str) for moment in moments):
        raise ProblemError(
            "a steady state is measured after something done at a time given by a formula",
            where="experiment",
            expected="times that are numbers",
        )
    known = [float(moment) for moment in moments if moment is not None]
    return max([experiment.t0, *known, *times[np.isfinite(times)]])
