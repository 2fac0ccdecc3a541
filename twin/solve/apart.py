"""Parts of a loop that XLA compiles by themselves.

On a CPU XLA compiles a loop over little data as one function. That is the fastest to run; but the time that LLVM needs
grows faster than the function, which also cannot be shared between cores: Smith's way back over a step took half of all
compilation as one function of 700 kB (`docs/performance.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr
from jaxtyping import Array, Float

MOST_TOGETHER = 300_000
"""Numbers that a part may compute and still be compiled with the loop around it. Measured on two cores: where the
larger part has 270,000 (a chain of 128 states, 4 lanes), the gradient compiles in 18 instead of 16 s with both by
themselves; where they have 340,000 and 460,000 (Smith), in 49 instead of 76 s. Both gradients then take a tenth
longer."""


def apart_if_large[R](part: Callable[..., R], *arguments: Any, changing: Float[Array, ""]) -> R:
    """``part(*arguments)``, compiled by itself where it is much, and the loop around it then not as one function.

    Args:
        part: Reads nothing traced but its arguments: XLA moves what else it does in front of it.
        arguments: Trees of arrays.
        changing: Any number that is another one in each iteration of the loop around.

    Returns:
        What the part returns.
    """
    leaves = jax.tree.leaves(arguments)
    traced, shapes = jax.make_jaxpr(part, return_shape=True)(*arguments)
    compute = lambda leaves: jax.core.eval_jaxpr(traced.jaxpr, traced.consts, *leaves)  # noqa: E731
    together = _numbers_computed(traced.jaxpr) <= MOST_TOGETHER
    results = compute(leaves) if together else _once(compute, leaves, jax.tree.leaves(shapes), changing)
    return jax.tree.unflatten(jax.tree.structure(shapes), results)


def _once(compute: Callable[[list], list], leaves: list, shapes: list, changing: Float[Array, ""]) -> list:
    """A loop that runs once, which only the numbers tell: XLA keeps it."""
    always = ~(jnp.sign(changing) > 1)  # no sign is more, and XLA does not look for that
    # A scatter keeps XLA from compiling the loop around together with this one.
    goes = jnp.zeros(2, bool).at[jnp.where(always, jnp.arange(2), 0)].set(True)[0]

    def body(carry: tuple) -> tuple:
        _, here, _ = carry
        # What stays the same would leave the loop; XLA does not see that this does.
        after = [jnp.where(always, x, jnp.zeros_like(x)) for x in here]
        return jnp.zeros((), bool), after, compute(here)

    blank = [jnp.zeros(x.shape, x.dtype) for x in shapes]
    return lax.while_loop(lambda carry: carry[0], body, (goes, leaves, blank))[2]


def _numbers_computed(code: Jaxpr) -> int:
    """Sizes of all that it computes, bodies of loops counted once."""
    total = 0
    for equation in code.eqns:
        total += sum(out.aval.size for out in equation.outvars)
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda x: isinstance(x, Jaxpr | ClosedJaxpr)):
            if isinstance(inner, Jaxpr | ClosedJaxpr):
                total += _numbers_computed(inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner)
    return total
