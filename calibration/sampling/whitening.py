"""Coordinates in which the posterior is roughly standard normal.

The bounds are removed by a logistic map, ``theta = lower + (upper - lower) * sigmoid(u)``, and ``u = centre + L z``
removes scales and correlations: L L^T is the inverse of the curvature at the best fit. NUTS then needs little
adaptation.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

EDGE = 1e-4
"""A fit on a bound is moved inside by this fraction of the range: on the bound itself u would be infinite."""
LOGISTIC_CURVATURE = 0.3
"""Precision of the standard logistic density, which the map alone gives to a flat direction: bounds its scale."""


class Whitening(NamedTuple):
    """The map from z to theta.

    Args:
        lower: Lower bounds of theta.
        upper: Upper bounds of theta.
        centre: Image of z = 0 before the logistic map.
        factor: Lower-triangular L.
    """

    lower: Float[np.ndarray, " parameter"]
    upper: Float[np.ndarray, " parameter"]
    centre: Float[np.ndarray, " parameter"]
    factor: Float[np.ndarray, "parameter parameter"]

    def unbounded(self, z: Float[Array, " parameter"]) -> Float[Array, " parameter"]:
        """u for z."""
        return self.centre + self.factor @ z

    def theta(self, z: Float[Array, " parameter"]) -> Float[Array, " parameter"]:
        """theta for z."""
        return self.lower + (self.upper - self.lower) * jax.nn.sigmoid(self.unbounded(z))

    def log_volume(self, z: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Logarithm of |d theta / d u| (L is constant and left out)."""
        u = self.unbounded(z)
        return jnp.sum(jnp.log(self.upper - self.lower) + jax.nn.log_sigmoid(u) + jax.nn.log_sigmoid(-u))


def whiten(
    theta: Float[np.ndarray, " parameter"],
    curvature: Float[np.ndarray, "parameter parameter"],
    lower: Float[np.ndarray, " parameter"],
    upper: Float[np.ndarray, " parameter"],
) -> Whitening:
    """Coordinates centred on a fit.

    Args:
        theta: The fit.
        curvature: Positive semi-definite Hessian of the negative log-posterior there, in theta.
        lower: Lower bounds.
        upper: Upper bounds.
    """
    share = np.clip((theta - lower) / (upper - lower), EDGE, 1 - EDGE)
    slope = (upper - lower) * share * (1 - share)
    in_u = curvature * slope[:, None] * slope[None, :]
    # -d^2/du^2 of log sigmoid(u) + log sigmoid(-u) is 2 s (1 - s); far from the middle it vanishes, hence the bound.
    in_u += np.diag(np.maximum(2 * share * (1 - share), LOGISTIC_CURVATURE))
    values, vectors = np.linalg.eigh(0.5 * (in_u + in_u.T))
    covariance = (vectors / np.maximum(values, LOGISTIC_CURVATURE)) @ vectors.T
    centre = np.log(share) - np.log1p(-share)
    return Whitening(lower, upper, centre, np.linalg.cholesky(covariance))


def logistic(lower: Float[np.ndarray, " parameter"], upper: Float[np.ndarray, " parameter"]) -> Whitening:
    """The logistic map alone: z is u, and its volume is the whole Jacobian of theta in z.

    Args:
        lower: Lower bounds.
        upper: Upper bounds.
    """
    return Whitening(lower, upper, np.zeros(len(lower)), np.eye(len(lower)))


def to_unbounded(theta: Float[np.ndarray, "*draw parameter"], lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """u for theta; vectors on a bound are moved inside by the smallest share that has a finite u."""
    share = np.clip((theta - lower) / (upper - lower), np.finfo(float).tiny, 1 - np.finfo(float).eps)
    return np.log(share) - np.log1p(-share)
