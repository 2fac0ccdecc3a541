"""Laplace noise: density ``exp(-|y - f| / scale) / (2 scale)``, whose best fit is the median."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.stats import laplace
from jaxtyping import Array

from calibration.noise.base import AbstractNoiseModel, Readings


def log_cdf(standard: Readings) -> Readings:
    """Logarithm of the distribution function of the standard Laplace distribution, exact far out in both tails."""
    below = standard < 0
    above = jnp.log1p(-0.5 * jnp.exp(-jnp.where(below, 0.0, standard)))
    return jnp.where(below, standard - jnp.log(2.0), above)


class Laplace(AbstractNoiseModel):
    """Additive noise with exponential tails; `scale` is the mean distance, the standard deviation over sqrt(2)."""

    family = "laplace"

    @property
    def spread(self) -> float:
        return math.sqrt(2.0)

    def log_density(self, reading: Readings, prediction: Readings, scale: Readings) -> Readings:
        return laplace.logpdf(reading, prediction, scale)

    def log_cdf(self, standard: Readings) -> Readings:
        return log_cdf(standard)

    def draw(self, key: Array, prediction: Readings, scale: Readings) -> Readings:
        return prediction + scale * jax.random.laplace(key, prediction.shape)

    def information(self, prediction: Readings, scale: Readings) -> tuple[Readings, Readings]:
        return 1 / scale**2, 1 / scale**2
