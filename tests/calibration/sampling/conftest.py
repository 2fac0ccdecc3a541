"""Posteriors whose evidence and modes are known: one linear and normal, one with two modes by quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration import Problem
from twin.model import Model
from twin.model.parts import Observable, Parameter, Reaction, State
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])


class Known(NamedTuple):
    """A problem with what is known of its posterior.

    Args:
        problem: The problem.
        log_evidence: Logarithm of the density of its readings.
        mean: Posterior mean of theta.
        share: Posterior probability of a positive first entry.
    """

    problem: Problem
    log_evidence: float
    mean: np.ndarray
    share: float


@pytest.fixture(scope="session")
def conjugate(decay: Model, table_of_rows: Callable[..., pd.DataFrame]) -> Known:
    """ln y = ln A0 - k t with normal priors of k and ln A0 and normal errors: everything is normal.

    The bounds leave out a probability of 1e-3 of the prior of k (k < 0), which is accounted for, and of 1e-6 elsewhere.
    """
    sd, location, width = 0.3, np.array([0.6, 0.5]), np.array([0.2, 0.3])
    logarithm = np.log(2.0) - 0.5 * TIMES + sd * np.random.default_rng(2).normal(size=6)
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(logarithm), strict=True)])
    estimates = [
        Estimate("k", 0.0, 5.0, scale="lin", nominal=0.5, prior=Prior("normal", location[0], width[0])),
        Estimate("A0", 0.01, 100.0, scale="log", prior=Prior("normal", location[1], width[1])),
    ]
    design = np.stack([-TIMES, np.ones(6)], axis=1)
    spread = sd**2 * np.eye(6) + design @ np.diag(width**2) @ design.T
    evidence = stats.multivariate_normal(design @ location, spread).logpdf(logarithm) - logarithm.sum()
    evidence -= np.log(stats.norm.sf(0.0, location[0], width[0]))
    covariance = np.linalg.inv(design.T @ design / sd**2 + np.diag(width**-2))
    mean = covariance @ (design.T @ logarithm / sd**2 + location / width**2)
    problem = Problem(decay, table, estimates, Noise("log_normal", sd), name="conjugate")
    return Known(problem, float(evidence), mean, 1.0)


@pytest.fixture(scope="session")
def bimodal(table_of_rows: Callable[..., pd.DataFrame]) -> Known:
    """y = a^2 exp(-k t): the sign of a shows in its prior only, which gives the modes different weights."""
    sd = 0.1
    model = Model(
        "squared",
        [State("A", "a^2")],
        [Parameter("k", 0.5), Parameter("a", 1.0)],
        [Reaction("loss", "A ->", "k * A")],
        observables=[Observable("y", "A")],
    )
    values = 2.25 * np.exp(-0.5 * TIMES) + sd * np.random.default_rng(5).normal(size=6)
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, values, strict=True)])
    of_a, of_k = stats.norm(0.3, 1.0), stats.norm(0.6, 0.3)
    estimates = [
        Estimate("a", -6.0, 6.0, scale="lin", nominal=1.0, prior=Prior("normal", 0.3, 1.0)),
        Estimate("k", 0.01, 5.0, scale="lin", nominal=0.5, prior=Prior("normal", 0.6, 0.3)),
    ]
    # The mid-point rule on a grid much finer than the modes are wide (0.03 and 0.05).
    a = np.linspace(-6.0, 6.0, 4001)[1:] - 0.0015
    k = np.linspace(0.01, 5.0, 2001)[1:] - 0.0012475
    log = (of_a.logpdf(a) - np.log(np.diff(of_a.cdf([-6, 6])).item()))[:, None]
    log = log + of_k.logpdf(k) - np.log(np.diff(of_k.cdf([0.01, 5.0])).item())
    for t, value in zip(TIMES, values, strict=True):
        log += stats.norm.logpdf(value, a[:, None] ** 2 * np.exp(-k * t), sd)
    weight = np.exp(log - log.max())
    evidence = np.log(weight.sum() * 0.003 * 0.002495) + log.max()
    weight /= weight.sum()
    mean = np.array([(weight.sum(axis=1) * a).sum(), (weight.sum(axis=0) * k).sum()])
    problem = Problem(model, table, estimates, Noise("normal", sd), name="bimodal")
    return Known(problem, float(evidence), mean, float(weight[a > 0].sum()))


@pytest.fixture(scope="session")
def blows_up(explosion: Model, table_of_rows: Callable[..., pd.DataFrame]) -> Known:
    """x = 1 / (1 - k t): above k = 1/2 the solution ends before the reading at t = 2, so half the prior fails."""
    sd, time, value = 0.2, 2.0, 1.7
    table = table_of_rows([("e", "1", "y", time, value)])
    problem = Problem(
        explosion, table, [Estimate("k", 0.0, 1.0, scale="lin", nominal=0.2)], Noise("normal", sd), max_steps=200,
        name="blows_up",
    )  # fmt: skip
    k = np.linspace(0.0, 0.5, 200_001)[:-1] + 1.25e-6
    weight = stats.norm.pdf(value, 1 / (1 - k * time), sd)
    evidence = np.log(weight.mean() * 0.5)
    return Known(problem, float(evidence), np.array([(weight * k).sum() / weight.sum()]), 1.0)
