"""The readings of a problem in the order in which a filter takes them, and the intervals between their times."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from calibration.problem import Problem
from twin.errors import UnsupportedModelError
from twin.experiment.experiment import Experiment


@dataclass(frozen=True)
class Intervals:
    """Intervals from one reading time of a series to its next, those of no length left out.

    Args:
        series: Series of each interval.
        sample: Index of the reading time at its end.
        length: Its length.
        before: A reading at its beginning, -1 where it begins with the experiment.
        after: A reading at its end.
        reading: Readings of every series in the order of time, padded with -1.
        interval: Interval that leads to each of them, padded with the number of intervals where time does not advance.
        place: Place of each reading (row, series) in `reading`.
    """

    series: Int[np.ndarray, " interval"]
    sample: Int[np.ndarray, " interval"]
    length: Float[np.ndarray, " interval"]
    before: Int[np.ndarray, " interval"]
    after: Int[np.ndarray, " interval"]
    reading: Int[np.ndarray, "row series"]
    interval: Int[np.ndarray, "row series"]
    place: tuple[Int[np.ndarray, " reading"], Int[np.ndarray, " reading"]]


def check_stochastic(problem: Problem, what: str) -> None:
    """Refuse what a filter of a jump process does not do.

    Raises:
        UnsupportedModelError: something is done during an experiment, readings have parameters of their own, or a
            reading is of a steady state.
    """
    for (name, _), experiment in zip(problem.bindings.series, problem.bindings.experiments, strict=True):
        if replace(experiment, parameters={}, t0=0.0, description="") != Experiment():
            raise UnsupportedModelError(
                "there are doses, changes, resets, initial states or an equilibration",
                where=f"experiment {name!r} under {what}",
                expected="experiments that set parameters at most",
                fix="write initial states as parameters of the model",
            )
    if problem.by_reading is not None:
        raise UnsupportedModelError("readings have parameters of their own", where=what, expected="by_reading=None")
    if not np.isfinite(problem.bindings.times).all():
        raise UnsupportedModelError("a reading is of a steady state", where=what, expected="finite times")


def intervals_of(problem: Problem) -> Intervals:
    """The intervals between the reading times of all series."""
    table = problem.bindings
    count = len(table.series)
    reading_at = {(lane, sample): row for row, (lane, sample) in enumerate(zip(table.lane, table.sample, strict=True))}
    found, number = [], {}
    for series, experiment in enumerate(table.experiments):
        t = experiment.t0
        for sample in range(table.sample[table.lane == series].max() + 1):
            end = float(table.times[sample, series])
            if end > t:
                number[series, sample] = len(found)
                before = reading_at.get((series, sample - 1), -1)
                found.append((series, sample, end - t, before, reading_at[series, sample]))
            t = end
    columns = list(zip(*found, strict=True)) or [(), (), (), (), ()]
    rows = max(np.bincount(table.lane, minlength=count))
    reading, interval = np.full((rows, count), -1), np.full((rows, count), len(found))
    place = np.zeros(len(table.lane), dtype=int)
    for series in range(count):
        own = np.flatnonzero(table.lane == series)
        own = own[np.argsort(table.sample[own], kind="stable")]
        reading[: len(own), series], place[own] = own, np.arange(len(own))
        first = np.diff(table.sample[own], prepend=-1) > 0
        for row in np.flatnonzero(first):
            interval[row, series] = number.get((series, int(table.sample[own[row]])), len(found))
    whole = [np.array(columns[index], dtype=int) for index in (0, 1, 3, 4)]
    length = np.array(columns[2], dtype=float)
    return Intervals(whole[0], whole[1], length, whole[2], whole[3], reading, interval, (place, table.lane))
