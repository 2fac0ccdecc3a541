"""Derivatives along many directions at once, with the directions next to last in every array.

`jax.vmap` puts directions first: rows of states are then far apart, and code that goes state by state does not fill
vector units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

type Change = Float[Array, "*row direction lane"] | None
"""How something changes along each direction; None where it does not."""


def along(
    function: Callable[..., Sequence[Array] | Array], values: Sequence[Array], changes: Sequence[Change]
) -> Float[Array, "row direction lane"] | None:
    """Derivatives of rows along directions.

    Args:
        function: From the values to rows over lanes, best as a list of rows.
        values: Where it is differentiated.
        changes: How each value changes.
    """
    moving = [index for index, change in enumerate(changes) if change is not None]
    if not moving:
        return None

    def of_moving(*moved: Array):
        given = dict(zip(moving, moved, strict=True))
        return function(*(given.get(index, value) for index, value in enumerate(values)))

    def push(*change: Array):
        return jax.jvp(of_moving, tuple(values[index] for index in moving), change)[1]

    changed = [changes[index] for index in moving]
    rows = jax.vmap(push, in_axes=-2, out_axes=-2)(*changed)  # type: ignore[arg-type]
    return rows if isinstance(rows, jax.Array) else jnp.stack(rows)


def plus(*changes: Change) -> Change:
    """Their sum, of which parts that are None do not take part."""
    given = [change for change in changes if change is not None]
    total = None
    for change in given:
        total = change if total is None else total + change
    return total


def times(change: Change, factor: Array) -> Change:
    """A change in proportion, by a factor for each lane or each row and lane."""
    return None if change is None else change * (factor if factor.ndim < 2 else factor[..., None, :])
