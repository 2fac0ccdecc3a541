"""What is to be predicted: a table of experiments, subjects, observables and times, without readings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool

from calibration.problem import Problem
from calibration.prospective.frozen import KEYS
from twin.errors import MeasurementError, suggestion
from twin.experiment import Experiment
from twin.measurements import Measurements


def check_design(design: pd.DataFrame, problem: Problem, where: str = "design") -> pd.DataFrame:
    """A design with its columns in order and of the right types.

    Args:
        design: Columns experiment, subject (default "default", "1"), observable (default the only one that was
            measured), time [the model's time unit]; noise is kept where it is given, other columns are left out.
        problem: Whose observables may be asked for.
        where: What the table is called in errors.

    Raises:
        MeasurementError: a column is missing, the table is empty, a time is no finite number, or an observable is
            not one of the model; with row and column.
    """
    if design.empty:
        raise MeasurementError("the design has no rows", where=where, expected="a row per reading to be predicted")
    table = design.reset_index(drop=True).copy()
    measured = problem.measurements.observables
    defaults = {"experiment": "default", "subject": "1"} | ({"observable": measured[0]} if len(measured) == 1 else {})
    for name in KEYS:
        if name not in table:
            if name not in defaults:
                raise MeasurementError(
                    f"the design has no column {name!r}",
                    where=where,
                    expected="columns experiment, subject, observable, time",
                    fix=suggestion(name, [str(column) for column in table.columns]),
                )
            table[name] = defaults[name]
    times = pd.to_numeric(table["time"], errors="coerce").to_numpy(dtype=float)
    for row in np.flatnonzero(~np.isfinite(times))[:1]:
        raise MeasurementError(
            f"the time is {str(table['time'].iloc[row])!r}", where=f"{where}, row {row + 1}", expected="a finite number"
        )
    table["time"] = times
    for name in KEYS[:-1]:
        table[name] = table[name].astype(str).str.strip()
    known = problem.model.observable_names
    for row, name in enumerate(table["observable"]):
        if name not in known:
            raise MeasurementError(
                f"the model has no observable {name!r}", where=f"{where}, row {row + 1}", fix=suggestion(name, known)
            )
    kept = [*KEYS, *(["noise"] if "noise" in table else [])]
    return table[kept]


def read_design(path: str, problem: Problem) -> pd.DataFrame:
    """A design from a CSV file; a column of values is not looked at.

    Raises:
        MeasurementError: the file cannot be read, or is no design.
    """
    file = Path(path)
    if not file.is_file():
        raise MeasurementError("there is no such file", where=str(path), expected="a CSV table of what to predict")
    try:
        table = pd.read_csv(file, comment="#", dtype=dict.fromkeys(KEYS[:-1], str), usecols=lambda c: c != "value")
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise MeasurementError(f"the table cannot be read ({error})", where=str(path), expected="CSV") from error
    return check_design(table, problem, where=str(path))


def with_design(
    problem: Problem, design: pd.DataFrame, experiments: Mapping[str, Experiment] | None = None
) -> tuple[Problem, Bool[np.ndarray, " reading"]]:
    """The problem with rows for the design after its own, and which rows those are.

    The new rows hold placeholders in place of values; only the others may be calibrated on
    (`Problem.with_rows`). Subjects that the readings do not have follow the distribution over subjects.

    Args:
        problem: The problem.
        design: A checked design.
        experiments: What is done in experiments that the readings do not have; those of a study are known.
    """
    own = problem.measurements.table
    median = own.groupby("observable")[["value", "noise"]].median()
    rows = design.copy()
    rows["value"] = rows["observable"].map(median["value"]).fillna(1.0)
    rows["value"] = rows["value"].where(rows["value"] > 0, 1.0)
    noise = rows["observable"].map(median["noise"])
    rows["noise"] = rows["noise"].fillna(noise) if "noise" in rows else noise
    rows["censoring"] = ""
    joined = pd.concat([own, rows.reindex(columns=own.columns)], ignore_index=True)
    known = {} if problem.study is None else dict(problem.study.experiments)
    measurements = Measurements(
        joined,
        source=problem.measurements.source,
        time_unit=problem.measurements.time_unit,
        units={**{name: problem.model.unit(name) for name in design["observable"]}, **problem.measurements.units},
    )
    described = {**known, **(experiments or {}), **problem.experiments}
    whole = problem.rebuilt(measurements=measurements, experiments=described)
    return whole, np.arange(len(joined)) >= len(own)
