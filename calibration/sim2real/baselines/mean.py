"""Baseline "mean": the average of what was seen, with the spread of what was seen.

A series with training readings is predicted by their mean. An unseen series is predicted by the readings
nearest in time, one from each training series. Both are predictive t distributions of the conjugate normal
model, the variance drawn towards the one pooled over the observable by `PRIOR_DF` pseudo-readings (Gelman et
al., Bayesian Data Analysis, 3rd ed. 2013, section 3.3), so that two equal values do not make a certain
forecast.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.sim2real.baselines.spread import PRIOR_DF
from calibration.sim2real.baselines.task import (
    Forecast,
    Task,
    UndefinedBaselineError,
    empty_forecast,
    pool_for,
)


def mean_baseline(task: Task, rng: np.random.Generator) -> Forecast:
    """Predict by the training mean.

    Args:
        task: Training and test rows of one observable.
        rng: Not used; there is nothing to draw in the fit.

    Raises:
        UndefinedBaselineError: Fewer than two training readings.
    """
    del rng
    if len(task.train) < 2:
        raise UndefinedBaselineError(f"{len(task.train)} training readings are too few for a mean and a spread")
    within = _within_variance(task.train)
    seen = {str(name): rows["y"].to_numpy(dtype=float) for name, rows in task.train.groupby("series")}
    made = empty_forecast(len(task.test))
    nearest = {name: _nearest(pool_for(task, name)) for name in task.test["experiment"].unique()}
    variance = {name: _between_variance(values) for name, values in nearest.items()}
    for row, (series, experiment, time) in enumerate(
        zip(task.test["series"], task.test["experiment"], task.test["time"].astype(float), strict=True)
    ):
        if series in seen:
            values, pooled = seen[series], within
        else:
            values = np.array([y[np.argmin(np.abs(t - time))] for t, y in nearest[experiment]])
            pooled = variance[experiment]
        made.location[row], made.scale[row], made.df[row] = _predictive(values, pooled)
    return made


def _predictive(values: Float[np.ndarray, "n"], pooled: float) -> tuple[float, float, float]:
    """Location, scale and degrees of freedom of the next value of a normal sample."""
    mean = float(values.mean())
    df = len(values) - 1 + PRIOR_DF
    variance = (float(np.sum((values - mean) ** 2)) + PRIOR_DF * pooled) / df
    return mean, float(np.sqrt(variance * (1.0 + 1.0 / len(values)))), df


def _within_variance(train: pd.DataFrame) -> float:
    """Variance around the mean of each series, pooled."""
    groups = train.groupby("series")["y"]
    squares = float(np.sum((train["y"] - groups.transform("mean")) ** 2))
    df = len(train) - len(set(train["series"]))
    return squares / df if df > 0 else float(np.var(train["y"].to_numpy(dtype=float), ddof=1))


def _nearest(pool: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times and values of each series of the pool."""
    return [(rows["time"].to_numpy(dtype=float), rows["y"].to_numpy()) for _, rows in pool.groupby("series")]


def _between_variance(series: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Variance between series at equal time (nearest readings), averaged over the times of training.

    With a single series its variance over time stands in.
    """
    if len(series) == 1:
        values = series[0][1]
        return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0
    times = np.unique(np.concatenate([t for t, _ in series]))
    table = np.array([[y[np.argmin(np.abs(t - time))] for t, y in series] for time in times])
    return float(np.mean(np.var(table, axis=1, ddof=1)))
