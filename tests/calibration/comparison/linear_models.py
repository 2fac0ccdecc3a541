"""Polynomials in time: fits, information criteria, leave-one-out densities and evidence have closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration import Problem
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.study import Estimate, Noise, Prior

TIMES = np.linspace(0.0, 5.0, 12)
SD, WIDTH = 0.3, 1.0
"""Noise and width of the normal priors of `conjugate`."""
VALUES = 1.0 + 0.8 * TIMES + 0.1 * TIMES**2 + SD * np.random.default_rng(0).standard_normal(len(TIMES))
RATES = ("0 * b", "b", "b + 2 * c * time")


def table(values: Float[np.ndarray, " reading"] = VALUES) -> pd.DataFrame:
    """The readings."""
    frame = pd.DataFrame({"time": TIMES, "value": values})
    return frame.assign(experiment="e", subject="1", observable="y", noise=np.nan, censoring="")


def polynomial(degree: int, readings: pd.DataFrame | None = None) -> Problem:
    """Flat priors, noise of unknown size: degree + 2 parameters."""
    estimates = [Estimate(name, -5.0, 5.0, scale="lin", nominal=0.5) for name in "abc"[: degree + 1]]
    estimates.append(Estimate("sd", 0.01, 10.0, scale="log", nominal=0.5))
    return Problem(_model(degree), table() if readings is None else readings, estimates, Noise("normal", "sd"))


def conjugate(degree: int) -> Problem:
    """Normal priors of all coefficients and noise of known size: the posterior is normal."""
    prior = Prior("normal", 0.5, WIDTH)
    estimates = [Estimate(name, -9.0, 10.0, scale="lin", nominal=0.5, prior=prior) for name in "abc"[: degree + 1]]
    return Problem(_model(degree), table(), estimates, Noise("normal", SD))


def design(degree: int) -> Float[np.ndarray, "reading coefficient"]:
    """y = design @ (a, b, c)."""
    return np.vander(TIMES, degree + 1, increasing=True)


def least_nllh(degree: int) -> float:
    """Smallest negative log-likelihood of `polynomial`: n/2 (1 + log(2 pi RSS / n))."""
    residual = VALUES - design(degree) @ np.linalg.lstsq(design(degree), VALUES, rcond=None)[0]
    count = len(VALUES)
    return 0.5 * count * (1.0 + np.log(2.0 * np.pi * residual @ residual / count))


def left_out(degree: int) -> Float[np.ndarray, " reading"]:
    """Log density of each reading under the exact posterior of all the others, for `conjugate`."""
    x, found = design(degree), []
    for i in range(len(VALUES)):
        keep = np.arange(len(VALUES)) != i
        covariance = np.linalg.inv(x[keep].T @ x[keep] / SD**2 + np.eye(degree + 1) / WIDTH**2)
        mean = covariance @ (x[keep].T @ VALUES[keep] / SD**2 + 0.5 / WIDTH**2)
        variance = SD**2 + x[i] @ covariance @ x[i]
        found.append(-0.5 * np.log(2 * np.pi * variance) - 0.5 * (VALUES[i] - x[i] @ mean) ** 2 / variance)
    return np.array(found)


def log_evidence(degree: int) -> float:
    """Log density of all readings with the coefficients integrated out, for `conjugate`."""
    x = design(degree)
    covariance = SD**2 * np.eye(len(VALUES)) + WIDTH**2 * x @ x.T
    residual = VALUES - x @ np.full(degree + 1, 0.5)
    return float(
        -0.5 * (residual @ np.linalg.solve(covariance, residual) + np.linalg.slogdet(2 * np.pi * covariance)[1])
    )


def _model(degree: int) -> Model:
    return Model(
        f"degree {degree}".replace(" ", "_"),
        [State("x", "a")],
        [Parameter(name, 0.5) for name in "abc"],
        odes={"x": RATES[degree]},
        observables=[Observable("y", "x")],
    )
