"""The power posterior: readings of a likelihood that is wrong count for less than they claim.

    p(theta | y) proportional to p(y | theta)^w p(theta)

A likelihood that takes readings as independent where a mechanism misses them together is surer than it may be. The
power w is matched to how much the scores really scatter: with the curvature H of the negative log-likelihood and the
covariance K of its score at the best vector, estimates scatter by H^-1 K H^-1 instead of H^-1, and

    w = tr(M H) / tr(M K),   M = (H + curvature of the prior)^-1

gives the posterior the right spread on average over the directions that readings tell of (for flat priors: number of
parameters over tr(H^-1 K)). K is estimated from what readings at one time contribute together, with the correlation of
neighbouring times in a series (Bartlett weights, as many neighbours as Andrews's rule takes). It widens a posterior and
does not move it: a bias stays.

References:
    Ribatet, Cooley & Davison (2012), doi:10.5705/ss.2009.248 (the magnitude adjustment). Newey & West (1987),
    doi:10.2307/1913610. Andrews (1991), doi:10.2307/2938229 (how many neighbours). Bissiri, Holmes & Walker (2016),
    doi:10.1111/rssb.12158.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from calibration.optimise import Fit, fit
from calibration.predict import draws_to_tree
from calibration.problem import Problem
from calibration.sampling.around_fit import nuts_around
from calibration.sampling.posterior import add_log_prior
from twin.errors import ProblemError, SimulationError
from twin.precision import in_float64

STEP = 1e-4
"""Of differences, as a share of the bounds' range: derivatives are good to 1e-6 or so, scatter to a tenth at best."""
FEWEST = 10
"""Moments (times of series) below which their scatter says nothing."""


class Power(NamedTuple):
    """How much the readings may count.

    Args:
        power: w, between 0 and 1.
        moments: Times of all series, whose contributions scatter.
        lag: Neighbouring times of a series that are taken as related.
    """

    power: float
    moments: int
    lag: int


class Powered:
    """A problem whose likelihood is raised to a power; what NUTS samples.

    Args:
        problem: The problem.
        power: The power.
    """

    def __init__(self, problem: Problem, power: float) -> None:
        self.problem, self.power, self.name = problem, power, problem.name
        self.names, self.lower, self.upper = problem.names, problem.lower, problem.upper

    def log_posterior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log-likelihood times the power, plus log-prior."""
        return self.power * self.problem.log_likelihood(theta) + self.problem.log_prior(theta)

    def log_likelihood_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, " draw"]:
        """Log-likelihood times the power."""
        return self.power * self.problem.log_likelihood_many(thetas)


@in_float64
def matched_power(problem: Problem, theta: Float[np.ndarray, " parameter"]) -> Power:
    """The power that gives the posterior the spread which the scatter of the scores asks for; at most 1.

    Args:
        problem: The problem.
        theta: The best vector, estimation scale.

    Raises:
        ProblemError: readings are at fewer than ten moments.
        SimulationError: the neighbourhood of the vector cannot be integrated.

    Example:
        >>> matched_power(problem, calibration.fit(problem).best).power
    """
    moment, lane = _moments(problem)
    if len(lane) < FEWEST:
        raise ProblemError(
            f"readings are at {len(lane)} moments",
            where="matched_power",
            expected=f"at least {FEWEST}, to see how they scatter",
            fix="give the power",
        )
    scores, curvature = _scores_and_curvature(problem, np.asarray(theta, dtype=float))
    each = np.zeros((len(lane), len(theta)))
    np.add.at(each, moment, scores)
    # At a bound, or drawn by the prior, scores do not sum to nothing; their mean is no scatter.
    each -= each.mean(axis=0)
    prior = -np.asarray(jax.hessian(problem.prior.log_density)(jnp.asarray(theta)))
    inverse = np.linalg.inv(curvature + _positive(np.nan_to_num(prior)) + 1e-12 * np.eye(len(theta)))
    scatter, lag = _scatter(each, lane, inverse)
    power = float(np.trace(inverse @ curvature) / np.trace(inverse @ scatter))
    return Power(min(1.0, power), len(lane), lag)


@in_float64
def sample_power_posterior(
    problem: Problem,
    power: float | None = None,
    *,
    seed: int = 0,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    starts: int = 24,
    initial: Fit | None = None,
    predictive: bool = True,
    quiet: bool = False,
) -> xr.DataTree:
    """Draw from the posterior whose likelihood is raised to a power, by NUTS.

    Args:
        problem: The problem.
        power: The power, above 0; default `matched_power` at the best vector.
        seed: Seed of everything random.
        chains: Chains; they are lanes of every solve.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        starts: Starts of the fit, if none is given.
        initial: A fit of the problem.
        predictive: Also draw readings, with the noise of the problem.
        quiet: Show no progress.

    Returns:
        A tree as that of `calibration.sample`. ``log_likelihood`` has the densities themselves, not their powers.
        ``attrs`` has ``power``, and ``power_moments`` and ``power_lag`` where it was matched.

    Raises:
        ProblemError: a power that is not above 0, or too few readings to match one.
        SimulationError: no starting point can be integrated.

    Example:
        >>> tree = calibration.sample_power_posterior(problem)
        >>> tree.attrs["power"]
    """
    if power is not None and not (math.isfinite(power) and power > 0):
        raise ProblemError(f"the power is {power}", where="sample_power_posterior", expected="a number above 0")
    best = initial if initial is not None else fit(problem, starts=starts, seed=seed, quiet=quiet)
    matched = matched_power(problem, best.best) if power is None else None
    used = matched.power if matched is not None else float(power or 0.0)
    begin = time.perf_counter()
    found = nuts_around(
        Powered(problem, used),
        best.best,
        used * best.curvature,
        jax.random.fold_in(jax.random.key(seed), 8),
        seed=seed,
        chains=chains,
        warmup=warmup,
        draws=draws,
        target_acceptance=0.9,
        max_doublings=8,
        quiet=quiet,
    )
    seconds = time.perf_counter() - begin
    tree = draws_to_tree(problem, found.theta, seed=seed, predictive=predictive, sample_stats=found.stats)
    add_log_prior(tree, problem, found.theta)
    tree.attrs |= {"seed": seed, "sampler": "NUTS", "power": used, "sampling_seconds": seconds}
    if matched is not None:
        tree.attrs |= {"power_moments": matched.moments, "power_lag": matched.lag}
    return tree


def _moments(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The moment of every reading, and the series of every moment; moments of a series ascend in time."""
    table = problem.bindings
    pairs, moment = np.unique(np.stack([table.lane, table.sample]), axis=1, return_inverse=True)
    return moment.reshape(-1), pairs[0]


