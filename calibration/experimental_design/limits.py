"""Fisher information of a reading before it is taken, where it may turn out to lie below a detection limit.

A reading y of density p that is reported only above a limit L has the information

    I = int_{y > L} u u' p dy + P grad(log P) grad(log P)',    P = probability of y < L, u = grad(log p),

about prediction and noise scale. Far above the limit this is the information of the noise model; far below it, nothing.
Unlike an uncensored reading of a symmetric family it has a mixed term. Both parts come from the noise model's own
densities; the integral is taken over z = (y - f) / s on the scale on which the noise is additive, by Gauss's rule on
either side of z = 0 (a Laplace density has a kink there) with an algebraic map of the infinite ends.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.noise import NoiseModel

NODES = 48


class Information(NamedTuple):
    """Information of readings about their predictions and noise scales, and the mixed term."""

    of_value: Float[Array, "*reading"]
    mixed: Float[Array, "*reading"]
    of_scale: Float[Array, "*reading"]


def expected_information(
    model: NoiseModel,
    value: Float[Array, "*draw reading"],
    scale: Float[Array, "*draw reading"],
    limit: Float[np.ndarray, " reading"],
) -> Information:
    """Information of readings that have not been taken.

    Args:
        model: The noise model.
        value: Predictions.
        scale: Noise scales.
        limit: Detection limits; NaN for none.
    """
    of_value, of_scale = model.information(value, scale)
    mixed = jnp.zeros_like(of_value)
    rows = np.flatnonzero(np.isfinite(limit))
    if len(rows):
        each = _limited(model, value[..., rows], scale[..., rows], jnp.asarray(limit[rows]))
        of_value = of_value.at[..., rows].set(each.of_value)
        mixed = mixed.at[..., rows].set(each.mixed)
        of_scale = of_scale.at[..., rows].set(each.of_scale)
    return Information(of_value, mixed, of_scale)


def _limited(model: NoiseModel, value: Array, scale: Array, limit: Array) -> Information:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    share, weight = 0.5 * (nodes + 1), 0.5 * weights
    f, s, low = (jnp.broadcast_to(x, value.shape)[..., None] for x in (value, scale, limit))
    first = (model.centre(low) - model.centre(f)) / s
    # Above the middle, or above the limit if that is higher: z = a + t / (1 - t).
    above = jnp.maximum(first, 0.0) + share / (1 - share)
    of_above = weight / (1 - share) ** 2
    # Between the limit and the middle: z = -t / (1 - t) up to the t of the limit; nothing if the limit is higher.
    depth = jnp.maximum(-first, 0.0)
    end = depth / (1 + depth)
    below = -(share * end) / (1 - share * end)
    of_below = weight * end / (1 - share * end) ** 2
    z = jnp.concatenate([above, below], axis=-1)
    of_z = jnp.concatenate([jnp.broadcast_to(of_above, above.shape), of_below], axis=-1)
    f, s = (jnp.broadcast_to(x, z.shape) for x in (f, s))
    moved = model.centre(f) + s * z
    y = jnp.exp(moved) if model.positive else moved
    spacing = s * y if model.positive else s
    probability = jnp.exp(model.log_density(y, f, s)) * spacing * of_z
    slopes = jax.grad(lambda f, s: jnp.sum(model.log_density(y, f, s)), argnums=(0, 1))(f, s)
    # Beyond the range of floats the density is zero, and its logarithm's slope is not a number.
    by_f, by_s = (jnp.where(probability > 0, slope, 0.0) for slope in slopes)
    seen = [jnp.sum(probability * a * b, axis=-1) for a, b in ((by_f, by_f), (by_f, by_s), (by_s, by_s))]

    def log_below(f: Array, s: Array) -> Array:
        return jnp.sum(model.log_below(limit, f, s))

    missed = jnp.exp(model.log_below(limit, value, scale))
    slopes = jax.grad(log_below, argnums=(0, 1))(value, scale)
    by_f, by_s = (jnp.where(missed > 0, slope, 0.0) for slope in slopes)
    unseen = [missed * a * b for a, b in ((by_f, by_f), (by_f, by_s), (by_s, by_s))]
    return Information(*(a + b for a, b in zip(seen, unseen, strict=True)))
