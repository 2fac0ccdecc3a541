"""Log-Laplace noise: ``ln y`` is Laplace around ``ln f``, so `f` is the median of the readings."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.stats import laplace
from jaxtyping import Array

from calibration.noise.base import AbstractNoiseModel, Readings
from calibration.noise.laplace import log_cdf
from calibration.noise.log_normal import SMALLEST_PREDICTION


class LogLaplace(AbstractNoiseModel):
    """Multiplicative noise with heavy tails; `scale` is the scale parameter of the natural logarithm."""

    family = "log_laplace"
    positive = True

    @property
    def spread(self) -> float:
        return math.sqrt(2.0)

    def log_density(self, reading: Readings, prediction: Readings, scale: Readings) -> Readings:
        logarithm = jnp.log(reading)
        return laplace.logpdf(logarithm, self.centre(prediction), scale) - logarithm

    def log_cdf(self, standard: Readings) -> Readings:
        return log_cdf(standard)

    def log_standard_density(self, standard: Readings) -> Readings:
        return laplace.logpdf(standard)

    def draw(self, key: Array, prediction: Readings, scale: Readings) -> Readings:
        return jnp.exp(self.centre(prediction) + scale * jax.random.laplace(key, prediction.shape))

    def information(self, prediction: Readings, scale: Readings) -> tuple[Readings, Readings]:
        # As for log-normal noise, predictions that are cut off carry no information.
        usable = prediction > SMALLEST_PREDICTION
        return jnp.where(usable, 1 / (jnp.where(usable, prediction, 1.0) * scale) ** 2, 0.0), 1 / scale**2

    def centre(self, prediction: Readings) -> Readings:
        return jnp.log(jnp.maximum(prediction, SMALLEST_PREDICTION))
