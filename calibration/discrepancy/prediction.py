"""Predictions of mechanism and discrepancy together, for readings that were not used."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float

from calibration.discrepancy.kernel import Scales, condition, root_of
from calibration.discrepancy.likelihood import MarginalLikelihood
from calibration.discrepancy.posterior import Discrepancy
from calibration.problem import Problem
from calibration.shared_program import SharedProgram
from twin.errors import ProblemError
from twin.precision import in_float64

CHUNK = 100
"""Draws per compiled call: bounds the memory of their covariances."""


class Predicted(NamedTuple):
    """Predictions of all readings by posterior draws.

    Args:
        reading: New readings, with discrepancy and noise.
        log_likelihood: Log density of each reading by itself, given the training readings and the draw.
        ok: Whether the draw could be integrated for all rows.
    """

    reading: Float[np.ndarray, "draw reading"]
    log_likelihood: Float[np.ndarray, "draw reading"]
    ok: Bool[np.ndarray, " draw"]


@in_float64
def predict_with_discrepancy(
    found: Discrepancy, problem: Problem, train: Bool[np.ndarray, " reading"], *, seed: int = 0
) -> Predicted:
    """Predict every reading by mechanism and discrepancy, the latter conditioned on the training readings.

    Args:
        found: Posterior for the training rows alone.
        problem: The problem with all rows.
        train: Which of them `found` was sampled on.
        seed: Seed of discrepancy and noise; one replicate per posterior draw.

    Raises:
        ProblemError: `train` are not the rows that were sampled, or the readings do not allow a discrepancy.
    """
    train = np.asarray(train, dtype=bool)
    if train.sum() != len(found.likelihood.time):
        raise ProblemError(
            f"{int(train.sum())} training rows, but the discrepancy was sampled on {len(found.likelihood.time)}",
            where=problem.name,
            fix="pass the rows that the sampled problem was made of",
        )
    trained = found.likelihood
    like = MarginalLikelihood(problem, shared=trained.shared, along=trained.along, doses=trained.doses)
    order = np.array([found.likelihood.observables.index(o) if o in found.likelihood.observables else -1
                      for o in like.observables])  # fmt: skip

    @SharedProgram
    def chunk(theta: Array, scales: Scales, normal: Array) -> tuple[Array, Array, Array]:
        one = lambda *draw: _one(like, train, order, *draw)  # noqa: E731
        return jax.vmap(one)(theta, scales, normal)

    theta, scales = found.theta.reshape(-1, found.theta.shape[-1]), found.scales
    count = len(theta)
    draws = theta, scales, np.random.default_rng([seed, 17]).normal(size=(count, 2 * len(train)))
    parts = []
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        rows = np.minimum(np.arange(start, start + CHUNK), count - 1)  # the last one again, where they are fewer
        given = jax.tree.map(lambda x, rows=rows: jnp.asarray(x[rows]), draws)
        parts.append([np.asarray(x)[:size] for x in chunk(*given)])
    return Predicted(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def _one(
    like: MarginalLikelihood,
    train: Bool[np.ndarray, " reading"],
    order: np.ndarray,
    theta: Array,
    scales: Scales,
    normal: Array,
) -> tuple[Array, Array, Array]:
    """Readings, their log densities and whether they exist, for one draw."""
    residual, scale = like.residuals(theta)
    ok = jnp.all(jnp.isfinite(residual)) & jnp.all(jnp.isfinite(scale))
    residual, scale = jnp.where(ok, residual, 0.0), jnp.where(ok, scale, 1.0)
    count = len(train)
    shift, variance, drawn = jnp.zeros(count), jnp.ones(count), jnp.zeros(count)
    for rows, index in zip(like.rows, order, strict=True):
        seen = rows[train[rows]]
        if index < 0 or not len(seen):
            continue  # never read in training: the discrepancy of this observable has no posterior
        mean, left = condition(
            residual[seen],
            like.places.at(seen),
            like.places.at(rows),
            jax.tree.map(lambda x, index=index: x[index], scales),
        )
        shift = shift.at[rows].set(mean)
        variance = variance.at[rows].set(1.0 + jnp.maximum(jnp.diag(left), 0.0))
        drawn = drawn.at[rows].set(mean + root_of(left) @ normal[rows])
    reading = jnp.zeros(count)
    log_density = norm.logpdf(residual, shift, jnp.sqrt(variance)) - jnp.log(scale)
    for name, rows in zip(like.observables, like.rows, strict=True):
        noise, observed = like.problem.noise_models[name], jnp.asarray(like.problem.bindings.value[rows])
        centre = noise.centre(observed) - scale[rows] * residual[rows]
        new = centre + scale[rows] * (drawn[rows] + normal[count + rows])
        reading = reading.at[rows].set(jnp.exp(new) if noise.positive else new)
        if noise.positive:
            log_density = log_density.at[rows].add(-jnp.log(observed))
    return reading, jnp.where(ok, log_density, -jnp.inf), ok
