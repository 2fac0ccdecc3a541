"""Integration with samples, differentiable in both modes.

Reverse mode replays the stored steps backwards: the adjoint of every accepted step is `jax.vjp` of that step alone, so
the cost does not depend on the number of parameters, and memory is bounded: the starts of the steps of one page are
stored, and where the integration was when each page began; pages before the last are integrated again when the adjoint
comes to them. Step sizes are constants of the differentiation (as fractions of their segment, so that moving a border
moves the steps in it); moments of events are not (see `twin.solve.events`). For forward mode see
`twin.solve.sensitivities`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.errors import UnsupportedModelError
from twin.experiment.schedule import Schedule
from twin.solve.between import Chosen, change, first_state
from twin.solve.blocks import in_blocks, lanes_per_block
from twin.solve.events import EventLoop
from twin.solve.jumps import on_constraints
from twin.solve.loop import Loop, Progress
from twin.solve.method import Method, Segment, Step
from twin.solve.nodes import IDLE_STEP, OK, Nodes, Tolerance
from twin.solve.past import Past
from twin.solve.rows import put_rows
from twin.solve.sampling import Span, none_passed, pull_samples
from twin.solve.segments import at_segment, clock_time
from twin.solve.sensitivities import DIFFERENTIABLE, with_tangents

MEMORY_FOR_A_PAGE = 8 * 2**20
LONGEST_PAGE, SHORTEST_PAGE = 512, 32
"""Bytes and steps of a page. Steps up to the longest are stored once and never integrated again."""


class Samples(NamedTuple):
    """What there is at the sample times, and how the integration of each lane ended.

    Args:
        t: Sample times, as the clock shows them.
        y: States; NaN in lanes that failed.
        params: Parameters in force at the sample times.
        past: States at earlier times, for delayed terms.
        status: 0 or the reason of failure.
        steps: Number of attempts made by the slowest lane.
    """

    t: Float[Array, "sample lane"]
    y: Float[Array, "state sample lane"]
    params: Float[Array, "parameter sample lane"]
    past: Past | None
    status: Int[Array, " lane"]
    steps: Int[Array, ""]


def numbers_per_sample(system: System) -> int:
    """How many numbers a sample of one lane takes: its states and parameters, and copies of them on the way."""
    return 3 * len(system.states) + 2 * len(system.parameters)


def integrate(
    system: System,
    schedule: Schedule,
    method: Method,
    tolerance: Tolerance,
    ts: Float[Array, "sample lane"],
    gradient: Literal["reverse", "forward"] = "reverse",
    directions: int = 0,
) -> Samples:
    """Integrate every lane of a schedule and read the states at sample times.

    Arguments and results are those of `integrate_and_read`, where samples are read as they are.
    """
    keep = lambda samples: samples._replace(steps=jnp.broadcast_to(samples.steps, samples.status.shape))  # noqa: E731
    samples = integrate_and_read(system, schedule, method, tolerance, ts, keep, gradient, directions)
    return samples._replace(steps=jnp.max(samples.steps))


def integrate_and_read[T](
    system: System,
    schedule: Schedule,
    method: Method,
    tolerance: Tolerance,
    ts: Float[Array, "sample lane"],
    read: Callable[[Samples], T],
    gradient: Literal["reverse", "forward"] = "reverse",
    directions: int = 0,
) -> T:
    """Integrate every lane of a schedule and read the states at sample times.

    Where a jump happens at a sample time, the sample sees the state after it.

    Args:
        system: The compiled model.
        schedule: Segments, parameters, inflows and jumps per lane.
        method: A one-step method.
        tolerance: Tolerances and the bound on steps.
        ts: Sample times within the schedule of each lane, in any order; infinite for the end of the schedule, where
            that is a steady state.
        read: What to make of the samples of a block of lanes, while they are at hand and by the device that has them; a
            tree of arrays whose last axis are lanes.
        gradient: The mode of differentiation that the result supports: "reverse" (`jax.grad`, `jax.vjp`) or
            "forward" (`jax.jvp`, `jax.jacfwd`).
        directions: How many tangent directions at once will be asked for in forward mode, if that is known.
    """

    def run(schedule: Schedule, ts: Array) -> T:
        return read(_side_by_side(system, schedule, method, tolerance, ts, gradient))

    width = lanes_per_block(system, schedule.lanes, directions)
    if width >= schedule.lanes:
        return run(schedule, ts)
    return in_blocks(run, (schedule, ts), schedule.lanes, width)


def _side_by_side(
    system: System,
    schedule: Schedule,
    method: Method,
    tolerance: Tolerance,
    ts: Float[Array, "sample lane"],
    gradient: Literal["reverse", "forward"],
) -> Samples:
    """All lanes in one loop."""
    ts = jnp.where(jnp.isinf(ts), schedule.borders[-1], ts)
    order = _Order.of(ts)
    run = _reversible if gradient == "reverse" else _forward_only
    ended = run(system, method, tolerance, schedule, order.forth(ts))
    # What was not passed lies at the very end.
    passed = ended.passed._replace(y=ended.passed.y[:-1], segment=ended.passed.segment[:-1])
    ahead = jnp.arange(ts.shape[0])[:, None] >= passed.cursor
    y = jnp.where(ahead[:, None], ended.z[None, : len(system.states)], passed.y)
    index = jnp.where(ahead, schedule.segments - 1, passed.segment)
    y = jnp.moveaxis(order.back(y), 1, 0)
    segment, _, _ = at_segment(schedule, order.back(index))
    t = jnp.where(segment.clock > 0, ts, segment.origin)
    if not system.mass.all():
        y = _on_constraints(system, t, y, segment._replace(past=ended.past))
    y = jnp.where(ended.status == OK, y, jnp.nan)
    return Samples(t, y, segment.params, ended.past, ended.status, ended.step)


class _Order(NamedTuple):
    """The order of samples in time. Mostly they are asked for in it, and then nothing is sorted.

    Args:
        ascending: Whether every lane asks for its samples in order of time.
        forwards: Which sample comes first, second, ...
        backwards: Where each then stands.
    """

    ascending: Bool[Array, ""]
    forwards: Int[Array, "sample lane"]
    backwards: Int[Array, "sample lane"]

    @classmethod
    def of(cls, ts: Float[Array, "sample lane"]) -> _Order:
        ts = lax.stop_gradient(ts)
        ascending = jnp.all(ts[1:] >= ts[:-1])
        here = jnp.broadcast_to(jnp.arange(ts.shape[0])[:, None], ts.shape)

        def in_order() -> tuple[Array, Array]:
            forwards = jnp.argsort(ts, axis=0)
            return forwards, jnp.argsort(forwards, axis=0)

        return cls(ascending, *lax.cond(ascending, lambda: (here, here), in_order))

    def forth(self, x: Float[Array, "sample *row lane"]) -> Float[Array, "sample *row lane"]:
        """From the order asked for to that of time."""
        return self._taken(x, self.forwards)

    def back(self, x: Float[Array, "sample *row lane"]) -> Float[Array, "sample *row lane"]:
        """From the order of time to that asked for."""
        return self._taken(x, self.backwards)

    def _taken(self, x: Array, order: Array) -> Array:
        wide = order.reshape(order.shape[0], *[1] * (x.ndim - 2), order.shape[1])
        return lax.cond(self.ascending, lambda: x, lambda: jnp.take_along_axis(x, wide, axis=0))


def _on_constraints(system: System, t: Array, y: Array, segment: Segment) -> Float[Array, "state sample lane"]:
    """Samples with the states that constraints determine computed from the others.

    The interpolant is of lower order in them, above all its slope, which counts where a border moves past a sample.
    """
    flat = lambda x: x.reshape(*x.shape[:-2], t.size)  # noqa: E731
    conditions = Segment(*map(flat, segment[:5]), past=segment.past)
    return on_constraints(system, flat(t), flat(y), conditions).reshape(y.shape)


def _forward_only(
    system: System, method: Method, tolerance: Tolerance, schedule: Schedule, ts: Float[Array, "sample lane"]
) -> Progress:
    _refuse_jumps_of_the_past(system, schedule)
    if system.delays:
        return Loop(system, method, tolerance, schedule, ts).run()
    return with_tangents(system, method, tolerance, schedule, ts)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _reversible(
    system: System, method: Method, tolerance: Tolerance, schedule: Schedule, ts: Float[Array, "sample lane"]
) -> Progress:
    return Loop(system, method, tolerance, schedule, ts).run()


def _refuse_jumps_of_the_past(system: System, schedule: Schedule) -> None:
    """A jump comes back after the lag as a jump of the vector field, at a moment that moves with the parameters."""
    jumps = schedule.keep.shape[0] > 1 or (system.events is not None and system.events.count > 0)
    if system.delays.act and jumps:
        raise UnsupportedModelError(
            "derivatives are asked for where the past jumps (by a dose, a reset or an event) and acts with a delay",
            where=f"model {system.model.name!r}",
            expected="delayed terms of states that do not jump",
            fix="simulate without derivatives, or replace the jump by a short infusion",
        )


class _Kept(NamedTuple):
    """What the forward pass leaves for the adjoint.

    Args:
        schedule: The schedule.
        ts: Sample times.
        ended: Where the integration ended.
        checkpoints: Where it was at the beginning of each page.
        page: Index of the last page.
        nodes: Starts of the steps of the last page.
        count: How many they are.
    """

    schedule: Schedule
    ts: Float[Array, "sample lane"]
    ended: Progress
    checkpoints: Progress
    page: Int[Array, ""]
    nodes: Nodes
    count: Int[Array, ""]


def _page_length(system: System, tolerance: Tolerance, c: Progress) -> int:
    if system.delays:  # the past refers to steps by their number
        return tolerance.max_steps
    of_memory = MEMORY_FOR_A_PAGE // max(1, 8 * c.z.size)
    return min(tolerance.max_steps, max(SHORTEST_PAGE, min(LONGEST_PAGE, of_memory)))


def _light(c: Progress) -> Progress:
    """Without what pages need not be given back."""
    return c._replace(passed=none_passed(0, 0, 0)._replace(cursor=c.passed.cursor), past=None)


def _forward(system: System, method: Method, tolerance: Tolerance, schedule: Schedule, ts):
    _refuse_jumps_of_the_past(system, schedule)
    schedule, ts = lax.optimization_barrier((schedule, ts))
    loop = Loop(system, method, tolerance, schedule, ts)
    first = loop.first()
    length = _page_length(system, tolerance, first)
    pages = -(-tolerance.max_steps // length)
    checkpoints = jax.tree.map(lambda x: jnp.zeros((pages, *x.shape), x.dtype), _light(first))

    def body(carry):
        index, c, checkpoints, nodes, _ = carry
        checkpoints = jax.tree.map(lambda old, x: old.at[index].set(x), checkpoints, _light(c))
        return index + 1, *_reordered(checkpoints, loop.page(c, nodes, jnp.int32(length)))

    nothing = jnp.zeros((), jnp.int32)
    start = (nothing, first, checkpoints, loop.blank(first, length), nothing)
    index, c, checkpoints, nodes, count = lax.while_loop(lambda carry: loop.goes_on(carry[1]), body, start)
    ended = loop.ended(c)
    return ended, _Kept(schedule, ts, ended, checkpoints, index - 1, nodes, count)


def _reordered(checkpoints: Progress, of_page: tuple[Progress, Nodes, Array]):
    c, nodes, count = of_page
    return c, checkpoints, nodes, count


def _replay(system: System, step: Step, events: EventLoop | None, schedule: Schedule, z: Array, past, at, next_at):
    """One accepted step and what happened after it, as a differentiable function of schedule, states and past.

    Returns:
        The extended state; what the step adds to the past; its course and its place in time.
    """
    segment, begin_fraction, length, choices = at
    following, start, locked_after = next_at
    locks = None if choices is None else (choices.locked, locked_after)
    here, begin, span = at_segment(schedule, segment)
    here = here._replace(locked=None if locks is None else locks[0], past=past)
    t = clock_time(here, begin, begin_fraction, span)
    accepted = length > 0
    h = jnp.where(accepted, length * span, IDLE_STEP)
    states = len(system.states)
    y = z[:states]
    after, _, course, _ = step(here, t, y, h)
    record = None
    if past is not None:
        record = (t, h, y, here.slope(system, t, y), after, here.slope(system, t + h * here.clock, after))
        record = tuple(jnp.where(accepted, each, lax.stop_gradient(each)) for each in record)
    moved = put_rows(z, jnp.where(accepted, after, y))
    if choices is None:
        z = change(system, schedule, events, moved, choices, segment, following, start, locks, past)
    else:
        z = _where_eventful(system, events, schedule, moved, past, Chosen(choices, segment, following, start, locks))
    return z, record, course, Span(begin + begin_fraction * span, length * span)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _where_eventful(system: System, events: EventLoop, schedule: Schedule, moved: Array, past, chosen: Chosen) -> Array:
    """`change`, computed and differentiated only where something happened in any lane."""
    return _changed(system, events, schedule, moved, past, chosen)


def _changed(
    system: System, events: EventLoop, schedule: Schedule, moved: Array, past: Past | None, chosen: Chosen
) -> Array:
    after = lambda: change(system, schedule, events, moved, *chosen, past)  # noqa: E731
    return lax.cond(chosen.anything, after, lambda: moved)


def _where_eventful_forward(system: System, events: EventLoop, *arguments):
    return _changed(system, events, *arguments), arguments


def _where_eventful_backward(system: System, events: EventLoop, arguments, of_z: Array):
    schedule, moved, past, chosen = arguments
    floats = {name: getattr(schedule, name) for name in DIFFERENTIABLE}

    def pull():
        after = lambda floats, *at: change(system, schedule.replace(**floats), events, at[0], *chosen, at[1])  # noqa: E731
        return jax.vjp(after, floats, moved, past)[1](of_z)

    def nothing():
        return jax.tree.map(jnp.zeros_like, floats), of_z, jax.tree.map(jnp.zeros_like, past)

    of_floats, of_moved, of_past = lax.cond(chosen.anything, pull, nothing)
    return jax.tree.map(jnp.zeros_like, schedule).replace(**of_floats), of_moved, of_past, None


_where_eventful.defvjp(_where_eventful_forward, _where_eventful_backward)


class _Sweep(NamedTuple):
    """Cotangents gathered on the way back: of the extended state, of the schedule, of the past."""

    of_z: Float[Array, "row lane"]
    of_schedule: dict[str, Array]
    of_past: Past | None


def _backward(system: System, method: Method, tolerance: Tolerance, kept: _Kept, cotangent: Progress):
    kept = lax.optimization_barrier(kept)
    schedule, ts = kept.schedule, kept.ts
    loop, step = Loop(system, method, tolerance, schedule, ts), method.replayer(system)
    floats = {name: getattr(schedule, name) for name in DIFFERENTIABLE}
    states = len(system.states)
    no_samples = none_passed(ts.shape[0], states, schedule.lanes)

    def back_one(carry):
        index, nodes, sweep = carry
        index = index - 1
        here = jax.tree.map(lambda x: x[index], nodes)
        following = jax.tree.map(lambda x: x[index + 1], nodes)
        at = (here.segment, here.start, here.length, here.choices)
        locked_after = None if here.choices is None else following.choices.locked

        def advance(differentiable, z, past):
            changed = schedule.replace(**differentiable)
            beyond = (following.segment, following.start, locked_after)
            return _replay(system, step, loop.events, changed, z, past, at, beyond)

        (_, _, course, span), pull = jax.vjp(advance, floats, here.z, kept.ended.past)
        # Later steps that looked back at this one have by now added to its share of the past.
        of_record = None if sweep.of_past is None else tuple(part[index] for part in sweep.of_past[:6])
        sampled = pull_samples(ts, cotangent.passed.y, here.cursor, following.cursor, span, course)
        of_schedule, of_z, of_past = pull((sweep.of_z, of_record, *sampled[1:]))
        of_z = put_rows(of_z, of_z[:states] + sampled[0])
        of_schedule, of_past = jax.tree.map(jnp.add, sweep[1:], (of_schedule, of_past))
        return index, nodes, _Sweep(of_z, of_schedule, of_past)

    def back_page(carry):
        page, count, nodes, sweep = carry
        _, nodes, sweep = lax.while_loop(lambda x: x[0] > 0, back_one, (count, nodes, sweep))
        before = jnp.maximum(page - 1, 0)
        c = jax.tree.map(lambda x: x[before], kept.checkpoints)
        c = c._replace(passed=no_samples._replace(cursor=c.passed.cursor), past=kept.ended.past)
        length = jnp.where(page > 0, nodes.start.shape[0] - 1, 0)
        _, nodes, count = loop.page(c, nodes, length)
        return page - 1, count, nodes, sweep

    zero = jax.tree.map(jnp.zeros_like, floats)
    sweep = _Sweep(cotangent.z, zero, cotangent.past)
    start = (kept.page, kept.count, kept.nodes, sweep)
    sweep = lax.while_loop(lambda carry: carry[0] >= 0, back_page, start)[-1]
    _, pull = jax.vjp(lambda differentiable: first_state(system, schedule.replace(**differentiable))[0], floats)
    gradient = jax.tree.map(jnp.add, sweep.of_schedule, pull(sweep.of_z)[0])
    of_schedule = jax.tree.map(jnp.zeros_like, schedule).replace(**gradient)
    return of_schedule, jnp.zeros_like(ts)


_reversible.defvjp(_forward, _backward)
