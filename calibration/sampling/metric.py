"""The metric of a population: its covariance, or the shape of its modes where there are several.

A covariance across modes makes the distance between them a scale, and steps that fit inside a mode then hardly move in
its other directions. Differences between neighbours have the shape of a mode; where there is one mode only, neighbours
in whitened coordinates lie in all directions alike and the shape is the covariance's.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NEIGHBOURS = 0.2
"""Share of a population that are one particle's neighbours: a mode of less weight has neighbours elsewhere."""
REFINEMENTS = 2
FLOOR = 1e-10


def local_metric(u: Float[Array, "particle parameter"]) -> Float[Array, "parameter parameter"]:
    """Inverse mass matrix of equally weighted particles; at most their covariance in every direction."""
    count, size = u.shape
    away = u - jnp.mean(u, axis=0)
    covariance = away.T @ away / count
    # Shrunk towards its diagonal: a small population does not determine all correlations.
    trust = count / (count + 2.0 * (size + 2.0))
    metric = trust * covariance + (1 - trust) * jnp.diag(jnp.diag(covariance)) + FLOOR * jnp.eye(size)
    near = max(2, round(NEIGHBOURS * count))
    if count < 4 * (size + 1):
        return metric
    for _ in range(REFINEMENTS):
        root = jnp.linalg.cholesky(metric)
        white = jax.scipy.linalg.solve_triangular(root, away.T, lower=True).T
        square = jnp.sum(white**2, axis=1)
        distance = square[:, None] + square[None, :] - 2.0 * white @ white.T
        mask = (distance <= jnp.sort(distance, axis=1)[:, near - 1 : near]).astype(u.dtype)
        # sum over pairs of (x_i - x_j)(x_i - x_j)^T, as a quadratic form
        form = jnp.diag(mask.sum(axis=0) + mask.sum(axis=1)) - mask - mask.T
        shape = white.T @ form @ white / mask.sum()
        shape = trust * shape + (1 - trust) * jnp.eye(size) * jnp.trace(shape) / size
        shape = shape / jnp.maximum(jnp.linalg.eigvalsh(shape)[-1], FLOOR)
        metric = root @ shape @ root.T + FLOOR * jnp.eye(size)
    return metric
