"""Probability of an interval-censored reading, without cancellation in the tails or where the interval is narrow."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

type Values = Float[Array, "*reading"]

# Choices of ours. Below this ratio of the distribution function at both ends (as a logarithm) the difference
# loses digits, and the density changes so little that Gauss-Legendre quadrature has them all.
NARROW = 0.1
NODES = 8


def log_between(
    log_cdf: Callable[[Values], Values], log_density: Callable[[Values], Values], lower: Values, upper: Values
) -> Values:
    """Logarithm of the probability between two points of a distribution that is symmetric about zero.

    An interval whose middle is above zero is mirrored, so that both distribution functions are small numbers with
    all their digits. Then log(F(b) - F(a)) = log F(b) + log(1 - exp(-d)) with d = log F(b) - log F(a). Where d is
    small, the density is integrated instead, in two pieces that meet at zero, where it may have a kink.

    Args:
        log_cdf: Logarithm of the distribution function.
        log_density: Logarithm of its density.
        lower: Lower ends, finite.
        upper: Upper ends, finite and above the lower ones.
    """
    lower, upper = jnp.broadcast_arrays(jnp.asarray(lower), jnp.asarray(upper))
    mirrored = lower + upper > 0
    a, b = jnp.where(mirrored, -upper, lower), jnp.where(mirrored, -lower, upper)
    at_end = log_cdf(b)
    apart = at_end - log_cdf(a)
    narrow = apart < NARROW
    # The branch that is not taken gets harmless numbers, or its derivative would be infinite times zero.
    wide = at_end + jnp.log(-jnp.expm1(-jnp.where(narrow, 1.0, apart)))
    end = jnp.where(narrow, b, a + 1.0)
    return jnp.where(narrow, _integral(log_density, a, end), wide)


def _integral(log_density: Callable[[Values], Values], a: Values, b: Values) -> Values:
    """Logarithm of the integral of a density from `a` to `b`, by quadrature on both sides of zero."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    share = (nodes + 1) / 2
    meet = jnp.minimum(b, jnp.maximum(a, 0.0))
    left, right = (meet - a)[..., None], (b - meet)[..., None]
    points = jnp.concatenate([a[..., None] + left * share, meet[..., None] + right * share], axis=-1)
    width = jnp.concatenate([left * weights / 2, right * weights / 2], axis=-1)
    return logsumexp(log_density(points), b=width, axis=-1)
