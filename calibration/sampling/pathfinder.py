"""Pathfinder: normal approximations along the paths of an optimiser, joined by importance sampling.

A quick look at a posterior, and only as good as its Pareto k says: above 0.7 the draws are those of the approximation,
not of the posterior. Paths, approximations and smoothed weights are blackjax's.

References:
    Zhang, Carpenter, Gelman & Vehtari, JMLR 23(306):1-49 (2022), algorithms 1 to 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.diagnostics import psis_weights
from blackjax.optimizers.lbfgs import lbfgs_inverse_hessian_formula_1
from blackjax.vi import pathfinder
from jaxtyping import Array, Float
from scipy import stats

from twin.errors import SimulationError
from twin.progress import Progress

DRAWS_FOR_BOUND = 10
"""Draws at each point of a path from which the evidence lower bound is estimated; the paper takes 5."""
ITERATIONS = 40
LINE_SEARCH = 20
FLOOR = -1e10
"""Log density where the integration fails: the line search has to compare numbers."""
BATCH = 1000


class Paths(NamedTuple):
    """What the paths found.

    Args:
        position: Draws, resampled by their smoothed weights.
        log_density: Log density there.
        bound: Evidence lower bound of each path.
        pareto_k: Shape of the tail of the weights.
        log_evidence: Log of the mean weight, the integral of the density.
        log_evidence_error: Its standard error, as far as the tail of the weights has one.
        failed: Paths without any finite approximation.
    """

    position: Float[np.ndarray, "draw parameter"]
    log_density: Float[np.ndarray, " draw"]
    bound: Float[np.ndarray, " path"]
    pareto_k: float
    log_evidence: float
    log_evidence_error: float
    failed: int


def run_pathfinder(
    log_density: Callable[[Float[Array, " parameter"]], Float[Array, ""]],
    positions: Float[np.ndarray, "path parameter"],
    key: Array,
    *,
    draws: int,
    line: Progress,
) -> Paths:
    """Approximate a density and draw from it.

    Args:
        log_density: Log density of one vector; mapped over paths and draws.
        positions: Where the paths start; the density has to be positive there.
        key: Random key; consumed.
        draws: Draws returned; the approximations are drawn from at least four times as often.
        line: Progress in paths.

    Raises:
        SimulationError: no path has a finite approximation.
    """

    def safe(x: Array) -> Array:
        value = log_density(x)
        return jnp.where(jnp.isfinite(value), value, FLOOR)

    count = len(positions)
    each = -(-4 * draws // count)
    first, second, third = jax.random.split(key, 3)

    @jax.jit
    def follow(key: Array, start: Array):
        return pathfinder.approximate(key, safe, start, DRAWS_FOR_BOUND, maxiter=ITERATIONS, maxls=LINE_SEARCH)[0]

    # One path after the other: JAX cannot map a line search over a likelihood that has a rule of its own for mapping.
    found = []
    for index, start in enumerate(positions):
        found.append(jax.tree.map(np.asarray, follow(jax.random.fold_in(first, index), start)))
        line.update(index + 1)
    finite = [each for each in found if np.isfinite(each.elbo)]
    if not finite:
        raise SimulationError(
            f"none of {count} paths found an approximation",
            where="pathfinder",
            fix="sample with another method, or begin from a fit",
        )
    states = jax.tree.map(lambda *x: np.stack(x), *finite)
    usable = len(states.elbo)
    draw = jax.jit(jax.vmap(lambda k, s: pathfinder.sample(k, s, each)))
    x, _ = draw(jax.random.split(second, usable), states)
    x = np.asarray(x).reshape(-1, positions.shape[1])
    value = jax.jit(jax.vmap(log_density))
    padded = np.concatenate([x, np.repeat(x[-1:], -len(x) % BATCH, axis=0)])
    log_p = np.concatenate([np.asarray(value(part)) for part in padded.reshape(-1, BATCH, x.shape[1])])[: len(x)]
    # Draws that cannot be integrated have no weight; smoothing looks at the others only.
    good = np.isfinite(log_p)
    ratio = log_p[good] - mixture_log_density(states, x[good])
    log_weights, pareto_k = psis_weights(jnp.asarray(ratio))
    weights = np.exp(np.asarray(log_weights))
    chosen = np.asarray(jax.random.choice(third, len(ratio), (draws,), p=weights / weights.sum()))
    raw = np.where(good, 0.0, -np.inf)
    raw[good] = ratio
    mean = np.logaddexp.reduce(raw) - np.log(len(raw))
    error = np.exp(raw - mean).std(ddof=1) / np.sqrt(len(raw))
    return Paths(
        x[good][chosen], log_p[good][chosen], states.elbo, float(pareto_k), float(mean), float(error), count - usable
    )


def mixture_log_density(
    states: pathfinder.PathfinderState, x: Float[np.ndarray, "draw parameter"]
) -> Float[np.ndarray, " draw"]:
    """Log density of the mixture of all paths' approximations.

    The paper weighs each draw by the approximation of its own path. Where paths end in different modes that counts a
    mode once for every path that came there; weights against the mixture do not.
    """
    each = []
    for index in range(len(states.elbo)):
        one = jax.tree.map(lambda leaf: leaf[index], states)  # noqa: B023, used within the turn
        covariance = np.asarray(lbfgs_inverse_hessian_formula_1(one.alpha, one.beta, one.gamma))
        mean = one.position + covariance @ one.grad_position
        each.append(stats.multivariate_normal(mean, covariance, allow_singular=True).logpdf(x))
    return np.logaddexp.reduce(each, axis=0) - np.log(len(each))
