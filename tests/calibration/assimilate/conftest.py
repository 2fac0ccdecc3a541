"""A decay with normal prior and log-normal noise, whose posterior is known after every reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import calibration
from twin.live import Twin
from twin.model import Model
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
SD, LOCATION, WIDTH = 0.3, np.array([1.2, 0.5]), np.array([0.2, 0.3])
PARTICLES = 2000


class Linear(NamedTuple):
    """ln y = ln A0 - k t with normal priors of k and ln A0: the posterior is normal.

    Args:
        twin: From the prior, without readings.
        table: The readings. k is well below its prior's mean: each of them tells something.
    """

    twin: Twin
    table: pd.DataFrame

    def exact(self, count: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean and covariance after so many readings, and the log density of the last one given those before."""

        def of(count: int) -> tuple[np.ndarray, np.ndarray]:
            design, y = self._parts(count)
            covariance = np.linalg.inv(design.T @ design / SD**2 + np.diag(WIDTH**-2.0))
            return covariance @ (design.T @ y / SD**2 + LOCATION / WIDTH**2), covariance

        mean, covariance = of(count)
        before, spread = of(count - 1)
        design, y = self._parts(count)
        variance = design[-1] @ spread @ design[-1] + SD**2
        density = -0.5 * np.log(2 * np.pi * variance) - 0.5 * (y[-1] - design[-1] @ before) ** 2 / variance - y[-1]
        return mean, covariance, float(density)

    def _parts(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        times = self.table["time"].to_numpy()[:count]
        return np.stack([-times, np.ones(count)], axis=1), np.log(self.table["value"].to_numpy()[:count])


@pytest.fixture(scope="session")
def linear(decay: Model, table_of_rows: Callable[..., pd.DataFrame]) -> Linear:
    logarithm = np.log(2.0) - 0.5 * TIMES + SD * np.random.default_rng(2).normal(size=len(TIMES))
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(logarithm), strict=True)])
    # The bounds are 6 and more prior standard deviations away.
    estimates = [
        Estimate("k", 0.0, 5.0, scale="lin", nominal=0.5, prior=Prior("normal", LOCATION[0], WIDTH[0])),
        Estimate("A0", 0.01, 100.0, scale="log", prior=Prior("normal", LOCATION[1], WIDTH[1])),
    ]
    problem = calibration.Problem(decay, table, estimates, Noise("log_normal", SD), name="linear")
    return Linear(calibration.twin_of(problem, particles=PARTICLES, seed=1), table)


@pytest.fixture(scope="session")
def updated(linear: Linear) -> list[Twin]:
    """The twin after 0, 1, ... readings, taken in one by one."""
    found = [linear.twin]
    for row in range(len(linear.table)):
        found.append(found[-1].update(linear.table.iloc[[row]]))
    return found
