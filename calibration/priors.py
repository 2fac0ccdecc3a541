"""Prior densities on the estimation scale, truncated to bounds: scipy for constants and draws, JAX for gradients."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.scipy import stats as jstats
from jaxtyping import Array, Float
from scipy import stats

from twin.errors import ProblemError, suggestion
from twin.study import Prior

STUDENT_DF = 4.0
_FAMILIES = ("uniform", "normal", "laplace", "student_t", "half_normal")


class PriorDensity:
    """Independent truncated priors of all entries of a parameter vector.

    Args:
        priors: One prior per entry.
        lower: Lower bounds, estimation scale; may be -inf except for "uniform".
        upper: Upper bounds, estimation scale.

    Raises:
        ProblemError: an unknown family, a scale that is not positive, or no probability between the bounds.
    """

    def __init__(
        self,
        priors: Sequence[Prior],
        lower: Float[np.ndarray, " parameter"],
        upper: Float[np.ndarray, " parameter"],
    ) -> None:
        for prior, low, high in zip(priors, lower, upper, strict=True):
            _check(prior, low, high)
        self.lower, self.upper = lower, upper
        self.family = np.array([_FAMILIES.index(prior.family) for prior in priors], dtype=int)
        self.location = np.array([prior.location for prior in priors])
        self.scale = np.array([prior.scale for prior in priors])
        self._frozen = [_distribution(prior, lo, hi) for prior, lo, hi in zip(priors, lower, upper, strict=True)]
        self._mass = np.array([_mass(d, lo, hi) for d, lo, hi in zip(self._frozen, lower, upper, strict=True)])
        self._width = np.where(np.isfinite(upper - lower), upper - lower, 1.0)

    def log_density(self, theta: Float[Array, "*draw parameter"]) -> Float[Array, "*draw"]:
        """Sum of the log densities; minus infinity outside the bounds."""
        standard = (theta - self.location) / self.scale
        options = [
            jnp.broadcast_to(-jnp.log(self._width), theta.shape),
            jstats.norm.logpdf(standard) - jnp.log(self.scale),
            jstats.laplace.logpdf(standard) - jnp.log(self.scale),
            jstats.t.logpdf(standard, STUDENT_DF) - jnp.log(self.scale),
            jnp.where(standard >= 0, jstats.norm.logpdf(standard) + jnp.log(2.0) - jnp.log(self.scale), -jnp.inf),
        ]
        # Not jnp.select: its argmax cannot be lowered from a jit outside the x64 context.
        each = options[0]
        for index, option in enumerate(options[1:], start=1):
            each = jnp.where(self.family == index, option, each)
        each = each - jnp.log(jnp.where(self.family == 0, 1.0, self._mass))
        inside = (theta >= self.lower) & (theta <= self.upper)
        return jnp.sum(jnp.where(inside, each, -jnp.inf), axis=-1)

    @property
    def precision(self) -> Float[np.ndarray, " parameter"]:
        """Curvature that each prior adds to a Gauss-Newton matrix: 1/scale^2, and 0 for uniform priors."""
        return np.where(self.family == 0, 0.0, 1.0 / self.scale**2)

    def quantile(self, u: Float[np.ndarray, "*draw parameter"]) -> Float[np.ndarray, "*draw parameter"]:
        """Map the unit cube to the prior, for draws and for space-filling starts."""
        columns = []
        for index, (d, lo, hi) in enumerate(zip(self._frozen, self.lower, self.upper, strict=True)):
            share = u[..., index]
            if _in_upper_tail(d, lo):  # where probabilities from below all round to 1
                value = d.isf(d.sf(lo) + share * (d.sf(hi) - d.sf(lo)))
            else:
                value = d.ppf(d.cdf(lo) + share * (d.cdf(hi) - d.cdf(lo)))
            columns.append(np.clip(value, lo, hi))
        return np.stack(columns, axis=-1)

    def draw(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "draw parameter"]:
        """Draws from the prior."""
        return self.quantile(rng.uniform(size=(count, len(self.lower))))


def _check(prior: Prior, lower: float, upper: float) -> None:
    where = f"prior {prior.family!r}"
    if prior.family not in _FAMILIES:
        raise ProblemError(
            f"there is no prior family {prior.family!r}", where="priors", fix=suggestion(prior.family, _FAMILIES)
        )
    if prior.family == "uniform":
        return
    if not (np.isfinite(prior.location) and np.isfinite(prior.scale) and prior.scale > 0):
        raise ProblemError(
            f"the location is {prior.location:g} and the scale {prior.scale:g}",
            where=where,
            expected="finite numbers, and a positive scale",
        )
    if not _mass(_distribution(prior, lower, upper), lower, upper) > 0:
        raise ProblemError(
            f"the prior at {prior.location:g} with scale {prior.scale:g} has no probability between the bounds "
            f"{lower:g} and {upper:g}",
            where=where,
            expected="location, scale and bounds on one scale (the estimation scale: log10 unless said otherwise)",
        )


def _in_upper_tail(distribution, lower: float) -> bool:
    return distribution.cdf(lower) > 0.5


def _mass(distribution, lower: float, upper: float) -> float:
    """Probability between the bounds, exact also where both lie far out in the upper tail."""
    if _in_upper_tail(distribution, lower):
        return distribution.sf(lower) - distribution.sf(upper)
    return distribution.cdf(upper) - distribution.cdf(lower)


def _distribution(prior: Prior, lower: float, upper: float):
    match prior.family:
        case "uniform":
            return stats.uniform(lower, upper - lower)
        case "normal":
            return stats.norm(prior.location, prior.scale)
        case "laplace":
            return stats.laplace(prior.location, prior.scale)
        case "student_t":
            return stats.t(STUDENT_DF, prior.location, prior.scale)
        case "half_normal":
            return stats.halfnorm(prior.location, prior.scale)
