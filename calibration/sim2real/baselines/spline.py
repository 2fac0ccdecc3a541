"""Baseline "spline": a smoothing spline through the points, its errors learnt within the training data.

A series with training readings gets its own curve. Its variants (time or log time; straight or flat beyond
the points) are tried from rolling origins inside the training data of all series: cut, fit, forecast the
rest (for times between the points: leave one time out). The variant with the smallest mean absolute error is
used, and the errors by horizon are its spread.

An unseen series is predicted by one curve through the training series. With a covariate (a dose) a second
variant has a curve for each of its values, interpolated linearly in the covariate, ends held. Here the trial
is leaving out one series (one value of the covariate) at a time, and the spread is local in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.sim2real.baselines.curve import WARPS, fit_curve
from calibration.sim2real.baselines.spread import MIN_DF, Growth, fit_growth, local_deviation
from calibration.sim2real.baselines.task import (
    Forecast,
    Task,
    UndefinedBaselineError,
    empty_forecast,
    pool_for,
)

Origins = Callable[[Float[np.ndarray, "point"]], Iterator[tuple[np.ndarray, np.ndarray]]]


def spline_baseline(task: Task, rng: np.random.Generator) -> Forecast:
    """Predict by smoothing splines.

    Args:
        task: Training and test rows of one observable.
        rng: Not used; there is nothing to draw in the fit.

    Raises:
        UndefinedBaselineError: Too few training readings to fit a curve and to learn its errors.
    """
    del rng
    if len(np.unique(task.train["time"])) < 3:
        raise UndefinedBaselineError("fewer than three training times: no curve and errors to be learnt from them")
    made = empty_forecast(len(task.test))
    test = task.test.reset_index(drop=True)
    seen = _series(task.train)
    own = test["series"].isin([name for name, (t, _) in seen.items() if len(np.unique(t)) >= 3]).to_numpy()
    notes: list[str] = []
    if own.any():
        notes += _own_curves(seen, test.loc[own], task.span, made)
    for experiment, rows in test.loc[~own].groupby("experiment"):
        note = _pooled(task, str(experiment), rows, made)
        notes.append(note)
    return Forecast(made.location, made.scale, made.df, tuple(dict.fromkeys(notes)))


def _own_curves(
    seen: dict[str, tuple[np.ndarray, np.ndarray]],
    test: pd.DataFrame,
    span: tuple[float, float],
    made: Forecast,
) -> list[str]:
    """Fill in the forecast of series with training readings, between them and beyond; returns the notes."""
    ends = {name: (t.min(), t.max()) for name, (t, _) in seen.items()}
    at = test["time"].to_numpy(dtype=float)
    start, end = np.array([ends[name] for name in test["series"]]).T
    horizon = np.maximum(np.maximum(at - end, start - at), 0.0)
    notes = []
    for rows, origins, where in (
        (horizon > 0.0, _rolling, "beyond"),
        (horizon <= 0.0, _leave_one_out, "between"),
    ):
        if not rows.any():
            continue
        variant, growth = _choose_own(seen, span, origins)
        part = test.loc[rows].assign(horizon=horizon[rows])
        for series, group in part.groupby("series"):
            made.location[group.index] = _own(*seen[str(series)], group["time"].to_numpy(float), variant, span)
            made.scale[group.index] = growth.deviation(group["horizon"].to_numpy(dtype=float))
        made.df[part.index] = growth.df
        course = f", {'flat' if variant[1] else 'straight'}" if where == "beyond" else ""
        notes.append(f"own curves over {variant[0]}{course} {where} the points")
    return notes


def _rolling(t: Float[np.ndarray, "point"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Masks of known points, each with the horizon of the others: cut ever later, forecast the rest.

    From the middle on: earlier origins have too few points to tell how a full curve will do.
    """
    times = np.unique(t)
    for cut in times[max(2, len(times) // 2) - 1 : -1]:
        yield t <= cut, t[t > cut] - cut


def _leave_one_out(t: Float[np.ndarray, "point"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Masks of known points that leave out one inner time each; the horizon is zero."""
    for time in np.unique(t)[1:-1]:
        yield t != time, np.zeros(int(np.sum(t == time)))


def _series(train: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times and values of each training series, in time order."""
    ordered = train.sort_values("time", kind="stable")
    return {
        str(name): (rows["time"].to_numpy(dtype=float), rows["y"].to_numpy(dtype=float))
        for name, rows in ordered.groupby("series")
    }


def _own(
    t: Float[np.ndarray, "point"],
    y: Float[np.ndarray, "point"],
    at: Float[np.ndarray, "reading"],
    variant: tuple[str, bool],
    span: tuple[float, float],
) -> Float[np.ndarray, "reading"]:
    """The curve of one series at the times `at`."""
    warp, flat = WARPS[variant[0]], variant[1]
    return fit_curve(warp(t, *span), y, flat=flat)(warp(at, *span))


def _choose_own(
    series: dict[str, tuple[np.ndarray, np.ndarray]], span: tuple[float, float], origins: Origins
) -> tuple[tuple[str, bool], Growth]:
    """The variant with the smallest mean absolute error over the trials, and the growth of its errors."""
    best: tuple[float, tuple[str, bool], np.ndarray, np.ndarray, int] | None = None
    for variant in product(WARPS, (False, True)):
        horizon, error = [], []
        for t, y in series.values():
            for known, distance in origins(t):
                horizon.append(distance)
                error.append(_own(t[known], y[known], t[~known], variant, span) - y[~known])
        pooled = np.concatenate(error)
        score = float(np.mean(np.abs(pooled)))
        if best is None or score < best[0]:
            best = (score, variant, np.concatenate(horizon), pooled, len(error))
    assert best is not None  # WARPS is not empty
    return best[1], fit_growth(best[2], best[3], best[4])


def _pooled(task: Task, experiment: str, rows: pd.DataFrame, made: Forecast) -> str:
    """Fill in the forecast of unseen series of one experiment; returns the note."""
    pool = pool_for(task, experiment)
    at = rows["time"].to_numpy(dtype=float)
    doses = task.covariate and len(np.unique(pool["covariate"])) >= 2
    unit = "covariate" if doses else "series"
    units = list(pool[unit].unique())
    best: tuple[float, str, bool, np.ndarray, np.ndarray] | None = None
    for name, by_dose in product(WARPS, (True, False) if doses else (False,)):
        times, error = [], []
        for train, left in _leave_out(pool, unit, units):
            t = left["time"].to_numpy(dtype=float)
            times.append(t)
            predicted = _surface(train, t, _dose(left), by_dose, name, task.span)
            error.append(predicted - left["y"].to_numpy(dtype=float))
        pooled = np.concatenate(error)
        score = float(np.mean(np.abs(pooled)))
        if best is None or score < best[0]:
            best = (score, name, by_dose, np.concatenate(times), pooled)
    assert best is not None  # WARPS is not empty
    _, name, by_dose, times, error = best
    warp = WARPS[name]
    made.location[rows.index] = _surface(pool, at, _dose(rows), by_dose, name, task.span)
    made.scale[rows.index] = local_deviation(warp(at, *task.span), warp(times, *task.span), error, 1.0)
    made.df[rows.index] = max(MIN_DF, len(units) - 1.0)
    return f"one curve over {name}" + (" per value of the covariate, interpolated" if by_dose else "")


def _dose(rows: pd.DataFrame) -> float:
    """The covariate that the rows share; zero where there is none."""
    return float(rows["covariate"].iloc[0]) if "covariate" in rows else 0.0


def _leave_out(pool: pd.DataFrame, unit: str, units: list) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Pairs (rest, left out), one unit at a time; with a single unit every second time instead."""
    if len(units) > 1:
        return [(pool.loc[pool[unit] != name], pool.loc[pool[unit] == name]) for name in units]
    parity = pool["time"].rank(method="dense").to_numpy() % 2 == 0
    return [(pool.loc[~parity], pool.loc[parity]), (pool.loc[parity], pool.loc[~parity])]


def _surface(
    train: pd.DataFrame,
    at: Float[np.ndarray, "reading"],
    dose: float,
    by_dose: bool,
    warp_name: str,
    span: tuple[float, float],
) -> Float[np.ndarray, "reading"]:
    """The pooled curve at `at`; with doses, one curve per dose, interpolated."""
    warp = WARPS[warp_name]
    doses = np.unique(train["covariate"].to_numpy(dtype=float)) if by_dose else np.zeros(1)
    groups = [train.loc[train["covariate"] == value] for value in doses] if by_dose else [train]
    curves = np.array(
        [
            fit_curve(warp(rows["time"].to_numpy(dtype=float), *span), rows["y"].to_numpy(dtype=float))(warp(at, *span))
            for rows in groups
        ]
    )
    return np.array([np.interp(dose, doses, column) for column in curves.T])
