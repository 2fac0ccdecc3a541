"""Where the inner problems start from: regressions for scalings and offsets, sizes of residuals for noise scales.

The guesses depend on nothing but the trajectory, so that the reduced objective is a function of the outer vector alone.
Where an inner problem may have several minima, several guesses are followed and the best end is taken.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from calibration.inner.layout import Coefficients, Flat, Layout

RELATIVE_FLOOR = 0.05
"""Of the mean size of a group's readings: what is smaller counts as this where weights are relative."""
SHARE, EQUAL_SHARE = 0.1, 0.7
"""Part of the residuals that a noise scale is given where another one is favoured, or none."""


def first_guesses(
    layout: Layout,
    of_readings: Coefficients,
    target: Float[Array, " reading"],
    is_noise: Bool[np.ndarray, " inner"],
    lower: Float[np.ndarray, " inner"],
    *,
    several: bool,
) -> Float[Array, "guess inner draw"]:
    """Starting points of the inner problems.

    Args:
        layout: Blocks of the entries.
        of_readings: What predictions and noise scales are made of.
        target: Readings on the scale on which noise is additive.
        is_noise: Which entries are noise scales.
        lower: Lower bounds.
        several: Whether more than one is needed.
    """
    draws = of_readings.centre.shape[1]
    noise = jnp.asarray(is_noise)[:, None]
    quiet = jnp.where(noise, jnp.maximum(jnp.asarray(lower)[:, None], 0.0), 0.0) * jnp.ones((1, draws))
    size = jnp.abs(target)[:, None] * jnp.ones((1, draws))
    count = jnp.maximum(layout.per_group(jnp.ones(size.shape)), 1.0)
    usual = jnp.concatenate([layout.per_group(size) / count, jnp.ones((1, draws))])
    relative = 1 / jnp.maximum(size, RELATIVE_FLOOR * usual[layout.reading] + 1e-300) ** 2
    found = []
    for weight in (jnp.ones_like(relative), relative)[: 2 if several else 1]:
        mean = _regression(layout, of_readings, target, weight)
        centre = of_readings.at(layout.of_readings(layout.block(mean)))[0]
        squares, rms = layout.per_group((target[:, None] - centre) ** 2), jnp.zeros_like(mean)
        for direction in layout.directions():
            here = jnp.asarray(direction)[:, None] > 0
            alone = jnp.where(noise, jnp.where(here, 1.0, quiet), mean)
            scale = of_readings.at(layout.of_readings(layout.block(alone)))[1]
            ratio = squares / jnp.maximum(layout.per_group(scale**2), 1e-300)
            rms = jnp.where(here, jnp.sqrt(ratio)[layout.group], rms)
        of_noise = [direction for direction in layout.directions() if (direction * is_noise).any()]
        for direction in [None, *of_noise] if several else [np.ones(len(lower))]:
            share = EQUAL_SHARE if direction is None else np.where(direction, 1.0, SHARE)[:, None]
            found.append(jnp.where(noise, share * rms, mean))
    if several:  # a prior of the logarithm may hold a scaling at its lower bound
        found.append(jnp.where(noise, found[0], jnp.asarray(lower)[:, None]))
    guess = jnp.stack(found)
    return jnp.where(jnp.isfinite(guess), guess, jnp.where(noise, 1.0, 0.0))


def _regression(layout: Layout, of_readings: Coefficients, target: Array, weight: Array) -> Flat:
    """Weighted least squares of every group; zero for entries that the predictions do not depend on."""
    slopes, distance = of_readings.centre_slopes, target[:, None] - of_readings.centre
    normal = slopes[:, :, None] * slopes[:, None] * weight[:, None, None]
    matrix = jnp.moveaxis(layout.per_group(normal), -1, 1)
    right = jnp.moveaxis(layout.per_group(slopes * (weight * distance)[:, None]), -1, 1)
    diagonal = jnp.einsum("...pp->...p", matrix)
    size = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    scaled = matrix / (size[..., :, None] * size[..., None, :])
    ridge = jnp.where(diagonal > 0, 1e-12, 1.0)
    solution = jnp.linalg.solve(scaled + jnp.eye(layout.size) * ridge[..., None], (right / size)[..., None])[..., 0]
    return layout.flat(solution / size)
