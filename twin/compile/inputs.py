"""Time courses given by measured points, evaluated over lanes.

An input is evaluated in the interval that holds the midpoint of the current segment. Segments begin and end at the
knots, so within a step the input is one polynomial and its derivative is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class InputCurve(NamedTuple):
    """Piecewise polynomial through measured points, linear in the values at the knots.

    Args:
        knots: Strictly increasing times.
        basis: ``basis[d, j, k]`` is the coefficient of ``(t - knots[j])**d`` in interval j that the value at knot k
            contributes.
    """

    knots: Float[np.ndarray, " knot"]
    basis: Float[np.ndarray, "power interval knot"]

    def __call__(
        self, t: Float[Array, " lane"], mid: Float[Array, " lane"], values: Float[Array, "knot lane"]
    ) -> tuple[Float[Array, " lane"], Float[Array, " lane"]]:
        """Value and time derivative at `t`, in the interval that holds `mid`; constant beyond both ends."""
        last = len(self.knots) - 2
        interval = jnp.clip(jnp.searchsorted(jnp.asarray(self.knots), mid, side="right") - 1, 0, last)
        inside = (mid >= self.knots[0]) & (mid <= self.knots[-1])
        beyond = jnp.where(mid < self.knots[0], values[0], values[-1])
        offset = t - jnp.asarray(self.knots)[interval]
        value = slope = jnp.zeros_like(t)
        for power in range(self.basis.shape[0] - 1, -1, -1):
            coefficients = jnp.asarray(self.basis[power]) @ values
            coefficient = jnp.take_along_axis(coefficients, interval[None], axis=0)[0]
            slope = slope * offset + value
            value = value * offset + coefficient
        return jnp.where(inside, value, beyond), jnp.where(inside, slope, 0.0)


def input_curve(times: np.ndarray, interpolation: str) -> InputCurve:
    """Linear interpolation or a natural cubic spline through points at `times`."""
    knots = np.asarray(times, dtype=np.float64)
    identity = np.eye(len(knots))
    if interpolation == "linear" or len(knots) < 3:
        slopes = np.diff(identity, axis=0) / np.diff(knots)[:, None]
        return InputCurve(knots, np.stack([identity[:-1], slopes]))
    from scipy.interpolate import CubicSpline  # not imported for models without curves

    spline = CubicSpline(knots, identity, axis=0, bc_type="natural")
    return InputCurve(knots, spline.c[::-1])
