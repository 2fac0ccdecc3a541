"""The prior families: log densities in JAX for many entries at once, and the same distributions in scipy.

Densities are those before truncation; that of a family without a scale of its own ("uniform", "log_uniform") is left
without its constant, which the mass between the bounds supplies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy import stats as jstats
from jax.scipy.special import gammaln
from jaxtyping import Array, Float
from scipy.special import ndtr, ndtri

from twin.study import Prior

STUDENT_DF = 4.0

type Each = Float[Array, "*draw parameter"]
type Numbers = Float[np.ndarray, " parameter"]
type LogDensity = Callable[[Each, Numbers, Numbers, Numbers], Each]


def _standardised(log_density: Callable[[Each], Each]) -> LogDensity:
    return lambda x, location, scale, shape: log_density((x - location) / scale) - jnp.log(scale)


def _of_logarithm(log_density: LogDensity) -> LogDensity:
    """The density of a positive quantity whose natural logarithm has a density."""

    def of_positive(x: Each, location: Numbers, scale: Numbers, shape: Numbers) -> Each:
        return _on_positive(lambda u: log_density(jnp.log(u), location, scale, shape) - jnp.log(u), x)

    return of_positive


def _on_positive(log_density: Callable[[Each], Each], x: Each) -> Each:
    # A harmless argument where there is no density keeps the derivative finite.
    return jnp.where(x > 0, log_density(jnp.where(x > 0, x, 1.0)), -jnp.inf)


def _gamma(x: Each, location: Numbers, scale: Numbers, shape: Numbers) -> Each:
    constant = gammaln(shape) + shape * jnp.log(scale)
    return _on_positive(lambda u: (shape - 1.0) * jnp.log(u) - u / scale - constant, x)


def _rayleigh(x: Each, location: Numbers, scale: Numbers, shape: Numbers) -> Each:
    return _on_positive(lambda u: jnp.log(u) - 2.0 * jnp.log(scale) - 0.5 * (u / scale) ** 2, x)


def _half_normal(standard: Each) -> Each:
    return jnp.where(standard >= 0, jstats.norm.logpdf(standard) + jnp.log(2.0), -jnp.inf)


def _uniform(x: Each, location: Numbers, scale: Numbers, shape: Numbers) -> Each:
    return jnp.zeros_like(x)


_normal = _standardised(jstats.norm.logpdf)
_laplace = _standardised(jstats.laplace.logpdf)

FAMILIES: dict[str, LogDensity] = {
    "uniform": _uniform,
    "normal": _normal,
    "laplace": _laplace,
    "student_t": _standardised(lambda z: jstats.t.logpdf(z, STUDENT_DF)),
    "half_normal": _standardised(_half_normal),
    "cauchy": _standardised(jstats.cauchy.logpdf),
    "exponential": lambda x, location, scale, shape: jnp.where(x >= 0, -x / scale - jnp.log(scale), -jnp.inf),
    "gamma": _gamma,
    "rayleigh": _rayleigh,
    "log_uniform": _of_logarithm(_uniform),
    "log_normal": _of_logarithm(_normal),
    "log_laplace": _of_logarithm(_laplace),
}
"""Log density by family: of the value, and of location, scale and shape."""

FLAT = frozenset({"uniform", "log_uniform"})
"""Families that have no arguments but the bounds."""

POSITIVE = frozenset({"log_uniform", "log_normal", "log_laplace"})
"""Families of a quantity that has a logarithm."""


@dataclass(frozen=True)
class _Normal:
    """The normal distribution: `scipy.stats.norm` by the functions that it calls, for `scipy.stats` takes half a second
    to import."""

    location: float
    scale: float

    def cdf(self, x: Numbers) -> Numbers:
        return ndtr((x - self.location) / self.scale)

    def sf(self, x: Numbers) -> Numbers:
        return ndtr((self.location - x) / self.scale)

    def ppf(self, probability: Numbers) -> Numbers:
        return self.location + self.scale * ndtri(probability)

    def isf(self, probability: Numbers) -> Numbers:
        return self.location - self.scale * ndtri(probability)


def distribution(prior: Prior, lower: float, upper: float) -> Any:
    """The family in scipy: of the value, or of its natural logarithm for `POSITIVE` families."""
    if prior.family in ("normal", "log_normal"):
        return _Normal(prior.location, prior.scale)
    from scipy import stats  # half a second, which problems with the commonest priors need not wait for

    if prior.family in FLAT:
        return stats.uniform(lower, upper - lower)
    match prior.family.removeprefix("log_"):
        case "laplace":
            return stats.laplace(prior.location, prior.scale)
        case "student_t":
            return stats.t(STUDENT_DF, prior.location, prior.scale)
        case "half_normal":
            return stats.halfnorm(prior.location, prior.scale)
        case "cauchy":
            return stats.cauchy(prior.location, prior.scale)
        case "exponential":
            return stats.expon(scale=prior.scale)
        case "gamma":
            return stats.gamma(prior.shape, scale=prior.scale)
        case "rayleigh":
            return stats.rayleigh(scale=prior.scale)
    raise AssertionError(prior.family)