def _scatter(
    each: Float[np.ndarray, "moment parameter"], lane: np.ndarray, weight: Float[np.ndarray, "parameter parameter"]
) -> tuple[Float[np.ndarray, "parameter parameter"], int]:
    """Covariance of the sum of contributions whose neighbours in a series are related, and how many neighbours count.

    The number is Andrews's for a process that forgets as one of first order does, whose correlation is that of
    neighbours, directions weighted as the power weighs them.
    """

    def cross(step: int) -> np.ndarray:
        together = lane[step:] == lane[:-step]
        return each[step:][together].T @ each[:-step][together]

    own = each.T @ each
    related = min(abs(float(np.trace(weight @ cross(1)) / np.trace(weight @ own))), 0.97)
    length = len(lane) / len(np.unique(lane))
    bandwidth = 1.1447 * (4 * related**2 / (1 - related**2) ** 2 * length) ** (1 / 3)
    lag = int(np.clip(math.ceil(bandwidth), 1, max(1, length // 2)))
    scatter = own.copy()
    for step in range(1, lag + 1):
        scatter += (1 - step / (lag + 1)) * (cross(step) + cross(step).T)
    return scatter, lag


def _scores_and_curvature(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of every reading's log density, and the curvature of their negative sum, by central differences."""
    step = STEP * (problem.upper - problem.lower)
    centre = np.clip(theta, problem.lower + 2 * step, problem.upper - 2 * step)
    around = np.concatenate([centre + np.diag(step), centre - np.diag(step)])
    each = np.asarray(problem.pointwise_many(around))
    _, slope = problem.log_likelihood_and_gradient_many(around)
    if not np.isfinite(each).all():
        raise SimulationError(
            "vectors near the best one cannot be integrated", where=problem.name, fix="raise max_steps"
        )
    size = len(theta)
    scores = (each[:size] - each[size:]).T / (2 * step)
    slope = np.asarray(slope)
    return scores, _positive((slope[size:] - slope[:size]) / (2 * step)[:, None])


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The symmetric part without its negative directions."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
