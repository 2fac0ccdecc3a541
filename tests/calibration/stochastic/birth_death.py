"""Immigration and death with normal noise: a problem, and its likelihood in closed form and by the master equation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.linalg import expm

from calibration.problem import Problem
from twin.model import Model, Observable, Parameter, Reaction, State
from twin.study import Estimate, Noise

TIMES = np.array([0.0, 0.5, 1.5, 2.0, 4.0])


def problem(
    start: float = 20.0, into: float = 20.0, times: np.ndarray = TIMES, sd: float | None = None, **changes
) -> Problem:
    """Two subjects, the second without the last reading and with two readings at one time; `sd` is estimated unless
    it is given."""
    model = Model(
        "immigration",
        [State("X", start)],
        [Parameter("into", into), Parameter("out", 0.5)],
        [Reaction("arrival", "-> X", "into"), Reaction("death", "X ->", "out * X")],
        observables=[Observable("x", "X")],
    )
    rng = np.random.default_rng(1)
    mean = start * np.exp(-0.5 * times) + into / 0.5 * (1 - np.exp(-0.5 * times))
    first = pd.DataFrame(
        {"subject": "1", "time": times, "observable": "x", "value": mean + rng.normal(0, 3, len(times))}
    )
    second = first.iloc[[3, 1, 1]].assign(subject="2")
    second["value"] += [2.0, -3.0, 1.0]
    estimates = [
        Estimate("into", into / 10, 10 * into, nominal=into),
        Estimate("out", 0.05, 5.0, nominal=0.5),
        Estimate("sd", 0.1, 30.0, nominal=2.0),
    ]
    estimates = estimates if sd is None else estimates[:2]
    noise = Noise("normal", "sd" if sd is None else sd)
    arguments = {"noise": noise, "rtol": 1e-8, "atol": 1e-10} | changes
    return Problem(model, pd.concat([first, second], ignore_index=True), estimates, **arguments)


def problem_in_a_cell() -> Problem:
    """A concentration in a compartment whose size is estimated."""
    model = Model(
        "cell",
        [State("X", 50.0, compartment="V")],
        [Parameter("V", 2.0), Parameter("out", 0.5)],
        [Reaction("death", "X ->", "out * X * V")],
        observables=[Observable("x", "X")],
    )
    table = pd.DataFrame({"time": [1.0, 2.0], "observable": "x", "value": [30.0, 20.0]})
    return Problem(model, table, [Estimate("V", 1.0, 4.0)], Noise("normal", 1.0))


def by_closed_form(problem: Problem, theta: np.ndarray, start: float = 20.0) -> float:
    """An Ornstein-Uhlenbeck process around the mean, filtered by hand."""
    into, out, sd = 10**theta
    total = 0.0
    for _, rows in problem.measurements.table.groupby("subject"):
        t, mean, d, c = 0.0, start, 0.0, 0.0
        for time, value in rows.sort_values("time", kind="stable")[["time", "value"]].to_numpy():
            left = np.exp(-out * (time - t))
            # Noise of the interval: those that were there die or stay, newcomers are Poisson.
            noise = mean * left * (1 - left) + into / out * (1 - left)
            mean, d, c, t = mean * left + into / out * (1 - left), d * left, c * left**2 + noise, time
            variance, off = c + sd**2, value - mean - d
            total -= 0.5 * (np.log(2 * np.pi * variance) + off**2 / variance)
            d, c = d + c / variance * off, c - c**2 / variance
    return total


def by_master_equation(problem: Problem, theta: np.ndarray, start: int, most: int = 60) -> float:
    """Exactly, over all numbers of molecules up to `most`."""
    into, out, sd = 10**theta
    counts = np.arange(most + 1)
    generator = np.diag(np.full(most, into), 1) + np.diag(out * counts[1:], -1)
    generator -= np.diag(generator.sum(axis=1))
    total = 0.0
    for _, rows in problem.measurements.table.groupby("subject"):
        t, law = 0.0, (counts == start) * 1.0
        for time, value in rows.sort_values("time", kind="stable")[["time", "value"]].to_numpy():
            law, t = law @ expm(generator * (time - t)), time
            law = law * stats.norm.pdf(value, counts, sd)
            total += np.log(law.sum())
            law /= law.sum()
    return total


@dataclass(frozen=True)
class Moments:
    """Means, standard deviations and the correlation of two entries of a posterior, estimation scale."""

    mean: np.ndarray
    sd: np.ndarray
    correlation: float


def moments_on_grid(problem: Problem, log_likelihood: Callable[[np.ndarray], float], cells: int = 21) -> Moments:
    """The posterior of two entries by the midpoints of a grid between their bounds, where the priors are uniform."""
    width = (problem.upper - problem.lower) / cells
    axes = [low + step * (0.5 + np.arange(cells)) for low, step in zip(problem.lower, width, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    value = np.array([log_likelihood(point) for point in points])
    weight = np.exp(value - value.max())
    mean = np.average(points, axis=0, weights=weight)
    covariance = np.cov(points, rowvar=False, aweights=weight, ddof=0)
    sd = np.sqrt(np.diag(covariance))
    return Moments(mean, sd, float(covariance[0, 1] / np.prod(sd)))
