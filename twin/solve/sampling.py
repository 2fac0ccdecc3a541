"""States at sample times, taken from the interpolant of each step as the loop passes them.

Samples of a lane are visited in order of time: a cursor says which comes next. A sample belongs to the step that
begins at or before it and ends after it, so that at the moment of a jump it sees the state after the jump.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.solve.method import Course, Lanes, States, interpolate


class Passed(NamedTuple):
    """Samples seen so far.

    Args:
        cursor: Number of samples that the lane has passed.
        y: States at the samples of all lanes, and one row more that nobody reads. Lanes come first: what is written at
            a time then lies together.
        segment: Segment in which each was passed, likewise.
    """

    cursor: Int[Array, " lane"]
    y: Float[Array, "kept sample+1 state"]
    segment: Int[Array, "kept sample+1"]


class Span(NamedTuple):
    """Where an accepted step lies in time, in the time of the borders.

    Args:
        reached: Where it begins.
        length: Its length; 0 where there was no step.
    """

    reached: Lanes
    length: Lanes


def none_passed(samples: int, states: int, lanes: int, kept: int) -> Passed:
    """Before the first step of some lanes, of all of which so many are kept."""
    nowhere = jnp.zeros((kept, samples + 1), jnp.int32)
    return Passed(jnp.zeros(lanes, jnp.int32), jnp.zeros((kept, samples + 1, states)), nowhere)


def pass_samples(
    ts: Float[Array, "sample lane"],
    passed: Passed,
    numbers: Int[Array, " lane"],
    stands: Bool[Array, " lane"],
    segment: Int[Array, " lane"],
    span: Span,
    y: States,
    course: Course,
) -> Passed:
    """Samples seen after a step of the lanes of these numbers, which stand or not."""

    def put(seen: Passed, due: Array, theta: Lanes) -> Passed:
        # The last row takes what nobody asked for.
        rows = jnp.where(due, seen.cursor, ts.shape[0]).astype(jnp.int32)
        states = interpolate(theta, y, course)

        # Lane by lane, not as a scatter: a loop with one in it is not compiled as one function on a CPU.
        def of_lane(lane: Array, seen: tuple[Array, Array]) -> tuple[Array, Array]:
            place = numbers[lane], rows[lane]
            one = lax.dynamic_slice_in_dim(states, lane, 1, axis=1).reshape(1, 1, -1)
            here = lax.dynamic_slice_in_dim(segment, lane, 1).reshape(1, 1)
            return (
                lax.dynamic_update_slice(seen[0], one, (*place, jnp.int32(0))),
                lax.dynamic_update_slice(seen[1], here, place),
            )

        lanes = jnp.int32(y.shape[1])
        return Passed(seen.cursor + due, *lax.fori_loop(jnp.int32(0), lanes, of_lane, seen[1:]))

    return _each_due(ts, passed.cursor, stands, span, put, passed)


def sample_due(ts: Float[Array, "sample lane"], cursor: Int[Array, " lane"], t: Lanes) -> Bool[Array, " lane"]:
    """Whether the next sample of each lane is not later than some time."""
    row = jnp.minimum(cursor, ts.shape[0] - 1)
    return (cursor < ts.shape[0]) & (ts[row, jnp.arange(ts.shape[1])] <= t)


def pull_samples(
    ts: Float[Array, "sample lane"],
    cotangent: Float[Array, "kept sample+1 state"],
    numbers: Int[Array, " lane"],
    first: Int[Array, " lane"],
    end: Int[Array, " lane"],
    span: Span,
    course: Course,
) -> tuple[States, Course, Span]:
    """What the cotangents of samples passed in one step are in its start, its course and its place in time."""
    columns = jnp.arange(course.shape[2])
    of_nothing = jax.tree.map(jnp.zeros_like, (course[0], course, span))
    moving = span._replace(length=jnp.where(span.length > 0, span.length, 1.0))

    def body(carry):
        cursor, gathered = carry
        due = cursor < end
        row = jnp.minimum(cursor, ts.shape[0] - 1)
        t = jnp.where(due, ts[row, columns], moving.reached)
        of_value = jnp.where(due, cotangent[numbers, row].T, 0.0)
        value = lambda y, course, span: interpolate((t - span.reached) / span.length, y, course)  # noqa: E731
        _, pull = jax.vjp(value, course[0], course, moving)  # of the start only its shape matters
        return cursor + due, jax.tree.map(jnp.add, gathered, pull(of_value))

    return lax.while_loop(lambda carry: jnp.any(carry[0] < end), body, (first, of_nothing))[1]


def _each_due[T](
    ts: Array, cursor: Array, stands: Array, span: Span, put: Callable[[T, Array, Lanes], T], seen: T
) -> T:
    """Applies `put` to every sample of a step, one per lane at a time."""
    columns = jnp.arange(ts.shape[1])
    # A dose at 3 * 0.1 has been given at the sample time 0.3.
    late = lax.stop_gradient(ts + 4 * jnp.finfo(ts.dtype).eps * jnp.abs(ts))
    end = lax.stop_gradient(span.reached + span.length)

    def due(cursor: Array) -> Array:
        row = jnp.minimum(cursor, ts.shape[0] - 1)
        return stands & (cursor < ts.shape[0]) & (late[row, columns] < end)

    def body(carry):
        cursor, seen = carry
        now = due(cursor)
        row = jnp.minimum(cursor, ts.shape[0] - 1)
        theta = (ts[row, columns] - span.reached) / jnp.where(now, span.length, 1.0)
        return cursor + now, put(seen, now, jnp.where(now, theta, 0.0))

    return lax.while_loop(lambda carry: jnp.any(due(carry[0])), body, (cursor, seen))[1]
