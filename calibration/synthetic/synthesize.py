"""`synthesize`: virtual subjects of a problem, measured as real ones are, with the truth beside the readings.

A vector of the problem describes a whole study. Each vector that is drawn gives as many virtual subjects as the study
has real ones, with the same experiments and schedules and parameters of their own; studies are drawn until there are
enough subjects. Courses are computed on a grid of times that contains the schedule, and every reading is taken at a
time of that grid, so that a mistimed reading is exact, too, and not interpolated.
"""

from __future__ import annotations

import hashlib
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from calibration.predict import Draws, predict_draws
from calibration.problem import Problem
from calibration.reading_values import nearest_readings
from calibration.synthetic.card import build_card
from calibration.synthetic.endpoints import endpoints
from calibration.synthetic.process import Process
from calibration.synthetic.result import Synthetic
from calibration.synthetic.vectors import Source, new_vectors
from twin.errors import ProblemError, SimulationError
from twin.measurements import Measurements
from twin.measurements.schema import COLUMNS
from twin.precision import in_float64
from twin.study import Study

GRID = 240
"""Intervals of the grid of times: the resolution of mistimed readings, and of endpoints."""


@in_float64
def synthesize(
    problem: Problem | Study | str,
    subjects: int = 100,
    seed: int = 0,
    *,
    process: Process | None = None,
    source: Source = "prior",
    grid: int = GRID,
) -> Synthetic:
    """Make a labelled synthetic cohort; the same seed gives the same cohort to the digit.

    Args:
        problem: A problem, a study of the library or its name: its model, experiments, schedules, noise and priors.
        subjects: Virtual subjects.
        seed: Seed of everything random.
        process: How they are measured; default: as scheduled, with the problem's detection limits.
        source: Where parameters come from: "prior", "nominal", vectors (for instance ``fit.best``) or a posterior of
            `calibration.sample` (a twin). Values of single subjects always come from their priors.
        grid: Intervals of the grid of times.

    Raises:
        ProblemError: a number is out of range, the problem reads steady states, or an unknown observable has a limit.
        SimulationError: no virtual subject could be simulated.

    Example:
        >>> cohort = calibration.synthesize("theophylline", 200, seed=1)
        >>> cohort.measurements, cohort.endpoints["area"]
    """
    problem = problem if isinstance(problem, Problem) else Problem.from_study(problem)
    process = process or Process()
    _check(problem, subjects, grid)
    limits = _limits(problem, process)
    rng = np.random.default_rng([seed, 0])
    real = len({subject for _, subject in problem.bindings.series})
    studies = -(-subjects // real)
    vectors = new_vectors(problem, source, studies, rng)
    times, dense = _dense(problem, grid)
    draws = predict_draws(dense, vectors, seed=seed)
    series = _series(problem, studies, subjects, draws, dense)
    if series.empty:
        raise SimulationError(
            "no virtual subject could be simulated",
            where=problem.name,
            fix="narrow the priors, or use source='nominal'",
        )
    batch, effect = process.batch_effects(rng, subjects)
    number = series["number"].to_numpy()
    series = series.assign(batch=batch[number], batch_effect=effect[number])
    series = _leaving(series, problem, process, subjects, rng)
    readings, lost = _read(problem, process, limits, series, times, dense, draws, rng)
    return _assemble(problem, process, limits, series, times, dense, draws, vectors, readings, lost, seed, source)


def _check(problem: Problem, subjects: int, grid: int) -> None:
    for name, value, least in (("subjects", subjects, 1), ("grid", grid, 2)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ProblemError(
                f"{name} is {value!r}", where="synthesize", expected=f"a whole number of at least {least}"
            )
    if np.isinf(problem.measurements.table["time"]).any():
        raise ProblemError("a reading is made at steady state", where=problem.name, expected="readings at finite times")


def _limits(problem: Problem, process: Process) -> dict[str, float]:
    if process.detection_limits is not None:
        for name in process.detection_limits:
            if name not in problem.bindings.observables:
                raise ProblemError(
                    f"there is no measured observable {name!r}",
                    where="detection_limits",
                    expected=", ".join(problem.bindings.observables),
                )
        return {name: float(limit) for name, limit in process.detection_limits.items()}
    table = problem.measurements.table
    censored = table[table["censoring"] == "left"]
    return {str(name): float(value) for name, value in censored.groupby("observable")["value"].max().items()}


def _dense(problem: Problem, grid: int) -> tuple[np.ndarray, Problem]:
    """The grid of times, which contains the schedule, and the problem with a row per series, observable and time."""
    table = problem.measurements.table
    start = max(each.t0 for each in problem.bindings.experiments)
    nominal = table["time"].to_numpy(dtype=float)
    times = np.unique(np.concatenate([np.linspace(start, nominal.max(), grid + 1), nominal]))
    keys = table[["experiment", "subject", "observable"]].drop_duplicates()
    rows = keys.loc[keys.index.repeat(len(times))].reset_index(drop=True)
    rows["time"] = np.tile(times, len(keys))
    nearest = nearest_readings(table, rows)
    for name in ("value", "noise"):
        rows[name] = table[name].to_numpy(dtype=float)[nearest]
    rows["censoring"] = ""
    return times, problem.at(rows[list(COLUMNS)])


def _series(problem: Problem, studies: int, subjects: int, draws: Draws, dense: Problem) -> pd.DataFrame:
    """The virtual series: study, source series, number of the subject; without those that could not be simulated."""
    first = dense.bindings
    real = list(dict.fromkeys(subject for _, subject in first.series))
    width = len(str(max(subjects - 1, 1)))
    rows = []
    for lane, (experiment, subject) in enumerate(first.series):
        here = first.lane == lane
        ok = draws.ok[:, here].all(axis=1)
        for study in range(studies):
            number = study * len(real) + real.index(subject)
            if number < subjects and ok[study]:
                rows.append((experiment, f"v{number:0{width}d}", subject, study, lane, number))
    columns = ["experiment", "subject", "like_subject", "study", "lane", "number"]
    return pd.DataFrame(rows, columns=columns).sort_values(["number", "lane"], ignore_index=True)


def _leaving(
    series: pd.DataFrame, problem: Problem, process: Process, subjects: int, rng: np.random.Generator
) -> pd.DataFrame:
    table = problem.measurements.table
    start, end = float(table["time"].min()), float(table["time"].max())
    last = process.last_times(rng, np.full(subjects, start), np.full(subjects, end))
    return series.assign(left_at=last[series["number"].to_numpy()])


def _read(
    problem: Problem,
    process: Process,
    limits: dict[str, float],
    series: pd.DataFrame,
    times: np.ndarray,
    dense: Problem,
    draws: Draws,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The table of readings, and how many were lost to what."""
    table, asked = problem.measurements.table, dense.measurements.table
    position = {key: i for i, key in enumerate(asked[["experiment", "subject", "observable"]].drop_duplicates()
                                               .itertuples(index=False, name=None))}  # fmt: skip
    schedule = dict(iter(table.groupby(["experiment", "subject"], sort=False)))
    parts, missed, after = [], 0, 0
    for row in series.itertuples(index=False):
        plan = schedule[(row.experiment, row.like_subject)].drop_duplicates(["observable", "time"])
        visits, visit = np.unique(plan["time"].to_numpy(dtype=float), return_inverse=True)
        # A visit is mistimed as a whole: all observables of one sample share its time.
        actual = np.clip(visits + process.jitter * rng.normal(size=len(visits)), times[0], times[-1])
        actual = visits if process.jitter == 0 else times[_nearest(times, actual)]
        at = np.searchsorted(times, actual)[visit]
        base = [position[(row.experiment, row.like_subject, name)] for name in plan["observable"]]
        column = np.array(base) * len(times) + at
        value = process.distorted(draws.reading[row.study, column], np.full(len(column), row.batch_effect))
        present = rng.uniform(size=len(column)) >= process.missing
        there = actual[visit] <= row.left_at
        missed, after = missed + int(np.sum(~present & there)), after + int(np.sum(~there))
        part = pd.DataFrame(
            {
                "experiment": row.experiment,
                "subject": row.subject,
                "observable": plan["observable"].to_numpy(),
                "time": actual[visit] if process.recorded == "actual" else visits[visit],
                "value": value,
                "noise": asked["noise"].to_numpy(dtype=float)[column],
                "censoring": "",
            }
        )
        parts.append(part[present & there])
    readings = pd.concat(parts, ignore_index=True)
    # Two visits that fell on one time of the grid would look like replicates.
    readings = readings.drop_duplicates(["experiment", "subject", "observable", "time"], ignore_index=True)
    limit = readings["observable"].map(limits).astype(float)
    below = (readings["value"] < limit).to_numpy()
    readings.loc[below, "value"] = limit[below]
    readings.loc[below, "censoring"] = "left"
    if readings.empty:
        raise ProblemError("no reading is left", where="process", fix="lower missing and dropout")
    return readings[list(COLUMNS)], {"missed": missed, "after_dropout": after, "censored": int(below.sum())}


def _nearest(times: np.ndarray, asked: np.ndarray) -> np.ndarray:
    right = np.clip(np.searchsorted(times, asked), 1, len(times) - 1)
    return np.where(asked - times[right - 1] < times[right] - asked, right - 1, right)


def _assemble(
    problem: Problem,
    process: Process,
    limits: dict[str, float],
    series: pd.DataFrame,
    times: np.ndarray,
    dense: Problem,
    draws: Draws,
    vectors: np.ndarray,
    readings: pd.DataFrame,
    lost: dict[str, int],
    seed: int,
    source: Source,
) -> Synthetic:
    keys = series[["experiment", "subject"]]
    lane, study = series["lane"].to_numpy(), series["study"].to_numpy()
    values = dense.predictor.values(jnp.asarray(vectors))
    parameters = keys.assign(**{name: np.asarray(value)[lane, study] for name, value in values.items()})
    trajectories = _trajectories(problem, series, times, dense, draws)
    measurements = Measurements.from_table(readings, problem.model, source=f"synthetic {problem.name}, seed {seed}")
    rows = []
    for index, key in enumerate(keys.itertuples(index=False)):
        for name in trajectories["observable"].values:
            course = trajectories.values[index, list(trajectories["observable"].values).index(name)]
            if np.isfinite(course).all():
                rows.append((*key, name, *endpoints(times, course, limits.get(name)).values()))
    names = ["experiment", "subject", "observable", "peak", "peak_time", "area", "clearance_time", "last"]
    truth = pd.DataFrame(rows, columns=names)
    counts = {
        "subjects": int(series["number"].nunique()), "series": len(series), "readings": len(readings), **lost,
        "dropouts": int(series.loc[np.isfinite(series["left_at"]), "number"].nunique()),
        "not_simulated": int(np.sum(~draws.ok.all(axis=1))), "negative": int(np.sum(readings["value"] < 0)),
    }  # fmt: skip
    hashes = {"readings": measurements.sha256, "parameters": _sha256(parameters), "endpoints": _sha256(truth)}
    units = {"time": problem.model.time_unit} | {
        name: problem.model.unit(name)
        for name in (*trajectories["observable"].values, *parameters.columns[2:])
        if name in problem.model.observable_names or name in problem.model.parameter_names
    }
    settings: dict[str, Any] = {
        "seed": seed,
        "source": source if isinstance(source, str) else "vectors given",
        "process": process.to_dict(),
        "detection_limits": limits,
        "grid": len(times),
        "units": units,
    }
    subjects = series.drop(columns=["lane", "number"])
    card = build_card(problem, settings, counts, hashes)
    return Synthetic(measurements, parameters, truth, trajectories, subjects, card)


def _trajectories(
    problem: Problem, series: pd.DataFrame, times: np.ndarray, dense: Problem, draws: Draws
) -> xr.DataArray:
    """Courses without noise; NaN for observables that a series does not read."""
    table = dense.measurements.table
    names = list(dense.bindings.observables)
    course = np.full((len(series), len(names), len(times)), np.nan)
    for lane in np.unique(series["lane"]):
        chosen = np.flatnonzero(series["lane"] == lane)
        for index, name in enumerate(names):
            rows = np.flatnonzero((dense.bindings.lane == lane) & (table["observable"] == name).to_numpy())
            if len(rows):
                course[chosen, index] = draws.value[np.ix_(series["study"].to_numpy()[chosen], rows)]
    coords = {
        "experiment": ("series", series["experiment"].to_numpy(dtype=str)),
        "subject": ("series", series["subject"].to_numpy(dtype=str)),
        "observable": names,
        "time": ("time", times, {"units": problem.model.time_unit}),
    }
    return xr.DataArray(course, dims=("series", "observable", "time"), coords=coords, name="value")


def _sha256(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
