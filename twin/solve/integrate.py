"""Integration with samples, differentiable in both modes.

Step sizes are constants of the differentiation (as fractions of their segment, so that moving a border moves the steps
in it); moments of events are not (see `twin.solve.events`). For reverse mode see `twin.solve.adjoint`, for forward mode
`twin.solve.sensitivities`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.adjoint import refuse_jumps_of_the_past, reversible
from twin.solve.blocks import in_blocks, lanes_in_turn, lanes_per_block
from twin.solve.jumps import on_constraints
from twin.solve.loop import Loop, Progress
from twin.solve.method import Method, Segment
from twin.solve.nodes import OK, Tolerance
from twin.solve.past import Past
from twin.solve.relay import Ended
from twin.solve.segments import at_segment
from twin.solve.sensitivities import with_tangents


class Samples(NamedTuple):
    """What there is at the sample times, and how the integration of each lane ended.

    Args:
        t: Sample times, as the clock shows them.
        y: States; NaN in lanes that failed.
        params: Parameters in force at the sample times.
        past: States at earlier times, for delayed terms.
        status: 0 or the reason of failure.
        steps: Attempts that each lane made.
    """

    t: Float[Array, "sample lane"]
    y: Float[Array, "state sample lane"]
    params: Float[Array, "parameter sample lane"]
    past: Past | None
    status: Int[Array, " lane"]
    steps: Int[Array, " lane"]


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
    alike: int = 1,
) -> Samples:
    """Integrate every lane of a schedule and read the states at sample times.

    Arguments are those of `integrate_and_read`, where samples are read as they are.
    """
    keep = lambda samples: samples  # noqa: E731
    return integrate_and_read(system, schedule, method, tolerance, ts, keep, gradient, directions, alike)


def integrate_and_read[T](
    system: System,
    schedule: Schedule,
    method: Method,
    tolerance: Tolerance,
    ts: Float[Array, "sample lane"],
    read: Callable[[Samples], T],
    gradient: Literal["reverse", "forward"] = "reverse",
    directions: int = 0,
    alike: int = 1,
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
        alike: Draws of one experiment, lane after lane, which will take about as many steps.
    """
    if gradient == "reverse":
        width, places = lanes_in_turn(system, schedule.lanes, alike)
    else:
        width = places = lanes_per_block(system, schedule.lanes, directions)

    def run(schedule: Schedule, ts: Array) -> T:
        order = _Order.of(ts := jnp.where(jnp.isinf(ts), schedule.borders[-1], ts))
        parts = schedule, order.forth(ts)
        if gradient == "reverse":
            ended = reversible(system, method, tolerance, places, *parts)
        else:
            ended = Ended.of(_forward_only(system, method, tolerance, *parts))
        return read(_samples(system, schedule, ts, order, ended))

    if width >= schedule.lanes:
        return run(schedule, ts)
    return in_blocks(run, (schedule, ts), schedule.lanes, width)


def _samples(
    system: System, schedule: Schedule, ts: Float[Array, "sample lane"], order: _Order, ended: Ended
) -> Samples:
    """What there is at the sample times, in the order asked for."""
    # What was not passed lies at the very end.
    passed = jnp.moveaxis(ended.y[:, :-1], 0, -1)
    ahead = jnp.arange(ts.shape[0])[:, None] >= ended.cursor
    y = jnp.where(ahead[:, None], ended.z[None, : len(system.states)], passed)
    index = jnp.where(ahead, schedule.segments - 1, ended.segment[:, :-1].T)
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
    refuse_jumps_of_the_past(system, schedule)
    if system.delays:
        return Loop(system, method, tolerance, schedule, ts).run()
    return with_tangents(system, method, tolerance, schedule, ts)
