"""Log-normal noise: ``ln y ~ N(ln f, scale^2)``, so `f` is the median of the readings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array

from calibration.noise.base import AbstractNoiseModel, Readings

SMALLEST_PREDICTION = 1e-100
"""Predictions of zero, or below it by integration error, count as this."""


class LogNormal(AbstractNoiseModel):
    """Multiplicative noise; `scale` is the standard deviation of the natural logarithm."""

    family = "log_normal"
    positive = True

    def log_density(self, reading: Readings, prediction: Readings, scale: Readings) -> Readings:
        logarithm = jnp.log(reading)
        return norm.logpdf(logarithm, self.centre(prediction), scale) - logarithm

    def log_cdf(self, standard: Readings) -> Readings:
        return norm.logcdf(standard)

    def log_standard_density(self, standard: Readings) -> Readings:
        return norm.logpdf(standard)

    def draw(self, key: Array, prediction: Readings, scale: Readings) -> Readings:
        return jnp.exp(self.centre(prediction) + scale * jax.random.normal(key, prediction.shape))

    def information(self, prediction: Readings, scale: Readings) -> tuple[Readings, Readings]:
        # Predictions that are cut off do not change the density: no information (1e200 would freeze a fit).
        usable = prediction > SMALLEST_PREDICTION
        return jnp.where(usable, 1 / (jnp.where(usable, prediction, 1.0) * scale) ** 2, 0.0), 2 / scale**2

    def centre(self, prediction: Readings) -> Readings:
        return jnp.log(jnp.maximum(prediction, SMALLEST_PREDICTION))
