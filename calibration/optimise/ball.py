"""Minimisers of quadratic functions in balls, of many starts at once: the subproblem of a trust-region method.

The minimiser of b^T z + z^T B z / 2 over |z| <= radius solves (B + shift I) z = -b for the smallest shift >= 0 that
makes the matrix positive semi-definite and |z| <= radius. With the eigenvectors of B, whose eigenvalues may be
negative, |z| is an explicit function of the shift, and Newton's method for 1/|z| = 1/radius finds it in a few steps.

References:
    Moré & Sorensen, SIAM J. Sci. Stat. Comput. 4:553-572 (1983), doi:10.1137/0904038, sections 2 and 3. Conn, Gould &
    Toint, Trust-Region Methods, SIAM (2000), section 7.3.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

NEWTON_STEPS = 60
"""Of the secular equation; it needs fewer than ten except next to its pole."""

SMALLEST_SHARE = 1e-14
"""Eigenvalues below this share of the largest are rounding errors."""


def in_ball(
    slope: Float[np.ndarray, "start parameter"],
    bend: Float[np.ndarray, "start parameter parameter"],
    radius: Float[np.ndarray, " start"],
) -> tuple[Float[np.ndarray, "start parameter"], Bool[np.ndarray, " start"]]:
    """Minimisers of slope^T z + z^T bend z / 2 over |z| <= radius, and whether the radius had no say in them."""
    values, vectors = np.linalg.eigh(bend)
    size = np.maximum(np.abs(values).max(axis=1, keepdims=True), np.finfo(float).tiny)
    along = np.einsum("spq,sp->sq", vectors, slope)
    # Where the lowest direction has no slope, none of the shifts reaches the ball's surface; a rounding error does.
    least = np.finfo(float).eps * np.maximum(np.linalg.norm(along, axis=1), np.finfo(float).tiny)
    along[:, 0] = np.where(np.abs(along[:, 0]) < least, least, along[:, 0])
    convex = values[:, 0] > SMALLEST_SHARE * size[:, 0]
    newton = -along / np.maximum(values, SMALLEST_SHARE * size)
    inside = convex & (np.linalg.norm(newton, axis=1) <= radius)
    # Newton's method for 1/|z(shift)| = 1/radius climbs to the root from any shift below it, without safeguards.
    shift = np.maximum((np.abs(along) / radius[:, None] - values).max(axis=1), 0.0)
    z = newton
    for _ in range(NEWTON_STEPS):
        shifted = np.maximum(values + shift[:, None], np.finfo(float).tiny)
        z = np.where(inside[:, None], newton, -along / shifted)
        length = np.linalg.norm(z, axis=1)
        off = ~inside & (length > radius * (1 + 1e-9))
        if not off.any():
            break
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            more = length**2 / np.sum(along**2 / shifted**3, axis=1) * (length - radius) / radius
        shift = np.where(off & np.isfinite(more), shift + more, shift)
    length = np.linalg.norm(z, axis=1)
    z *= (radius / np.maximum(length, radius))[:, None]
    return np.einsum("spq,sq->sp", vectors, z), inside
