"""Student-t noise: ``y = f + scale * t`` with `df` degrees of freedom, for readings with outliers."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc
from jax.scipy.stats import t as student
from jaxtyping import Array

from calibration.noise.base import AbstractNoiseModel, Readings


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_cdf(df: float, t: Readings) -> Readings:
    """Logarithm of the distribution function.

    P(T < t) = 1/2 I_x(df/2, 1/2) with x = df / (df + t^2) for t < 0, and 1 minus that for t > 0
    (Abramowitz & Stegun 26.7.1, 26.5.27). Near the middle 1 - x has lost its digits, and I_x(a, b) = 1 - I_(1-x)(b, a)
    (26.5.2) has them.
    """
    near, square = t**2 < df, t**2
    x = jnp.where(near, square, df) / (df + square)
    share = betainc(jnp.where(near, 0.5, df / 2), jnp.where(near, df / 2, 0.5), x)
    tail = 0.5 * jnp.where(near, 1 - share, share)
    below = t < 0
    return jnp.where(below, jnp.log(jnp.where(below, tail, 0.5)), jnp.log1p(-jnp.where(below, 0.0, tail)))


@_log_cdf.defjvp
def _(df: float, primals: tuple[Readings], tangents: tuple[Readings]) -> tuple[Readings, Readings]:
    # Density over probability. Differentiating I_x instead divides zero by zero at t = 0, where x = 1.
    (t,), (direction,) = primals, tangents
    value = _log_cdf(df, t)
    return value, jnp.exp(student.logpdf(t, df) - value) * direction


class StudentT(AbstractNoiseModel):
    """Heavy-tailed additive noise; `scale` is the scale parameter, not the standard deviation."""

    family = "student_t"

    @property
    def spread(self) -> float:
        return math.sqrt(self.df / (self.df - 2)) if self.df > 2 else math.inf

    def log_density(self, reading: Readings, prediction: Readings, scale: Readings) -> Readings:
        return student.logpdf(reading, self.df, prediction, scale)

    def log_cdf(self, standard: Readings) -> Readings:
        return _log_cdf(self.df, standard)

    def draw(self, key: Array, prediction: Readings, scale: Readings) -> Readings:
        return prediction + scale * jax.random.t(key, self.df, prediction.shape)

    def information(self, prediction: Readings, scale: Readings) -> tuple[Readings, Readings]:
        # Lange, Little & Taylor, JASA 84:881-896 (1989), appendix B.
        return (self.df + 1) / ((self.df + 3) * scale**2), 2 * self.df / ((self.df + 3) * scale**2)
