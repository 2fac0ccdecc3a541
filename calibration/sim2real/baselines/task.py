"""What a baseline is given and what it returns, on the score scale.

Every baseline is a function ``(Task, Generator) -> Forecast`` for one observable. It sees the training rows
that the twin was calibrated on and the design (not the values) of the test rows. Readings below the detection
limit enter training at the limit, those of an interval at its middle: the baselines have no censored likelihood.
The scores map forecasts in the same way, so this costs them little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from twin.errors import ProblemError


class UndefinedBaselineError(ProblemError):
    """A baseline that makes no prediction for these rows; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Task:
    """Forecast the test rows of one observable from its training rows.

    Args:
        train: Training rows: columns experiment, series (str, unique per experiment and subject), time, y
            (score scale, clamped at the detection limit) and, where there is one, covariate.
        test: Test rows: the same columns without y.
        covariate: True when every row has a covariate (a dose) and the training rows have two or
            more of them.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    covariate: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """Earliest and latest time in training and test: the design, known beforehand."""
        times = np.concatenate([self.train["time"].to_numpy(dtype=float), self.test["time"].to_numpy(dtype=float)])
        return float(times.min()), float(times.max())


@dataclass(frozen=True, eq=False)
class Forecast:
    """A scaled Student t forecast per test row.

    Args:
        location: Centre, score scale.
        scale: Spread, score scale; the standard deviation of the normal where `df` is infinite.
        df: Degrees of freedom; fewer when the spread is itself known from few values.
        notes: What a reader of the report should know.
    """

    location: Float[np.ndarray, "reading"]
    scale: Float[np.ndarray, "reading"]
    df: Float[np.ndarray, "reading"]
    notes: tuple[str, ...] = ()

    def sample(self, draws: int, rng: np.random.Generator) -> Float[np.ndarray, "draw reading"]:
        """Independent draws of every row."""
        normal = rng.standard_normal((draws, len(self.location)))
        df = np.broadcast_to(self.df, self.location.shape)
        finite = np.where(np.isfinite(df), df, 1.0)
        shrink = np.where(np.isfinite(df), rng.chisquare(finite, normal.shape) / finite, 1.0)
        return self.location + self.scale * normal / np.sqrt(shrink)


Baseline = Callable[[Task, np.random.Generator], Forecast]


def empty_forecast(rows: int) -> Forecast:
    """A forecast to be filled in, NaN everywhere."""
    return Forecast(np.full(rows, np.nan), np.full(rows, np.nan), np.full(rows, np.inf))


def pool_for(task: Task, experiment: str) -> pd.DataFrame:
    """Training rows to predict an unseen series of `experiment` from.

    The other series of the same experiment if there are at least two, else all.
    """
    same = task.train.loc[task.train["experiment"] == experiment]
    return same if same["series"].nunique() >= 2 else task.train
