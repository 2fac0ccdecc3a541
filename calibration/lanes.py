"""Functions of one parameter vector that run many vectors as lanes of one solve, with exact derivatives.

`jax.vmap` of a solver written for one trajectory would put the batch first and repeat work for finished lanes. Here
a function is written for many vectors at once; `vmap`, nested or not, reaches that version, and `grad` and `jvp` reach
its own derivative. The second derivative is the forward derivative of that one, with directions as further lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, Float

from twin.collector import collector_paused
from twin.errors import ProblemError

type Vector = Float[Array, " parameter"]
type Vectors = Float[Array, "draw parameter"]
type WithJacobian = Callable[[Vectors], tuple[Array, Array]]


def batched(of_many: Callable) -> Callable:
    """`of_many`, such that mapping it over a further axis merges that axis into the first of its arguments.

    It is one program also where it is not called from one: JAX would else run, and compile, it operation by operation.
    """
    program = _OpenProgram(of_many)

    # The arrays of the closure go along as an argument: what a rule closes over, a loop in which it is mapped keeps.
    @custom_vmap
    def merged(arrays: Sequence[Array], *rows: Vectors):
        return program(arrays, rows)

    @merged.def_vmap
    def _(axis_size: int, in_batched: list, arrays: Sequence[Array], *rows: Array):
        given = zip(rows, in_batched[1:], strict=True)
        wide = [x if mapped else jnp.broadcast_to(x, (axis_size, *x.shape)) for x, mapped in given]
        result = merged(arrays, *(x.reshape(-1, *x.shape[2:]) for x in wide))
        split = jax.tree.map(lambda x: x.reshape(axis_size, -1, *x.shape[1:]), result)
        return split, jax.tree.map(lambda _: True, split)

    return lambda *rows: merged(program.arrays(rows), *rows)


class _Opened(NamedTuple):
    """A program of arrays and rows, the arrays that it was traced with, and which of the first call's these are."""

    program: Callable
    arrays: list
    places: list[int | None]


class _OpenProgram:
    """`jax.jit` of a function that takes the arrays of its closure as an argument.

    `jax.jit` alone keeps them within the inner program, where `calibration.shared_program` does not see them: two
    problems that differ in their readings alone would compile the sampler twice.
    """

    def __init__(self, function: Callable) -> None:
        self._function, self._alone = function, jax.jit(function)
        self._kept: dict[Hashable, _Opened | None] = {}
        self._first: dict[bool, list] = {}

    def arrays(self, rows: Sequence[Array]) -> list:
        """What the function closes over; nothing where that is part of a larger trace."""
        opened = self._opened(rows)
        return [] if opened is None else self._first[_double()]

    def __call__(self, arrays: Sequence[Array], rows: Sequence[Array]):
        opened = self._opened(rows)
        if opened is None:
            return self._alone(*rows)
        # A rule that maps passes on what it was given for fewer rows; the rest depends on how many there are.
        known = zip(opened.places, opened.arrays, strict=True)
        chosen = [own if place is None or not arrays else arrays[place] for place, own in known]
        return opened.program(chosen, rows)

    def _opened(self, rows: Sequence[Array]) -> _Opened | None:
        key = (*map(jax.typeof, rows), _double())
        if key not in self._kept:
            self._kept[key] = self._open(rows)
        return self._kept[key]

    @collector_paused()
    def _open(self, rows: Sequence[Array]) -> _Opened | None:
        shapes = [jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)) for x in rows]
        code, shape = jax.make_jaxpr(self._function, return_shape=True)(*shapes)
        if any(isinstance(x, jax.core.Tracer) for x in code.consts):
            return None
        # Unsigned integers are the patterns of large systems, thousands of them: they are code, as they are in
        # `calibration.shared_program`.
        numbers = [index for index, x in enumerate(code.consts) if x.dtype.kind != "u"]
        arrays, tree = [code.consts[index] for index in numbers], jax.tree.structure(shape)
        first = self._first.setdefault(_double(), arrays)
        itself = {id(y): place for place, y in enumerate(first)}
        alike = lambda x: next((place for place, y in enumerate(first) if _same(x, y)), None)  # noqa: E731
        places = [itself[id(x)] if id(x) in itself else alike(x) for x in arrays]

        @jax.jit
        def flat(arrays: list, rows: list) -> list:
            constants = list(code.consts)
            for index, x in zip(numbers, arrays, strict=True):
                constants[index] = x
            return jaxpr_as_fun(ClosedJaxpr(code.jaxpr, constants))(*rows)

        return _Opened(lambda arrays, rows: jax.tree.unflatten(tree, flat(arrays, list(rows))), arrays, places)


