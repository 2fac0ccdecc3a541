"""Prior densities on the estimation scale, truncated to bounds: scipy for constants and draws, JAX for gradients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.prior_families import FAMILIES, FLAT, POSITIVE, STUDENT_DF, distribution
from calibration.scales import BASES, from_scale, linear, to_scale
from twin.errors import ProblemError, suggestion
from twin.study import Prior, Scale

__all__ = ["STUDENT_DF", "PriorDensity"]


class PriorDensity:
    """Independent truncated priors of all entries of a parameter vector.

    A prior on the parameter itself (`Prior.linear`) counts with the derivative of the parameter in its value on the
    estimation scale, so that the density is always that of the vector.

    Args:
        priors: One prior per entry.
        lower: Lower bounds, estimation scale; may be -inf except for "uniform".
        upper: Upper bounds, estimation scale.
        scales: Estimation scale of every entry; only priors on the parameter itself ask for it.

    Raises:
        ProblemError: an unknown family, a scale that is not positive, or no probability between the bounds.
    """

    def __init__(
        self,
        priors: Sequence[Prior],
        lower: Float[np.ndarray, " parameter"],
        upper: Float[np.ndarray, " parameter"],
        scales: Sequence[Scale] | None = None,
    ) -> None:
        given = ["lin"] * len(priors) if scales is None else scales
        self._axes = [_Axis(*each) for each in zip(priors, lower, upper, given, strict=True)]
        names = tuple(FAMILIES)
        self.lower, self.upper = lower, upper
        self.family = np.array([names.index(prior.family) for prior in priors], dtype=int)
        self.location = np.array([prior.location for prior in priors])
        self.scale = np.array([prior.scale for prior in priors])
        self._shape = np.array([prior.shape for prior in priors])
        self._mass = np.array([axis.mass for axis in self._axes])
        self._logarithm = np.array([np.log(BASES.get(axis.scale, np.nan)) for axis in self._axes])
        self._bounded = {name: np.array([axis.scale == name for axis in self._axes]) for name in ("logit", "atanh")}

    def log_density(self, theta: Float[Array, "*draw parameter"]) -> Float[Array, "*draw"]:
        """Sum of the log densities; minus infinity outside the bounds."""
        return jnp.sum(self.log_density_each(theta), axis=-1)

    def log_density_each(self, theta: Float[Array, "*draw parameter"]) -> Float[Array, "*draw parameter"]:
        """Log density of every entry."""
        theta = jnp.asarray(theta)
        transformed = np.isfinite(self._logarithm)
        value = theta
        if transformed.any():
            rate = np.where(transformed, self._logarithm, 0.0)
            value = jnp.where(transformed, jnp.exp(theta * rate), theta)
        for scale, rows in self._bounded.items():
            if rows.any():
                value = jnp.where(rows, from_scale(theta, scale), value)  # type: ignore[arg-type]
        each = jnp.zeros_like(theta)
        # Not jnp.select: its argmax cannot be lowered from a jit outside the x64 context.
        for index, log_density in enumerate(FAMILIES.values()):
            here = self.family == index
            if here.any():
                each = jnp.where(here, log_density(value, self.location, self.scale, self._shape), each)
        each = each - jnp.log(self._mass)
        if transformed.any():
            # |dx/dtheta| of x = base^theta
            each = each + jnp.where(transformed, theta * rate + np.log(np.where(transformed, rate, 1.0)), 0.0)
        for scale, rows in self._bounded.items():
            if rows.any():
                # (1 + tanh(theta/2))/2 has the slope 1/(4 cosh^2(theta/2)), tanh(theta) has 1/cosh^2(theta).
                half = 0.5 * theta if scale == "logit" else theta
                log_slope = -2.0 * (jnp.logaddexp(half, -half) - np.log(2.0)) - (
                    np.log(4.0) if scale == "logit" else 0.0
                )
                each = each + jnp.where(rows, log_slope, 0.0)
        inside = (theta >= self.lower) & (theta <= self.upper)
        return jnp.where(inside, each, -jnp.inf)

    @property
    def precision(self) -> Float[np.ndarray, " parameter"]:
        """Curvature that each prior adds to a Gauss-Newton matrix: 1/scale^2, and 0 for uniform priors."""
        return np.array([axis.precision for axis in self._axes])

    def quantile(self, u: Float[np.ndarray, "*draw parameter"]) -> Float[np.ndarray, "*draw parameter"]:
        """Map the unit cube to the prior, for draws and for space-filling starts."""
        columns = [axis.quantile(u[..., index]) for index, axis in enumerate(self._axes)]
        return np.stack(columns, axis=-1)

    def draw(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "draw parameter"]:
        """Draws from the prior."""
        return self.quantile(rng.uniform(size=(count, len(self.lower))))


class _Axis:
    """One prior, and the way from the estimation scale to the axis of its scipy distribution and back."""

    def __init__(self, prior: Prior, lower: float, upper: float, scale: Scale) -> None:
        _check_arguments(prior)
        self.prior, self.lower, self.upper = prior, lower, upper
        self.scale: Scale = scale if prior.linear else "lin"
        self.low, self.high = self._forward(lower), self._forward(upper)
        if prior.family in FLAT:
            self.mass = self.high - self.low if np.isfinite(self.high - self.low) else 1.0
        else:
            self.mass = _mass(self.distribution, self.low, self.high)
        if not self.mass > 0:
            raise ProblemError(
                f"the prior at {prior.location:g} with scale {prior.scale:g} has no probability between the bounds "
                f"{lower:g} and {upper:g}",
                where=f"prior {prior.family!r}",
                expected="location, scale and bounds on one scale (the estimation scale: log10 unless said otherwise)",
            )

    @cached_property
    def distribution(self) -> Any:
        """The distribution in scipy, on its axis."""
        return distribution(self.prior, self.low, self.high)

    def _forward(self, bound: float) -> float:
        """A bound on the axis of the distribution."""
        value = float(linear(bound, self.scale))
        if self.prior.family not in POSITIVE:
            return value
        if self.prior.family == "log_uniform" and value <= 0:
            raise ProblemError(
                f"the lower bound {value:g} has no logarithm", where="prior 'log_uniform'", expected="a positive bound"
            )
        return float(np.log(value)) if value > 0 else -np.inf

    def _backward(self, value: np.ndarray) -> np.ndarray:
        if self.prior.family in POSITIVE:
            if self.scale in BASES:
                return value / np.log(BASES[self.scale])
            value = np.exp(value)
        with np.errstate(divide="ignore", invalid="ignore"):
            return to_scale(value, self.scale)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        d, low, high = self.distribution, self.low, self.high
        if _in_upper_tail(d, low):  # where probabilities from below all round to 1
            value = d.isf(d.sf(low) + u * (d.sf(high) - d.sf(low)))
        else:
            value = d.ppf(d.cdf(low) + u * (d.cdf(high) - d.cdf(low)))
        return np.clip(self._backward(value), self.lower, self.upper)

    @property
    def precision(self) -> float:
        if self.prior.family == "uniform":
            return 0.0
        if self.scale == "lin" and self.prior.family in ("normal", "laplace", "student_t", "half_normal", "cauchy"):
            return 1.0 / self.prior.scale**2
        # Where the spread on the estimation scale is not a parameter: that of the middle 68 per cent.
        low, high = self.quantile(np.array([0.16, 0.84]))
        return float(4.0 / (high - low) ** 2)


def _check_arguments(prior: Prior) -> None:
    if prior.family not in FAMILIES:
        raise ProblemError(
            f"there is no prior family {prior.family!r}", where="priors", fix=suggestion(prior.family, FAMILIES)
        )
    if prior.family in FLAT:
        return
    positive = prior.scale > 0 and prior.shape > 0
    if not (np.all(np.isfinite([prior.location, prior.scale, prior.shape])) and positive):
        shape = f" and the shape {prior.shape:g}" if prior.family == "gamma" else ""
        raise ProblemError(
            f"the location is {prior.location:g} and the scale {prior.scale:g}{shape}",
            where=f"prior {prior.family!r}",
            expected="finite numbers, and a positive scale",
        )


def _in_upper_tail(distribution: Any, lower: float) -> bool:
    return distribution.cdf(lower) > 0.5


def _mass(distribution: Any, lower: float, upper: float) -> float:
    """Probability between the bounds, exact also where both lie far out in the upper tail."""
    if _in_upper_tail(distribution, lower):
        return distribution.sf(lower) - distribution.sf(upper)
    return distribution.cdf(upper) - distribution.cdf(lower)
