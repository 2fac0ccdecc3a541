"""Adaptive integration of all lanes in one loop, each lane with its own steps, and its exact discrete adjoint.

The loop stores the start of every attempted step (a node). The values at sample times are shorter steps taken from
those nodes (`twin.solve.sample`), so the loop itself knows nothing of samples.

Reverse mode replays the accepted steps backwards and pulls the cotangent through one step at a time: its cost does not
depend on the number of parameters and its memory is that of the nodes. Step sizes are constants of the differentiation
(as fractions of their segment, so that moving a border moves the steps in it). Forward mode differentiates the loop
itself.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.method import Lanes, Method, Segment, States, Step

OK, TOO_MANY_STEPS, STEP_TOO_SMALL, NOT_STEADY = 0, 1, 2, 3
REASONS = {
    TOO_MANY_STEPS: "more steps than allowed",
    STEP_TOO_SMALL: "the step size became too small (a singularity, or values that are not finite)",
    NOT_STEADY: "no steady state within the horizon of the equilibration",
}
SAFETY, SHRINK, GROW = 0.9, 0.2, 6.0
SMALLEST_FRACTION = 1e-14
"""Steps below this fraction of their segment no longer move time in float64."""

STEADY_FRACTION = 1e-3
"""A steady state is believed only after a step of this fraction of the horizon, so that slow changes are seen."""
IDLE_STEP = 1e-9
"""Step of lanes that do not move: small, so that nothing overflows in a result that is thrown away (its derivative
would otherwise turn zero cotangents into NaN)."""


class Tolerance(NamedTuple):
    """How exactly to integrate.

    Args:
        rtol: Relative tolerance per step.
        atol: Absolute tolerance per step, in the unit of each state.
        max_steps: Most attempted steps of a lane, rejected ones included.
    """

    rtol: float = 1e-8
    atol: float = 1e-12
    max_steps: int = 4096


class Nodes(NamedTuple):
    """Starts of all attempted steps; slots after the last attempt have `segment` -1.

    Args:
        y: States at the start of the step.
        segment: Index of the segment.
        start: Where in its segment the step begins, as a fraction.
        length: Its length as a fraction of the segment; 0 where the step was rejected or the lane had finished.
        status: 0 or the reason of failure, per lane.
        steps: Number of attempts made by the slowest lane.
    """

    y: Float[Array, "node state lane"]
    segment: Int[Array, "node lane"]
    start: Float[Array, "node lane"]
    length: Float[Array, "node lane"]
    status: Int[Array, " lane"]
    steps: Int[Array, ""]


class _Carry(NamedTuple):
    step: Array
    segment: Int[Array, " lane"]
    start: Lanes
    h: Lanes
    fresh: Bool[Array, " lane"]
    y: States
    status: Int[Array, " lane"]
    nodes: Nodes


def at_segment(schedule: Schedule, index: Int[Array, "*sample lane"]) -> tuple[Segment, Array, Array]:
    """The given segment of each lane (or of each sample and lane), its start time and its length."""
    wide = index if index.ndim == 2 else index[None]

    def pick(x: Array) -> Array:
        x = jnp.moveaxis(x, 0, -2)
        if x.shape[-2] > 1:
            x = jnp.take_along_axis(x, wide.reshape(*([1] * (x.ndim - 2)), *wide.shape), axis=-2)
        x = jnp.broadcast_to(x, (*x.shape[:-2], *wide.shape))
        return x if index.ndim == 2 else x[..., 0, :]

    start, end = pick(schedule.borders[:-1]), pick(schedule.borders[1:])
    clock = pick(schedule.clock)
    middle = jnp.where(clock > 0, 0.5 * (start + end), schedule.origin)
    return Segment(pick(schedule.params), pick(schedule.inflow), middle, clock), start, end - start


def jump(schedule: Schedule, index: Int[Array, " lane"], y: States) -> States:
    """States after what happens at the beginning of the given segment."""
    if schedule.keep.shape[0] == 1:  # nothing happens after the beginning of the first segment
        return y
    selector = index[None, None, :]
    keep = jnp.take_along_axis(schedule.keep, selector, axis=0)[0]
    return y * keep + jnp.take_along_axis(schedule.add, selector, axis=0)[0]


def start_states(schedule: Schedule) -> States:
    """States after what happens at the beginning of the first segment."""
    return schedule.initial * schedule.keep[0] + schedule.add[0]


def clock_time(segment: Segment, schedule: Schedule, begin: Lanes, fraction: Lanes, length: Lanes) -> Lanes:
    """Time shown by the clock at a fraction of the segment."""
    return jnp.where(segment.clock > 0, begin + fraction * length, schedule.origin)


def _error_norm(error: States, before: States, after: States, tolerance: Tolerance) -> Lanes:
    scale = tolerance.atol + tolerance.rtol * jnp.maximum(jnp.abs(before), jnp.abs(after))
    return jnp.sqrt(jnp.mean((error / scale) ** 2, axis=0))


def _first_step(slope: States, y: States, span: Lanes, tolerance: Tolerance) -> Lanes:
    """A step over which the solution changes by about a hundredth (Hairer, Norsett & Wanner I, 1993, p. 169)."""
    scale = tolerance.atol + tolerance.rtol * jnp.abs(y)
    size = jnp.sqrt(jnp.mean((y / scale) ** 2, axis=0))
    speed = jnp.sqrt(jnp.mean((slope / scale) ** 2, axis=0))
    usable = (size > 1e-5) & (speed > 1e-5)
    guess = jnp.where(usable, 0.01 * size / jnp.where(usable, speed, 1.0), 1e-6 * span)
    return jnp.minimum(guess, span)


def _loop(system: System, method: Method, tolerance: Tolerance, schedule: Schedule) -> Nodes:
    step = method.stepper(system)
    lanes, last = schedule.lanes, schedule.segments - 1
    control = lax.stop_gradient

    def alive(c: _Carry) -> Bool[Array, " lane"]:
        return (c.segment <= last) & (c.status == OK)

    def body(c: _Carry) -> _Carry:
        here = jnp.minimum(c.segment, last)
        segment, begin, length = at_segment(schedule, here)
        active = alive(c)
        t = clock_time(segment, schedule, begin, c.start, length)
        slope = system.vector_field(t, segment.mid, c.y, segment.params) + segment.inflow
        guess = _first_step(control(slope), control(c.y), control(length), tolerance)
        wanted = jnp.where(c.fresh, guess, c.h)
        left = (1.0 - c.start) * control(length)
        # A remainder that is a hair longer than the step is taken whole, to avoid a sliver of a step after it.
        final = wanted >= left * (1.0 - 1e-10)
        attempted = jnp.where(final, 1.0 - c.start, wanted / jnp.where(left > 0, control(length), 1.0))
        moves = active & (left > 0)
        h = jnp.where(moves, attempted * length, IDLE_STEP)
        after, error = step(segment, t, c.y, h)
        norm = control(_error_norm(error, c.y, after, tolerance))
        finite = jnp.isfinite(norm) & jnp.all(jnp.isfinite(control(after)), axis=0)
        norm = jnp.where(finite, norm, jnp.inf)
        accepted = moves & (norm <= 1.0)
        factor = jnp.clip(SAFETY * jnp.maximum(norm, 1e-10) ** (-1.0 / method.order), SHRINK, GROW)
        proposed = control(h) * factor
        # A step cut short by the end of its segment says little about the step that follows.
        proposed = jnp.where(accepted & final, jnp.maximum(proposed, wanted), proposed)
        long = attempted > STEADY_FRACTION
        steady = (segment.clock == 0) & accepted & long & _is_steady(control(c.y), control(after), tolerance)
        ends = (accepted & final) | (active & ~(left > 0)) | steady
        gave_up = accepted & final & (segment.clock == 0) & ~steady & (left > 0)
        moved = jnp.where(accepted, after, c.y)
        following = jnp.where(ends, c.segment + 1, c.segment)
        jumped = jump(schedule, jnp.minimum(following, last), moved)
        y = jnp.where(ends & (following <= last), jumped, moved)
        changed = jnp.any(control(y) != control(moved), axis=0)
        # Near a singularity even accepted steps come to be too short to move time.
        stuck = attempted < 4 * jnp.finfo(h.dtype).eps * c.start
        too_small = moves & ~final & (stuck | (~accepted & (attempted < SMALLEST_FRACTION)))
        status = jnp.where(too_small, STEP_TOO_SMALL, jnp.where(gave_up, NOT_STEADY, c.status))
        began = jnp.where(accepted, c.start + attempted, c.start)
        return _Carry(
            step=c.step + 1,
            segment=following,
            start=jnp.where(ends, jnp.where(following > last, 1.0, 0.0), began),
            h=jnp.where(moves, proposed, wanted),
            fresh=jnp.where(moves, False, c.fresh) | (ends & (changed | (segment.clock == 0))),
            y=y,
            status=status,
            nodes=_record(c, here, jnp.where(accepted, attempted, 0.0)),
        )

    first = start_states(schedule)
    carry = _Carry(
        step=jnp.zeros((), jnp.int32),
        segment=jnp.zeros(lanes, jnp.int32),
        start=jnp.zeros(lanes),
        h=jnp.zeros(lanes),
        fresh=jnp.ones(lanes, bool),
        y=first,
        status=jnp.zeros(lanes, jnp.int32),
        nodes=_empty_nodes(tolerance.max_steps + 1, *first.shape),
    )
    carry = lax.while_loop(lambda c: (c.step < tolerance.max_steps) & jnp.any(alive(c)), body, carry)
    status = jnp.where(alive(carry), TOO_MANY_STEPS, carry.status)
    # The end of the last segment is a node, too: it serves samples at the very end.
    nodes = _record(carry, jnp.minimum(carry.segment, last), jnp.zeros(lanes))
    return nodes._replace(status=status, steps=carry.step)


def _is_steady(before: States, after: States, tolerance: Tolerance) -> Bool[Array, " lane"]:
    """Nothing moved by more than a hundredth of its tolerance (or by round-off)."""
    scale = tolerance.atol + tolerance.rtol * jnp.abs(before)
    return jnp.all(jnp.abs(after - before) <= 1e-2 * scale + 1e-13 * jnp.abs(before), axis=0)


def _empty_nodes(count: int, states: int, lanes: int) -> Nodes:
    return Nodes(
        y=jnp.zeros((count, states, lanes)),
        segment=jnp.full((count, lanes), -1, jnp.int32),
        start=jnp.zeros((count, lanes)),
        length=jnp.zeros((count, lanes)),
        status=jnp.zeros(lanes, jnp.int32),
        steps=jnp.zeros((), jnp.int32),
    )


def _record(c: _Carry, segment: Array, length: Array) -> Nodes:
    put = partial(lax.dynamic_update_index_in_dim, index=c.step, axis=0)
    return c.nodes._replace(
        y=put(c.nodes.y, c.y),
        segment=put(c.nodes.segment, segment),
        start=put(c.nodes.start, c.start),
        length=put(c.nodes.length, length),
    )


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _reversible(system: System, method: Method, tolerance: Tolerance, schedule: Schedule) -> Nodes:
    return _loop(system, method, tolerance, schedule)


def _forward(system: System, method: Method, tolerance: Tolerance, schedule: Schedule):
    schedule = lax.optimization_barrier(schedule)
    nodes = _loop(system, method, tolerance, schedule)
    return nodes, (nodes, schedule)


def _replay(step: Step, schedule: Schedule, y: States, segment: Array, start: Array, length: Array, following: Array):
    """One accepted step and the jump after it, as a differentiable function of schedule and states."""
    here, begin, span = at_segment(schedule, segment)
    t = clock_time(here, schedule, begin, start, span)
    accepted = length > 0
    h = jnp.where(accepted, length * span, IDLE_STEP)
    after = jnp.where(accepted, step(here, t, y, h)[0], y)
    return jnp.where(following > segment, jump(schedule, following, after), after)


def _backward(system: System, method: Method, tolerance: Tolerance, residuals, cotangent: Nodes):
    nodes, schedule = lax.optimization_barrier(residuals)
    step = method.stepper(system)
    floats, rest = _split(schedule)

    def body(carry):
        index, adjoint, gradient = carry
        index = index - 1
        node = (nodes.segment[index], nodes.start[index], nodes.length[index])
        following = jnp.where(nodes.segment[index + 1] < 0, nodes.segment[index], nodes.segment[index + 1])

        def advance(differentiable, y):
            return _replay(step, _join(differentiable, rest), y, *node, following)

        _, pull = jax.vjp(advance, floats, nodes.y[index])
        schedule_part, adjoint = pull(adjoint)
        gradient = jax.tree.map(jnp.add, gradient, schedule_part)
        return index, adjoint + cotangent.y[index], gradient

    zero = jax.tree.map(jnp.zeros_like, floats)
    start = (nodes.steps, cotangent.y[nodes.steps], zero)
    _, adjoint, gradient = lax.while_loop(lambda c: c[0] > 0, body, start)
    # The first node is the initial state after the jump of the first segment.
    _, pull = jax.vjp(lambda differentiable: start_states(_join(differentiable, rest)), floats)
    gradient = jax.tree.map(jnp.add, gradient, pull(adjoint)[0])
    zeros = Schedule(*(jnp.zeros_like(x) for x in schedule))
    return (_join(gradient, zeros),)


_reversible.defvjp(_forward, _backward)

_DIFFERENTIABLE = ("borders", "params", "inflow", "keep", "add", "initial")


def _split(schedule: Schedule) -> tuple[dict[str, Array], Schedule]:
    return {name: getattr(schedule, name) for name in _DIFFERENTIABLE}, schedule


def _join(floats: dict[str, Array], rest: Schedule) -> Schedule:
    return rest._replace(**floats)


def integrate(
    system: System,
    schedule: Schedule,
    method: Method,
    tolerance: Tolerance,
    gradient: Literal["reverse", "forward"] = "reverse",
) -> Nodes:
    """Integrate every lane of a schedule from its first to its last border.

    Args:
        system: The compiled model.
        schedule: Segments, parameters, inflows and jumps per lane.
        method: A one-step method.
        tolerance: Tolerances and the bound on steps.
        gradient: The mode of differentiation that the result supports: "reverse" (`jax.grad`, `jax.vjp`) or
            "forward" (`jax.jvp`, `jax.jacfwd`).

    Returns:
        The nodes of all lanes; lanes that failed say why in `status` and keep the nodes up to the failure.
    """
    if gradient == "forward":
        return _loop(system, method, tolerance, schedule)
    return _reversible(system, method, tolerance, schedule)


def describe_failures(status: np.ndarray) -> str:
    """How many lanes failed and why, in words."""
    parts = [
        f"{int((status == code).sum())} with {reason}" for code, reason in REASONS.items() if (status == code).any()
    ]
    return "; ".join(parts)
