"""Rows of arrays over lanes, read and written without scatters.

XLA compiles a loop that contains a scatter as many small kernels on a CPU, and `x.at[...].set` makes one, as does the
derivative of a gather.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int

MOST_COMPARED = 16
"""Rows up to which the one that is asked for is found by comparison."""


def put_rows(x: Array, rows: Array, first: int = 0) -> Array:
    """`x` with `rows` in place of as many of its own, from `first` on."""
    return lax.dynamic_update_slice_in_dim(x, rows, first, axis=0)


def pick(x: Array, index: Int[Array, " lane"]) -> Array:
    """The row of each lane: ``x[index[l], ..., l]``.

    Args:
        x: Rows first, lanes last.
        index: Which row.
    """
    rows = x.shape[0]
    if rows == 1:
        return x[0]
    if rows > MOST_COMPARED:
        return jnp.take_along_axis(x, index.reshape(1, *[1] * (x.ndim - 2), -1), axis=0)[0]
    picked = x[rows - 1]
    for row in reversed(range(rows - 1)):
        picked = jnp.where(index == row, x[row], picked)
    return picked
