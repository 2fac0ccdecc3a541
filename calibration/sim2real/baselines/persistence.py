"""Baseline "persistence": the last training value of the series holds.

The spread grows with the horizon as the training series themselves wander: all pairs of readings of a series
give the error that persistence would have made at that lag.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from calibration.sim2real.baselines.spread import fit_growth
from calibration.sim2real.baselines.task import Forecast, Task, UndefinedBaselineError, empty_forecast


def persistence_baseline(task: Task, rng: np.random.Generator) -> Forecast:
    """Predict every test row by the last training value of its series.

    Readings repeated at the last time are averaged. Test rows before the last training time get the value of
    the nearest training time, with the spread of that lag.

    Args:
        task: Training and test rows of one observable.
        rng: Not used; there is nothing to draw in the fit.

    Raises:
        UndefinedBaselineError: A test series without training readings, or no series with two training times.
    """
    del rng
    seen: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    horizon, error, origins = [], [], 0
    for name, rows in task.train.groupby("series"):
        by_time = pd.Series(rows.groupby("time", sort=True)["y"].mean())
        t, y = by_time.index.to_numpy(dtype=float), by_time.to_numpy(dtype=float)
        seen[str(name)] = (t, y)
        first, second = np.triu_indices(len(t), k=1)
        horizon.append(t[second] - t[first])
        error.append(y[second] - y[first])
        origins += max(len(t) - 1, 0)
    unseen = sorted(set(task.test["series"]) - set(seen))
    if unseen:
        raise UndefinedBaselineError(
            f"{len(unseen)} held-out series have no training reading, so there is no last value to keep"
        )
    if not origins:
        raise UndefinedBaselineError("no training series has two times, so there is no spread to learn")
    growth = fit_growth(np.concatenate(horizon), np.concatenate(error), origins)
    made = empty_forecast(len(task.test))
    for row, (series, time) in enumerate(zip(task.test["series"], task.test["time"].astype(float), strict=True)):
        t, y = seen[series]
        nearest = int(np.argmin(np.abs(t - time)))
        made.location[row] = y[nearest]
        made.scale[row] = growth.deviation(np.array([abs(time - t[nearest])]))[0]
        made.df[row] = growth.df
    return made
