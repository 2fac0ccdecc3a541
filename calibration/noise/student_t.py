"""Student-t noise: ``y = f + scale * t`` with `df` degrees of freedom, for readings with outliers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc
from jax.scipy.stats import t as student
from jaxtyping import Array

from calibration.noise.base import AbstractNoiseModel, Readings


class StudentT(AbstractNoiseModel):
    """Heavy-tailed additive noise; `scale` is the scale parameter, not the standard deviation."""

    family = "student_t"

    def log_density(self, reading: Readings, prediction: Readings, scale: Readings) -> Readings:
        return student.logpdf(reading, self.df, prediction, scale)

    def log_below(self, limit: Readings, prediction: Readings, scale: Readings) -> Readings:
        # P(T < t) = 1/2 I_x(df/2, 1/2) with x = df / (df + t^2) for t < 0, and 1 minus that for t > 0
        # (Abramowitz & Stegun 26.7.1, 26.5.27).
        standard = (limit - prediction) / scale
        tail = 0.5 * betainc(self.df / 2, 0.5, self.df / (self.df + standard**2))
        below = standard < 0
        return jnp.where(below, jnp.log(jnp.where(below, tail, 0.5)), jnp.log1p(-jnp.where(below, 0.0, tail)))

    def draw(self, key: Array, prediction: Readings, scale: Readings) -> Readings:
        return prediction + scale * jax.random.t(key, self.df, prediction.shape)

    def information(self, prediction: Readings, scale: Readings) -> tuple[Readings, Readings]:
        # Lange, Little & Taylor, JASA 84:881-896 (1989), appendix B.
        return (self.df + 1) / ((self.df + 3) * scale**2), 2 * self.df / ((self.df + 3) * scale**2)
