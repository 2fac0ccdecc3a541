"""Which method integrates a system faster: what ``solver="auto"`` stands for.

Both methods integrate the given lanes once, without samples and without derivatives. What counts is

    attempts * operations of an attempt,

the operations read off the traced iteration of the loop: every number that it computes is one, a product of two vectors
two for each element. No clock is read, so equal inputs give equal choices. An iteration's adjoint costs as many times
more in either method (measured: within a third), so the choice is the same with gradients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.precision import in_float64
from twin.solve.blocks import in_blocks, lanes_per_block
from twin.solve.loop import Loop
from twin.solve.method import Method
from twin.solve.methods import METHODS
from twin.solve.nodes import OK, Tolerance

IMPLICIT, EXPLICIT = METHODS["rodas5p"], METHODS["tsit5"]

WEIGHT = 1.14
"""Time of an operation of the explicit method, in those of the implicit one: the geometric mean over the problems of
`tests/benchmarks/solver_choice.py` (0.97 to 1.5 where the two are close)."""

_NO_ARITHMETIC = frozenset({"broadcast_in_dim", "concatenate", "convert_element_type", "copy", "iota", "reshape"})
_NO_ARITHMETIC |= {"dynamic_slice", "dynamic_update_slice", "optimization_barrier", "slice", "squeeze", "transpose"}
"""What only moves numbers and disappears when XLA fuses it with its neighbours."""


class _Probe(NamedTuple):
    """What an integration took.

    Args:
        attempts: Attempts at a step, summed over blocks of lanes.
        failed: Lanes that did not come to their end.
    """

    attempts: float
    failed: int


@in_float64
def choose(system: System, schedule: Schedule, tolerance: Tolerance) -> Method:
    """The method that integrates the lanes of a schedule faster.

    It is Rodas5P without a trial where Tsit5 cannot do it, or only badly: with constraints, and for runs to steady
    state, whose ever longer steps an explicit method cannot take. Elsewhere it is the one with fewer lanes that fail,
    then the one with less to compute. The trial of Tsit5 ends as soon as it has lost.

    Args:
        system: The compiled model.
        schedule: Concrete arrays (not traced), for lanes that stand for all that will be integrated.
        tolerance: Tolerances and the bound on steps.
    """
    standing = bool(np.any(np.asarray(schedule.clock) == 0))
    if not len(system.states) or not system.mass.all() or standing:
        return IMPLICIT
    implicit = _probe(system, IMPLICIT, tolerance, schedule, tolerance.max_steps)
    ratio = WEIGHT * _operations(system, EXPLICIT, schedule) / _operations(system, IMPLICIT, schedule)
    most = tolerance.max_steps if implicit.failed else min(tolerance.max_steps, math.ceil(implicit.attempts / ratio))
    explicit = _probe(system, EXPLICIT, tolerance, schedule, most)
    if explicit.failed != implicit.failed:
        return EXPLICIT if explicit.failed < implicit.failed else IMPLICIT
    return EXPLICIT if explicit.attempts * ratio < implicit.attempts else IMPLICIT


def _probe(system: System, method: Method, tolerance: Tolerance, schedule: Schedule, most: int) -> _Probe:
    attempts, status = _integrated(system, method, tolerance, schedule, jnp.full(schedule.lanes, most, jnp.int32))
    width = lanes_per_block(system, schedule.lanes)
    return _Probe(float(np.sum(np.asarray(attempts))) / width, int(np.sum(np.asarray(status) != OK)))


@partial(jax.jit, static_argnums=(0, 1, 2))
def _integrated(
    system: System, method: Method, tolerance: Tolerance, schedule: Schedule, most: Int[Array, " lane"]
) -> tuple[Int[Array, " lane"], Int[Array, " lane"]]:
    """Attempts that the block of each lane made, at most so many, and how the lane ended."""

    # The bound is an array, so that one program serves all bounds.
    def run(schedule: Schedule, most: Array) -> tuple[Array, Array]:
        loop, limit = _loop(system, method, tolerance, schedule), jnp.max(most)
        goes_on = lambda c: loop.goes_on(c) & (jnp.max(c.step) < limit)  # noqa: E731
        ended = loop.ended(lax.while_loop(goes_on, lambda c: loop.iterate(c)[0], loop.first()))
        return jnp.broadcast_to(jnp.max(ended.step), ended.status.shape), ended.status

    width = lanes_per_block(system, schedule.lanes)
    if width >= schedule.lanes:
        return run(schedule, most)
    return in_blocks(run, (schedule, most), schedule.lanes, width)


def _loop(system: System, method: Method, tolerance: Tolerance, schedule: Schedule) -> Loop:
    """A loop with one sample, at the end: samples decide nothing about steps."""
    return Loop(system, method, tolerance, schedule, schedule.borders[-1:])


def _operations(system: System, method: Method, schedule: Schedule) -> float:
    """Operations of one iteration of the loop over all lanes."""
    leaves, tree = jax.tree.flatten(schedule)
    return _counted(system, method, tree, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves))


@lru_cache(maxsize=128)
def _counted(system: System, method: Method, tree: Any, shapes: tuple[jax.ShapeDtypeStruct, ...]) -> float:
    """The same for a schedule of a structure; tracing takes longer than many an integration."""
    # The bound on steps sizes the memory of delayed systems, most of which an iteration leaves as it is.
    loop = partial(_loop, system, method, Tolerance(max_steps=1))
    schedule = jax.tree.unflatten(tree, shapes)
    progress = jax.eval_shape(lambda schedule: loop(schedule).first(), schedule)
    return _count(jax.make_jaxpr(lambda schedule, c: loop(schedule).iterate(c))(schedule, progress).jaxpr)


def _count(jaxpr: Any) -> float:
    """Operations of a traced function; loops of unknown length count once."""
    total = 0.0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if name == "custom_linear_solve":
            # Product and transposed solve are for its derivatives.
            total += _count(params["jaxprs"].solve.jaxpr)
        elif name == "sparse_map":
            # A product and a sum for each non-zero, in every lane.
            total += 2.0 * len(params["table"].rows) * math.prod(equation.outvars[0].aval.shape[1:])
        elif inner := list(_inner(params)):
            total += params.get("length", 1) * sum(map(_count, inner)) if name == "scan" else sum(map(_count, inner))
        elif name not in _NO_ARITHMETIC:
            total += _numbers(equation) * _per_number(equation)
    return total


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            traced = getattr(each, "jaxpr", each)
            if hasattr(traced, "eqns"):
                yield traced


def _numbers(equation: Any) -> float:
    return sum(math.prod(variable.aval.shape) for variable in equation.outvars)


def _per_number(equation: Any) -> float:
    """Operations for each number that comes out."""
    name, (first, *_) = equation.primitive.name, (*equation.invars, None)
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2.0 * math.prod(first.aval.shape[axis] for axis in contracted)
    # Dense factors, 2/3 n^3 in n^2 numbers, and solves with them.
    if name == "lu":
        return 2.0 / 3.0 * first.aval.shape[-1]
    return float(first.aval.shape[-1]) if name == "triangular_solve" else 1.0
