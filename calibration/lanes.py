"""Functions of one parameter vector that run many vectors as lanes of one solve, with exact derivatives.

`jax.vmap` of a solver written for one trajectory would put the batch first and repeat work for finished lanes. Here
a function is written for many vectors at once; `vmap`, nested or not, reaches that version, and `grad` and `jvp` reach
its own derivative.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

type Vector = Float[Array, " parameter"]
type Vectors = Float[Array, "draw parameter"]


def batched(of_many: Callable[[Vectors], object]) -> Callable[[Vectors], object]:
    """`of_many`, such that mapping it over a further axis merges that axis into the first."""

    @custom_vmap
    def merged(thetas: Vectors):
        return of_many(thetas)

    @merged.def_vmap
    def _(axis_size: int, in_batched: list[bool], thetas: Array):
        if not in_batched[0]:
            thetas = jnp.broadcast_to(thetas, (axis_size, *thetas.shape))
        outer, inner, size = thetas.shape
        result = merged(thetas.reshape(outer * inner, size))
        split = jax.tree.map(lambda x: x.reshape(outer, inner, *x.shape[1:]), result)
        return split, jax.tree.map(lambda _: True, split)

    return merged


def differentiable(
    value_of_many: Callable[[Vectors], Float[Array, "draw *shape"]],
    value_and_jacobian_of_many: Callable[[Vectors], tuple[Array, Array]],
) -> Callable[[Array], Array]:
    """A function of one vector from its batched value and its batched value with Jacobian.

    Args:
        value_of_many: From [draw, parameter] to [draw, ...].
        value_and_jacobian_of_many: The same with the Jacobian [draw, ..., parameter].

    Returns:
        A function of [parameter] that `jax.jit`, `grad`, `jvp`, `jacfwd`, `jacrev` and `vmap` work on (not a second
        derivative: the Jacobian is computed by a rule that is not itself differentiable).
    """
    value, value_and_jacobian = batched(value_of_many), batched(value_and_jacobian_of_many)

    @jax.custom_jvp
    def function(theta: Vector) -> Array:
        return value(theta[None])[0]  # type: ignore[index]

    @function.defjvp
    def _(primals: tuple[Vector], tangents: tuple[Vector]):
        result, jacobian = value_and_jacobian(primals[0][None])  # type: ignore[misc]
        # Not a matrix product: its transpose would ask for float64 by name, which JAX refuses outside the x64 context.
        return result[0], jnp.sum(jacobian[0] * tangents[0], axis=-1)

    return function