def _double() -> bool:
    return jax.config.jax_enable_x64  # type: ignore[attr-defined]


def _same(x: Any, y: Any) -> bool:
    """Whether one array may stand for the other."""
    return jnp.shape(x) == jnp.shape(y) and x.dtype == y.dtype and bool(np.array_equal(x, y))


def differentiable(
    value_of_many: Callable[[Vectors], Float[Array, "draw *shape"]],
    value_and_jacobian_of_many: WithJacobian,
    once_more_differentiable: WithJacobian | None = None,
) -> Callable[[Array], Array]:
    """A function of one vector from its batched value and its batched value with Jacobian.

    Args:
        value_of_many: From [draw, parameter] to [draw, ...].
        value_and_jacobian_of_many: The same with the Jacobian [draw, ..., parameter].
        once_more_differentiable: The same, from which second derivatives are taken; default: that one.

    Returns:
        A function of [parameter] that `jax.jit`, `grad`, `jvp`, `jacfwd`, `jacrev` and `vmap` work on, and once more
        those in forward mode: `jax.hessian(f)`, `jax.jvp(jax.grad(f), ...)`, `jax.jacfwd(jax.jacrev(f))`. Reverse mode
        of a derivative (`jax.grad` of `jax.grad`) is a NotImplementedError of JAX, which finds no transpose of
        `custom_vmap_call`; a third derivative is a `ProblemError`.
    """
    value = batched(value_of_many)
    with_jacobian = _with_derivative(value_and_jacobian_of_many, once_more_differentiable or value_and_jacobian_of_many)

    @jax.custom_jvp
    def function(theta: Vector) -> Array:
        return value(theta[None])[0]  # type: ignore[index]

    @function.defjvp
    def _(primals: tuple[Vector], tangents: tuple[Vector]):
        result, jacobian = with_jacobian(primals[0])
        # Not a matrix product: its transpose would ask for float64 by name, which JAX refuses outside the x64 context.
        return result, jnp.sum(jacobian * tangents[0], axis=-1)

    return function


def _with_derivative(
    value_and_jacobian_of_many: WithJacobian, differentiable_of_many: WithJacobian
) -> Callable[[Vector], tuple[Array, Array]]:
    """Value and Jacobian of one vector, differentiable once in forward mode.

    The rules of JAX would not do: they map the derivative of the rule in `batched`, which maps itself without end.
    """
    first = batched(value_and_jacobian_of_many)
    second = batched(lambda thetas, along: jax.jvp(differentiable_of_many, (thetas,), (along,))[1])

    @jax.custom_jvp
    def with_jacobian(theta: Vector) -> tuple[Array, Array]:
        return jax.tree.map(lambda x: x[0], first(theta[None]))

    @with_jacobian.defjvp
    def _(primals: tuple[Vector], tangents: tuple[Vector]):
        return with_jacobian(primals[0]), push(primals[0], tangents[0])

    @jax.custom_jvp
    def push(theta: Vector, direction: Vector) -> tuple[Array, Array]:
        return jax.tree.map(lambda x: x[0], second(theta[None], direction[None]))

    def of_push(primals: tuple[Vector, Vector], tangents: tuple[Vector | SymbolicZero, Vector | SymbolicZero]):
        if not isinstance(tangents[0], SymbolicZero):
            raise ProblemError("a third derivative is asked for", expected="derivatives up to the second")
        result = push(*primals)
        if isinstance(tangents[1], SymbolicZero):
            return result, jax.tree.map(jnp.zeros_like, result)
        return result, push(primals[0], tangents[1])

    push.defjvp(of_push, symbolic_zeros=True)
    return with_jacobian
