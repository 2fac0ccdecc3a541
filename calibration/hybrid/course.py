"""What a learned term does along fitted trajectories, beside what the mechanism does there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import Float

from calibration.hybrid.term import NeuralTerm
from calibration.problem import Problem
from twin.compile.evaluate import compile_expressions
from twin.errors import SimulationError
from twin.model.symbols import TIME, symbol
from twin.precision import in_float64

POINTS = 201


class Course(NamedTuple):
    """Fitted trajectories on a grid of times, the same number of points in every series.

    Args:
        series: (experiment, subject) of each series.
        time: Times [series, point].
        states: States [state, series, point].
        mechanism: Time derivative of each state by the mechanism alone [state, series, point].
        learned: What the term adds to it.
        inputs: What the term depends on [input, series, point].
        output: Its output.
    """

    series: tuple[tuple[str, str], ...]
    time: Float[np.ndarray, "series point"]
    states: Float[np.ndarray, "state series point"]
    mechanism: Float[np.ndarray, "state series point"]
    learned: Float[np.ndarray, "state series point"]
    inputs: Float[np.ndarray, "input series point"]
    output: Float[np.ndarray, "series point"]


@in_float64
def course_of(
    mechanism: Problem, hybrid: Problem, term: NeuralTerm, theta: Float[np.ndarray, " parameter"], points: int = POINTS
) -> Course:
    """Follow the term along the trajectories of all series of the hybrid problem, each to its last reading.

    Args:
        mechanism: The problem of the mechanism alone.
        hybrid: The problem with the term.
        term: The term.
        theta: A vector of the hybrid problem, estimation scale.
        points: Times per series.

    Raises:
        SimulationError: A series cannot be integrated.
    """
    grid, series = _grid(hybrid, points)
    dense = hybrid.at(grid)
    predictor = dense.predictor
    trajectory, ok = predictor.trajectories(predictor.values(np.asarray(theta, dtype=float)[None]))
    if not np.asarray(ok).all():
        raise SimulationError("a series cannot be integrated at this vector", where=hybrid.name)
    model, system, alone = hybrid.model, dense.bindings.system, mechanism.model
    zero = sp.Integer(0)
    learned = [
        model.expand(model.formula(f"({term.into[name]}) * {term.name}")) if name in term.into else zero
        for name in model.state_names
    ]
    expressions = [
        *alone.rhs,
        *learned,
        *(model.expand(model.formula(each.formula)) for each in term.inputs),
        model.expand(model.formula(term.name)),
    ]
    t, y, params = (np.asarray(x)[..., 0] for x in trajectory)
    env, mid = system.environment(t, t, y, params)
    frozen = frozenset([TIME, *map(symbol, system.parameters)])
    found = [
        np.broadcast_to(np.asarray(x, dtype=float), t.shape) for x in compile_expressions(expressions, frozen)(env, mid)
    ]
    shaped = np.stack(found).reshape(len(found), len(series), points)
    count = len(model.state_names)
    return Course(
        series,
        t.reshape(len(series), points),
        y.reshape(count, len(series), points),
        shaped[:count],
        shaped[count : 2 * count],
        shaped[2 * count : -1],
        shaped[-1],
    )


def _grid(problem: Problem, points: int) -> tuple[pd.DataFrame, tuple[tuple[str, str], ...]]:
    """Rows at evenly spaced times of every series; only their times count."""
    table, parts = problem.measurements.table, []
    series = tuple((str(experiment), str(subject)) for experiment, subject in problem.measurements.series)
    for experiment, subject in series:
        rows = table.loc[(table["experiment"] == experiment) & (table["subject"] == subject)]
        times = rows["time"][np.isfinite(rows["time"])]
        start = min(problem.experiments[experiment].t0, float(times.min()))
        part = pd.concat([rows.iloc[:1]] * points, ignore_index=True)
        parts.append(part.assign(time=np.linspace(start, float(times.max()), points), censoring=""))
    return pd.concat(parts, ignore_index=True), series


def sizes(course: Course, names: tuple[str, ...]) -> pd.DataFrame:
    """How large the term is beside the mechanism, by state and in total.

    Args:
        course: Fitted trajectories.
        names: Names of the states.

    Returns:
        Rows "state"; columns ``ratio``, the integral over time of the term's absolute rate over that of the
        mechanism's, and ``share``, the mean over time of ``|term| / (|term| + |mechanism|)``, in which moments count
        alike however slow or fast they are. Every series has the same weight; rates are divided by the largest
        absolute value of the state in the series, so that series of different sizes, and in "total" states of
        different units, can be added.
    """
    term, rest = scaled_rates(course)
    rows = {name: _size(term[index], rest[index]) for index, name in enumerate(names)}
    rows["total"] = _size(term.sum(axis=0), rest.sum(axis=0))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["ratio", "share"]).rename_axis("state")


def scaled_rates(
    course: Course,
) -> tuple[Float[np.ndarray, "state series point"], Float[np.ndarray, "state series point"]]:
    """Absolute rates of the term and of the mechanism, over the largest absolute value of the state in the series."""
    top = np.max(np.abs(course.states), axis=2, keepdims=True)
    size = np.where(top > 0, top, 1.0)
    return np.abs(course.learned) / size, np.abs(course.mechanism) / size


def share_of(term: Float[np.ndarray, "*point"], rest: Float[np.ndarray, "*point"]) -> Float[np.ndarray, "*point"]:
    """The term's share of both absolute rates; 0 where nothing moves."""
    whole = term + rest
    return np.where(whole > 0, term / np.where(whole > 0, whole, 1.0), 0.0)


def _size(term: np.ndarray, rest: np.ndarray) -> tuple[float, float]:
    """Times are evenly spaced, so that means stand for integrals; each series counts over its own span."""
    ratio = float(term.mean() / rest.mean()) if rest.any() else float("inf" if term.any() else 0.0)
    return ratio, float(share_of(term, rest).mean())
