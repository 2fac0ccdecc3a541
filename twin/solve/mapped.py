"""Functions with a rule of their own for `jax.vmap`, which are not traced where only the rule is used.

`jax.custom_batching.custom_vmap` traces the function itself whenever it is called, to learn what it returns, and then
the rule. Where the function is a loop over a model, that doubles the time of tracing. Here what it returns is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from twin.precision import as_wide_as

type Tree = Any
"""Arrays in containers, or how they are contained."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """A function of trees of arrays with a rule for `jax.vmap`; forward mode may differentiate it.

    Args:
        function: What it is without a map.
        rule: (size, which arguments have the mapped axis, which is the first; arguments) -> the results of the map,
            and which of them have the axis. Both "which" are trees of booleans like what they speak of.
        shapes: From the arguments to what the function returns, as `jax.ShapeDtypeStruct` or arrays.
    """

    function: Callable[..., Tree]
    rule: Callable[..., tuple[Tree, Tree]]
    shapes: Callable[..., Tree]

    def __call__(self, *arguments: Tree) -> Tree:
        leaves, tree = jax.tree.flatten(arguments)
        shapes, results = jax.tree.flatten(self.shapes(*arguments))
        avals = tuple(jax.core.ShapedArray(x.shape, x.dtype) for x in shapes)
        return jax.tree.unflatten(results, _mapped.bind(*leaves, of=self, tree=tree, avals=avals))

    def flat(self, tree: Tree, leaves) -> list:
        """The function on leaves."""
        return jax.tree.leaves(self.function(*jax.tree.unflatten(tree, leaves)))


_mapped = Primitive("mapped")
_mapped.multiple_results = True
_mapped.def_impl(lambda *leaves, of, tree, avals: of.flat(tree, leaves))
_mapped.def_abstract_eval(lambda *_, of, tree, avals: list(avals))


def _lowered(*leaves, of: Mapped, tree: Tree, avals):
    with as_wide_as(*leaves, *avals):  # lowered where the caller compiles, who may have the switch elsewhere
        return of.flat(tree, leaves)


mlir.register_lowering(_mapped, mlir.lower_fun(_lowered, multiple_results=True))


def _batched(leaves, axes, *, of: Mapped, tree: Tree, avals):
    is_mapped = [axis is not None for axis in axes]
    size = next(x.shape[axis] for x, axis, one in zip(leaves, axes, is_mapped, strict=True) if one)
    first = [jnp.moveaxis(x, axis, 0) if one else x for x, axis, one in zip(leaves, axes, is_mapped, strict=True)]
    results, which = of.rule(size, jax.tree.unflatten(tree, is_mapped), *jax.tree.unflatten(tree, first))
    return jax.tree.leaves(results), [0 if one else None for one in jax.tree.leaves(which)]


def _pushed(leaves, tangents, *, of: Mapped, tree: Tree, avals):
    tangents = [ad.instantiate_zeros(x) for x in tangents]
    return jax.jvp(lambda *x: of.flat(tree, x), leaves, tangents)


batching.primitive_batchers[_mapped] = _batched
ad.primitive_jvps[_mapped] = _pushed
