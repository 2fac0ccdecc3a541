"""Normal noise: ``y ~ N(f, scale^2)``."""

from __future__ import annotations

import jax
from jax.scipy.stats import norm
from jaxtyping import Array

from calibration.noise.base import AbstractNoiseModel, Readings


class Normal(AbstractNoiseModel):
    """Additive normal noise; `scale` is the standard deviation in the observable's unit."""

    family = "normal"

    def log_density(self, reading: Readings, prediction: Readings, scale: Readings) -> Readings:
        return norm.logpdf(reading, prediction, scale)

    def log_cdf(self, standard: Readings) -> Readings:
        return norm.logcdf(standard)

    def draw(self, key: Array, prediction: Readings, scale: Readings) -> Readings:
        return prediction + scale * jax.random.normal(key, prediction.shape)

    def information(self, prediction: Readings, scale: Readings) -> tuple[Readings, Readings]:
        return 1 / scale**2, 2 / scale**2
