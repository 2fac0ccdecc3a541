"""What happens between two steps: events are executed, a segment begins, conditions change."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.events import NOTHING, Choices, EventLoop
from twin.solve.jumps import jump, on_constraints, start_states
from twin.solve.method import Lanes
from twin.solve.past import Past, constant_past
from twin.solve.rows import put_rows
from twin.solve.segments import at_segment, clock_time


class Chosen(NamedTuple):
    """What was decided between two steps.

    Args:
        choices: About events; None where there are none.
        segment: Segment of the step.
        following: Segment in which the lane goes on.
        start: Fraction of that segment at which it goes on.
        locks: Truth values of the locked comparisons during the step and after it.
    """

    choices: Choices | None
    segment: Int[Array, " lane"]
    following: Int[Array, " lane"]
    start: Lanes
    locks: tuple[Array, Array] | None

    @property
    def anything(self) -> Bool[Array, ""]:
        """Whether anything happened in any lane."""
        happened = self.following > self.segment
        if self.choices is not None:
            happened |= (self.choices.executed >= 0) | (self.choices.cause != NOTHING)
            happened |= jnp.any(self.choices.filled, axis=(0, 1))
        return jnp.any(happened)


def first_state(system: System, schedule: Schedule):
    """The extended state before the first step, the watch, what begins to wait, and whether there was no room."""
    y = start_states(system, schedule)
    lanes = schedule.lanes
    if system.events is None:
        return y, None, None, jnp.zeros(lanes, bool)
    events = EventLoop(system)
    segment, begin, length = at_segment(schedule, jnp.zeros(lanes, jnp.int32))
    t = clock_time(segment, begin, jnp.zeros(lanes), length)
    if system.delays:
        segment = segment._replace(past=constant_past(t, y))
    watch = events.before_start(lanes)
    filled, full, watch = events.observe(*lax.stop_gradient((t, y)), watch, lax.stop_gradient(segment))
    segment = segment._replace(locked=events.locked(watch))
    z = events.enter(t, events.join(y, events.none_waiting(y)), filled, jnp.zeros(lanes), segment, segment)
    return z, watch, events.no_choice(lanes)._replace(filled=filled), full


def change(
    system: System,
    schedule: Schedule,
    events: EventLoop | None,
    moved: Float[Array, "row lane"],
    choices: Choices | None,
    here: Int[Array, " lane"],
    following: Int[Array, " lane"],
    start: Lanes,
    locks: tuple[Array, Array] | None,
    past: Past | None,
) -> Float[Array, "row lane"]:
    """The extended state after all that was chosen between two steps; differentiable, see `arrive`.

    Args:
        system: The compiled model.
        schedule: Its schedule.
        events: Its events.
        moved: Extended state at the end of the step, or where it was if there was none.
        choices: What was decided.
        here: Segment of the step.
        following: Segment in which the lane goes on; beyond the last when it has ended.
        start: Fraction of that segment at which it goes on.
        locks: Truth values of the locked comparisons during the step and after it.
        past: States at earlier times.
    """
    locked, locked_after = (None, None) if locks is None else locks
    z, shift = arrive(system, schedule, events, moved, choices, here, following, start, locked, past)
    if events is None or choices is None:
        return z
    segment, begin, length = at_segment(schedule, jnp.minimum(following, schedule.segments - 1))
    t = clock_time(segment, begin, start, length)
    before, after = (segment._replace(locked=each, past=past) for each in (locked, locked_after))
    return events.enter(t, z, choices.filled, shift, after, before)


def arrive(
    system: System,
    schedule: Schedule,
    events: EventLoop | None,
    moved: Float[Array, "row lane"],
    choices: Choices | None,
    here: Int[Array, " lane"],
    following: Int[Array, " lane"],
    start: Lanes,
    locked: Array | None,
    past: Past | None,
) -> tuple[Float[Array, "row lane"], Lanes]:
    """The extended state after an event or the beginning of a segment, before new executions begin to wait.

    Arguments are those of `change`; `locked` are the truth values during the step.

    Returns:
        The extended state, and by how much the moment moves at which conditions changed (zero in value).
    """
    states = len(system.states)
    last = schedule.segments - 1
    index = jnp.minimum(following, last)
    segment, begin, length = at_segment(schedule, index)
    t = clock_time(segment, begin, start, length)
    segment = segment._replace(locked=locked, past=past)
    z, shift = moved, jnp.zeros_like(t)
    if events is not None and choices is not None:
        z, of_execution = events.execute(t, z, choices.executed, segment)
        # The step's own end, before anything happened there, says how its moment moves.
        shift = events.shift_of(t, moved[:states], choices.cause, of_execution, segment)
    y = z[:states]
    y = jnp.where((following > here) & (following <= last), jump(system, schedule, index, y), y)
    if not system.mass.all():
        happened = following > here
        if choices is not None:
            happened |= choices.executed >= 0
        y = jnp.where(happened, on_constraints(system, t, y, segment), y)
    return put_rows(z, y), shift
