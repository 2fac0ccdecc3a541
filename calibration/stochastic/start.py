"""Where samplers of intrinsic noise begin: the best vector by a likelihood with gradients, and the curvature there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

from calibration.optimise.fit import fit
from calibration.optimise.starts import latin_hypercube, strictly_inside
from calibration.problem import Problem
from calibration.sampling.whitening import whiten
from calibration.stochastic.linear_noise import LinearNoiseLikelihood
from twin.errors import SimulationError, UnsupportedModelError
from twin.precision import in_float64
from twin.progress import progress

CANDIDATES = 32
"""Points of the prior that are looked at for each start that is taken."""
DIFFERENCE = 1e-4
"""Step of the differences of gradients, as a share of the bounds' range; gradients are good to 1e-6 or so."""
HIGHER = 1e3
"""What the optimiser sees above its start where an integration fails: high enough to turn back from, and of the
size of log-likelihoods, so that its interpolation still works."""
INNER = 0.02
"""Share of the range that a guess of the covariance keeps away from the bounds, where it would vanish."""


class Start(NamedTuple):
    """Where to begin.

    Args:
        theta: Best vector, estimation scale.
        log_posterior: Log-likelihood plus log-prior there, by the likelihood that found it.
        curvature: Positive semi-definite Hessian of the negative log-posterior there.
        found_by: Which likelihood that is.
    """

    theta: Float[np.ndarray, " parameter"]
    log_posterior: float
    curvature: Float[np.ndarray, "parameter parameter"]
    found_by: str


class ByChance(Protocol):
    """A likelihood of a mechanism that reacts by chance, with gradients."""

    problem: Problem
    log_likelihood_and_gradient_many: Callable[..., tuple[Array, Array]]


@in_float64
def fit_by_chance(
    likelihood: ByChance, starts: int = 4, seed: int = 0, *, found_by: str = "linear noise", quiet: bool = False
) -> Start:
    """The vector of the largest log-posterior that is found, by L-BFGS-B of SciPy.

    Args:
        likelihood: The likelihood.
        starts: Searches, from the best of so many times 32 points of the prior and the nominal vector.
        seed: Seed of these points.
        found_by: What the likelihood is called.
        quiet: Show no progress.

    Raises:
        SimulationError: none of the points can be integrated.
    """
    problem = likelihood.problem
    points = np.concatenate([problem.nominal[None], latin_hypercube(problem.prior, CANDIDATES * starts, seed)])
    points = strictly_inside(points, problem.lower, problem.upper)
    with progress(f"fitting {problem.name}", len(points) + starts, quiet) as line:
        values = []
        for index, point in enumerate(points):
            values.append(_log_posterior(likelihood, point)[0])
            line.update(index, "looking for starts")
        order = [index for index in np.argsort(values)[::-1] if np.isfinite(values[index])]
        if not order:
            raise SimulationError(
                f"the likelihood ({found_by}) could be computed at none of {len(points)} points of the prior",
                where=problem.name,
                fix="narrow the priors or raise max_steps",
            )
        found = []
        for index, chosen in enumerate(order[:starts]):
            found.append(_search(likelihood, points[chosen], values[chosen]))
            line.update(len(points) + index, "searching")
    theta, value = max(found, key=lambda each: each[1])
    return Start(theta, value, _curvature(likelihood, theta), found_by)


def start_of(problem: Problem, seed: int = 0, *, quiet: bool = False) -> Start:
    """Where to begin, by the linear noise approximation; by the problem's own likelihood where that is not defined."""
    try:
        likelihood = LinearNoiseLikelihood(problem)
    except UnsupportedModelError:
        best = fit(problem, starts=8, seed=seed, quiet=quiet)
        return Start(best.best, -float(best.objective[0]), best.curvature, "means without fluctuations")
    return fit_by_chance(likelihood, seed=seed, quiet=quiet)


def guessed_covariance(problem: Problem, start: Start) -> Float[np.ndarray, "parameter parameter"]:
    """Covariance on the estimation scale from the curvature; where that is flat, that of the bounds' range."""
    width = problem.upper - problem.lower
    share = np.clip((start.theta - problem.lower) / width, INNER, 1 - INNER)
    whitening = whiten(problem.lower + share * width, start.curvature, problem.lower, problem.upper)
    factor = (width * share * (1 - share))[:, None] * whitening.factor
    return factor @ factor.T


def _log_posterior(likelihood: ByChance, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Log-posterior and its gradient; minus infinity where it cannot be computed."""
    value, slope = likelihood.log_likelihood_and_gradient_many(theta[None])
    prior, of_prior = jax.value_and_grad(likelihood.problem.prior.log_density)(jnp.asarray(theta))
    total, gradient = float(value[0]) + float(prior), np.asarray(slope[0]) + np.asarray(of_prior)
    if not (np.isfinite(total) and np.isfinite(gradient).all()):
        return -np.inf, np.zeros_like(gradient)
    return total, gradient


def _search(likelihood: ByChance, theta: np.ndarray, value: float) -> tuple[np.ndarray, float]:
    problem = likelihood.problem

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient = _log_posterior(likelihood, x)
        return (-total, -gradient) if np.isfinite(total) else (HIGHER - value, gradient)

    bounds = list(zip(problem.lower, problem.upper, strict=True))
    found = minimize(negative, theta, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x), -float(found.fun)


def _curvature(likelihood: ByChance, best: np.ndarray) -> Float[np.ndarray, "parameter parameter"]:
    """Curvature of the negative log-posterior by central differences of gradients, its negative directions cut off."""
    problem, size = likelihood.problem, len(best)
    step = DIFFERENCE * (problem.upper - problem.lower)
    centre = np.clip(best, problem.lower + 2 * step, problem.upper - 2 * step)
    rows = np.zeros((size, size))
    for index, shift in enumerate(step * np.eye(size)):
        (up, more), (down, less) = (_log_posterior(likelihood, centre + sign * shift) for sign in (1, -1))
        if np.isfinite(up) and np.isfinite(down):
            rows[index] = (less - more) / (2 * step[index])
    values, vectors = np.linalg.eigh(0.5 * (rows + rows.T))
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
