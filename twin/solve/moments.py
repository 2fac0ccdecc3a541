"""Functions whose value is known without computing them.

Where a moment moves with the parameters, its shift is zero in value and only derivatives see it. All that is computed
from the shift is then known beforehand; but for floating point numbers a compiler may not leave out what it multiplies
by zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array


def valued_as(value: Callable[..., Array], formula: Callable[..., Array]) -> Callable[..., Array]:
    """A function that has the value of the one and all derivatives of the other.

    Args:
        value: What it computes.
        formula: The same in value; evaluated only where derivatives are asked for, of whatever order.

    Returns:
        A function of the same arguments, trees of arrays.
    """

    @jax.custom_jvp
    def function(*arguments: Any) -> Array:
        return value(*arguments)

    def rule(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
        leaves, tree = jax.tree.flatten(primals)
        changes = jax.tree.leaves(tangents, is_leaf=lambda x: isinstance(x, SymbolicZero))
        moving = {index: x for index, x in enumerate(changes) if not isinstance(x, SymbolicZero)}
        valued = function(*primals)
        if not moving:
            return valued, jnp.zeros_like(valued)

        def of_moving(*moved: Array) -> Array:
            given = dict(zip(moving, moved, strict=True))
            return formula(*jax.tree.unflatten(tree, [given.get(index, x) for index, x in enumerate(leaves)]))

        at = tuple(leaves[index] for index in moving)
        return valued, jax.jvp(of_moving, at, tuple(moving.values()))[1]

    function.defjvp(rule, symbolic_zeros=True)
    return function
