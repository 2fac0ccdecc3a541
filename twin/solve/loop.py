"""The forward loop: adaptive steps of all lanes at once, each lane with its own step, segment and events.

Every iteration does one thing per lane: an attempt at a step, or the execution of one event at a standing clock.
Samples are taken from the interpolants of the steps as they pass. For the adjoint the loop runs page by page and stores
the starts of the steps of one page (see `twin.solve.integrate`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.between import arrive, first_state
from twin.solve.events import BY_EXECUTION, NOTHING, Choices, EventLoop, Watch
from twin.solve.method import Course, Lanes, Method, Segment, States, Step
from twin.solve.nodes import (
    IDLE_STEP,
    NOT_STEADY,
    OK,
    STEP_TOO_SMALL,
    TOO_MANY_STEPS,
    TOO_MANY_WAITING,
    Nodes,
    Tolerance,
)
from twin.solve.past import DEFECT_AT, Past, hermite, hermite_slope, interpolation_error
from twin.solve.rest import Rests, any_rest
from twin.solve.rows import put_rows
from twin.solve.sampling import Passed, Span, none_passed, pass_samples
from twin.solve.segments import at_segment, clock_time

SAFETY, SHRINK, GROW = 0.9, 0.2, 6.0
SMALLEST_FRACTION = 1e-14
"""Steps below this fraction of their segment are given up, wherever in it they begin."""

STEADY_FRACTION = 1e-3
"""A steady state is believed only after a step of this fraction of the horizon, so that slow changes are seen."""

SHORTEST_LAG = 1e-6
"""Steps of delayed systems are not kept shorter than this fraction of the segment by a lag that vanishes."""

EVENT_TOLERANCE = 1e-13
"""How exactly the moment of an event is found, relative to time and to the length of the segment."""


class Progress(NamedTuple):
    """Where the integration stands.

    Args:
        step: Attempts that each lane made.
        segment: Segment of each lane; beyond the last where it has ended.
        start: Fraction of the segment that lies behind.
        h: Step to attempt next.
        fresh: Lanes that have to guess it anew.
        z: States, and events that wait.
        watch: What is known of conditions.
        status: 0, or why the lane stopped.
        passed: Samples seen.
        past: What delayed terms need.
        rests: Where runs to steady state began and ended; None without any of which derivatives are the theorem's.
    """

    step: Int[Array, " lane"]
    segment: Int[Array, " lane"]
    start: Lanes
    h: Lanes
    fresh: Bool[Array, " lane"]
    z: Float[Array, "row lane"]
    watch: Watch | None
    status: Int[Array, " lane"]
    passed: Passed
    past: Past | None
    rests: Rests | None


class _Attempt(NamedTuple):
    """What an iteration tries: how far it wants to go, and what it is stopped by."""

    slope: States
    moves: Bool[Array, " lane"]
    wanted: Lanes
    fraction: Lanes
    h: Lanes
    final: Bool[Array, " lane"]
    clipped: Bool[Array, " lane"]


class Attempted(NamedTuple):
    """The attempt of an iteration, for what is carried along it.

    Args:
        segment: Where it was made.
        t: When it began.
        h: Its length.
        y: States at its end.
        course: How they got there.
        span: Its place among the borders, of no length where it was rejected.
        kept: What the method keeps of it.
    """

    segment: Segment
    t: Lanes
    h: Lanes
    y: States
    course: Course
    span: Span
    kept: Any


class Loop:
    """The loop for a system, its schedule and sample times, ascending in every lane.

    Args:
        system: The compiled model.
        method: A one-step method.
        tolerance: Tolerances and the bound on steps.
        schedule: The schedule of the lanes.
        ts: Their sample times.
        numbers: Which lanes they are among all of which samples are kept; default: there are no others.
    """

    def __init__(
        self,
        system: System,
        method: Method,
        tolerance: Tolerance,
        schedule: Schedule,
        ts: Float[Array, "sample lane"],
        numbers: Int[Array, " lane"] | None = None,
    ) -> None:
        self.system, self.method, self.tolerance, self.schedule, self.ts = system, method, tolerance, schedule, ts
        self.numbers = jnp.arange(schedule.lanes, dtype=jnp.int32) if numbers is None else numbers
        self.step: Step = method.stepper(system)
        self.events = EventLoop(system) if system.events else None
        self.last = schedule.segments - 1
        self.states = len(system.states)

    def run(self) -> Progress:
        """Integrates every lane to its end; forward mode may differentiate it."""
        return self.ended(lax.while_loop(self.goes_on, lambda c: self.iterate(c)[0], self.first()))

    def goes_on(self, c: Progress) -> Bool[Array, ""]:
        """Whether any lane is under way."""
        return jnp.any(self.alive(c))

    def ended(self, c: Progress) -> Progress:
        """The end of the integration, with lanes that were cut short marked."""
        return c._replace(status=jnp.where(self.unfinished(c), TOO_MANY_STEPS, c.status))

    def page(
        self,
        c: Progress,
        nodes: Nodes,
        limit: Array,
        first: Array | int = 0,
        over: Callable[[Progress], Array] | None = None,
        begins: Bool[Array, " lane"] | None = None,
    ) -> tuple[Progress, Nodes, Array]:
        """Iterations with the starts of their steps, and what came after the last.

        Args:
            c: Where it begins.
            nodes: Starts of steps so far.
            limit: Slot before which it ends at the latest.
            first: Slot of the first step.
            over: Whether it ends; default: where no lane goes on.
            begins: Lanes of which this is the first step.

        Returns:
            Where it ended, the starts of steps, and the slot of what came after the last.
        """

        def body(carry):
            slot, c, nodes = carry
            after, node, _ = self.iterate(c)
            node = node._replace(begins=None if begins is None else begins & (slot == first))
            return slot + 1, after, _put(nodes, node, slot)

        goes_on = self.goes_on if over is None else lambda c: self.goes_on(c) & ~over(c)
        start = jnp.asarray(first, jnp.int32), c, nodes
        count, c, nodes = lax.while_loop(lambda x: (x[0] < limit) & goes_on(x[1]), body, start)
        # What follows the last step of the page tells the adjoint where that step led.
        choices = self.no_choice()
        if choices is not None:
            choices = choices._replace(locked=self.events.locked(c.watch))  # type: ignore[union-attr]
        node = self._node(c, jnp.minimum(c.segment, self.last), jnp.zeros_like(c.start), choices)
        node = node._replace(begins=None if begins is None else jnp.zeros_like(begins))
        return c, _put(nodes, node, count), count

    def blank(self, c: Progress, slots: int, relayed: bool = False) -> Nodes:
        """Room for the steps of a page, with what says which lanes they are of where these change."""
        node = self._node(c, c.segment, c.start, self.no_choice())
        node = node._replace(begins=jnp.zeros(self.schedule.lanes, bool) if relayed else None)
        return jax.tree.map(lambda x: jnp.zeros((slots + 1, *x.shape), x.dtype), node)

    def _node(self, c: Progress, segment: Array, length: Array, choices: Choices | None) -> Nodes:
        return Nodes(c.z, segment, c.start, length, c.passed.cursor, self.numbers, None, choices)

    def no_choice(self) -> Choices | None:
        return None if self.events is None else self.events.no_choice(self.schedule.lanes)

    def first(self, kept: int | None = None) -> Progress:
        """Before the first step.

        Args:
            kept: Number of lanes of which samples are kept; default: those of the loop.
        """
        lanes = self.schedule.lanes
        z, watch, _, full = first_state(self.system, self.schedule)
        return Progress(
            step=jnp.zeros(lanes, jnp.int32),
            segment=jnp.zeros(lanes, jnp.int32),
            start=jnp.zeros(lanes),
            h=jnp.zeros(lanes),
            fresh=jnp.ones(lanes, bool),
            z=z,
            watch=watch,
            status=jnp.where(full, TOO_MANY_WAITING, OK).astype(jnp.int32),
            passed=none_passed(self.ts.shape[0], self.states, lanes, lanes if kept is None else kept),
            past=self._no_past(z),
            rests=Rests.none(z) if any_rest(self.system, self.schedule) else None,
        )

    def _no_past(self, z: Array) -> Past | None:
        if not self.system.delays:
            return None
        count, (_, lanes) = self.tolerance.max_steps + 1, z.shape
        states = [jnp.zeros((count, self.states, lanes)) for _ in range(4)]
        # The states before the start are those of the first slot.
        states[0] = states[0].at[0].set(z[: self.states])
        return Past(jnp.full((count, lanes), jnp.inf), jnp.zeros((count, lanes)), *states)

    def _in_force(self, segment: Segment, c: Progress) -> Segment:
        """The segment with the locks and the past of the moment."""
        locked = self.events.locked(c.watch) if self.events is not None and c.watch is not None else None
        return segment._replace(locked=locked, past=c.past)

    def alive(self, c: Progress) -> Bool[Array, " lane"]:
        """Lanes that are still under way."""
        return self.unfinished(c) & (c.step < self.tolerance.max_steps)

    def unfinished(self, c: Progress) -> Bool[Array, " lane"]:
        """Lanes that have not come to their end, though they may have made all steps that they may."""
        going = c.segment <= self.last
        if self.events is not None:
            segment, begin, length = at_segment(self.schedule, jnp.minimum(c.segment, self.last))
            t = clock_time(segment, begin, c.start, length)
            _, waiting = self.events.split(c.z)
            going |= self.events.next_due(t, waiting, c.watch, _event_tolerance(t, length))[0]
        return going & (c.status == OK)

    def iterate(self, c: Progress, those: Bool[Array, " lane"] | None = None) -> tuple[Progress, Nodes, Attempted]:
        """One iteration of all lanes, or of those, the start of what it attempted, and how that went."""
        control = lax.stop_gradient
        active = self.alive(c) if those is None else self.alive(c) & those
        here = jnp.minimum(c.segment, self.last)
        segment, begin, length = at_segment(self.schedule, here)
        segment = self._in_force(segment, c)
        t = clock_time(segment, begin, c.start, length)
        y = c.z[: self.states]
        if segment.past is not None:
            now = segment.past._replace(now=t, y_now=y, slope_now=jnp.zeros_like(y))
            slope_now = segment._replace(past=now).slope(self.system, t, y)
            segment = segment._replace(past=now._replace(slope_now=slope_now))
        close = control(_event_tolerance(t, length))
        due, until = jnp.zeros_like(active), jnp.full_like(t, jnp.inf)
        if self.events is not None:
            due, until = self.events.next_due(control(t), self._waiting(c), c.watch, close)
        a = self._plan(c, segment, length, t, y, active & ~due, until)
        after, error, course, kept = self.step(segment, t, y, a.h)
        norm = control(_error_norm(error, y, after, self.tolerance, self.system))
        record = None
        if segment.past is not None:
            ends = segment.slope(self.system, t + a.h * segment.clock, after)
            norm = jnp.maximum(norm, control(self._interpolation(segment, t, y, a, after, ends)))
            record = (y, a.slope, after, ends)
        finite = jnp.isfinite(norm) & jnp.all(jnp.isfinite(control(after)), axis=0)
        norm = jnp.where(finite, norm, jnp.inf)
        accepted = a.moves & (norm <= 1.0)
        factor = jnp.clip(SAFETY * jnp.maximum(norm, 1e-10) ** (-1.0 / self.method.order), SHRINK, GROW)
        proposed = control(a.h) * factor
        # A step cut short says little about the step that follows.
        proposed = jnp.where(accepted & a.clipped, jnp.maximum(proposed, a.wanted), proposed)
        stands, lands, watch, cause = accepted, jnp.zeros_like(accepted), c.watch, None
        if self.events is not None:
            seen = self.events.inspect(*control((t, y, a.slope, a.h, after)), c.watch, control(segment))
            stands, lands, watch = self.events.locate(c.watch, seen, control(a.h), accepted, close)
            proposed = jnp.where(accepted & ~stands, a.wanted, proposed)
            cause = jnp.where(lands, seen.cause, NOTHING)
        steady = (segment.clock == 0) & stands & (a.fraction > STEADY_FRACTION)
        steady &= _is_steady(control(y), control(after), self.tolerance)
        if c.watch is not None:
            steady &= ~jnp.any(c.watch.waits, axis=(0, 1))
        ends = (stands & a.final) | (active & ~due & ~((1.0 - c.start) * control(length) > 0)) | steady
        gave_up = stands & a.final & (segment.clock == 0) & ~steady & (control(length) > 0)
        following = jnp.where(ends, c.segment + 1, c.segment)
        start = jnp.where(stands, c.start + a.fraction, c.start)
        start = jnp.where(ends, jnp.where(following > self.last, 1.0, 0.0), start)
        moved = put_rows(c.z, jnp.where(stands, after, y))
        z, watch, choices, full = self._happen(
            c, moved, watch, here, following, start, due, lands, cause, active, close
        )
        changed = jnp.any(control(z[: self.states]) != control(moved[: self.states]), axis=0)
        # Near a singularity even accepted steps come to be too short to move time.
        stuck = a.fraction < 4 * jnp.finfo(t.dtype).eps * c.start
        too_small = a.moves & ~a.final & ~lands & (stuck | (~accepted & (a.fraction < SMALLEST_FRACTION)))
        status = jnp.where(too_small, STEP_TOO_SMALL, jnp.where(gave_up, NOT_STEADY, c.status))
        length_made = jnp.where(stands, a.fraction, 0.0)
        reached = begin + lax.stop_gradient(c.start) * length
        span = Span(reached, length_made * length)
        onward = Progress(
            step=c.step + active,
            segment=following,
            start=start,
            h=jnp.where(a.moves, proposed, a.wanted),
            fresh=jnp.where(a.moves, False, c.fresh) | changed | (ends & (segment.clock == 0)),
            z=z,
            watch=watch,
            status=jnp.where(full & (status == OK), TOO_MANY_WAITING, status),
            passed=pass_samples(self.ts, c.passed, self.numbers, stands, here, span, y, course),
            past=self._remember(c, t, a, stands, record),
            rests=self._rests(c, moved, z, here, following, ends),
        )
        return onward, self._node(c, here, length_made, choices), Attempted(segment, t, a.h, after, course, span, kept)

    def _rests(self, c: Progress, moved, z, here, following, ends) -> Rests | None:
        """Where runs to steady state began and ended, after a step."""
        if c.rests is None:
            return None
        begins = (following > here) & (following == self.last)
        return Rests(
            jnp.where(ends & (here == 0), moved, c.rests.before),
            jnp.where(begins, z, c.rests.begun),
            jnp.where(ends & (here == self.last), moved, c.rests.end),
        )

    def _interpolation(self, segment: Segment, t, y, a: _Attempt, after, ends) -> Lanes:
        """Error of the interpolant that delayed terms will read, relative to the tolerance."""
        course = (a.h, y, a.slope, after, ends)
        inner = hermite(DEFECT_AT, *course)
        defect = hermite_slope(DEFECT_AT, *course) - segment.slope(self.system, t + DEFECT_AT * a.h, inner)
        defect *= self.system.mass[:, None]
        return _error_norm(interpolation_error(defect, a.h), y, after, self.tolerance, self.system)

    def _remember(self, c: Progress, t: Lanes, a: _Attempt, stands: Array, record) -> Past | None:
        """The past with the step just made."""
        past = c.past
        if past is None:
            return None
        put = partial(lax.dynamic_update_index_in_dim, index=jnp.max(c.step), axis=0)
        new = (t, jnp.where(stands, a.h, 0.0), *record)
        return Past(*(put(old, value) for old, value in zip(past[:6], new, strict=True)))

    def _waiting(self, c: Progress):
        assert self.events is not None
        return lax.stop_gradient(self.events.split(c.z)[1])

    def _plan(self, c: Progress, segment: Segment, length, t, y, active, until) -> _Attempt:
        """How long a step each lane attempts."""
        control = lax.stop_gradient
        slope = segment.slope(self.system, t, y)
        guess = _first_step(control(slope), control(y), control(length), self.tolerance)
        # Whether a state is steady shows only in the step after the one that came to it.
        guess = jnp.where(segment.clock == 0, jnp.minimum(guess, STEADY_FRACTION * control(length)), guess)
        wanted = jnp.where(c.fresh, guess, c.h)
        left = (1.0 - c.start) * control(length)
        stop = until if c.watch is None else jnp.minimum(until, c.watch.trial)
        if segment.past is not None:
            env = self.system.environment(t, segment.mid, y, segment.params, segment.locked, segment.past)[0]
            lag = control(self.system.delays.least_lag(env, t))
            # A step inside the lag needs no value that it is itself to find; a vanishing lag is extrapolated.
            stop = jnp.minimum(stop, jnp.maximum(lag, SHORTEST_LAG * control(length)))
        # A remainder that is a hair longer than the step is taken whole, to avoid a sliver of a step after it.
        final = (jnp.minimum(wanted, stop) >= left * (1.0 - 1e-10)) & (stop >= left)
        stopped = ~final & (wanted >= stop * (1.0 - 1e-10))
        size = jnp.where(stopped, stop, wanted)
        fraction = jnp.where(final, 1.0 - c.start, size / jnp.where(left > 0, control(length), 1.0))
        moves = active & (left > 0)
        h = jnp.where(moves, fraction * length, IDLE_STEP)
        return _Attempt(slope, moves, wanted, fraction, h, final, final | stopped)

    def _happen(self, c: Progress, moved, watch, here, following, start, due, lands, cause, active, close):
        """The extended state after what happens between two steps: a new segment, an event, new conditions."""
        nobody = jnp.zeros_like(due)
        events = self.events
        if events is None:
            z, _ = arrive(self.system, self.schedule, None, moved, None, here, following, start, None, c.past)
            return z, None, None, nobody
        control = lax.stop_gradient
        segment, begin, length = at_segment(self.schedule, here)
        segment = self._in_force(segment, c)
        t = clock_time(segment, begin, c.start, length)
        y = moved[: self.states]
        executed = events.choose(
            c.step, self.numbers, *control((t, y)), self._waiting(c), c.watch, control(segment), close
        )
        executed = jnp.where(due & active, executed, -1)
        slots = jnp.arange(events.shape[0] * events.shape[1]).reshape(*events.shape, 1)
        watch = watch._replace(waits=watch.waits & (slots != executed))
        cause = jnp.where(executed >= 0, BY_EXECUTION, cause)
        choices = Choices(executed, events.locked(c.watch), jnp.zeros_like(watch.waits), cause)

        def something(operands):
            moved, choices, watch = operands
            context = self.system, self.schedule, events, moved, choices, here, following, start
            z, shift = arrive(*context, choices.locked, c.past)
            # The conditions are looked at in the new state; only then is it known what begins to wait.
            index = jnp.minimum(following, self.last)
            segment, begin, length = at_segment(self.schedule, index)
            t = clock_time(segment, begin, start, length)
            segment = self._in_force(segment, c)
            filled, full, seen = events.observe(*control((t, z[: self.states])), watch, control(segment))
            watch = jax.tree.map(lambda new, old: jnp.where(active, new, old), seen, watch)
            choices = choices._replace(filled=filled & active)
            after = segment._replace(locked=events.locked(watch))
            z = events.enter(t, z, choices.filled, shift, after, segment)
            return z, watch, choices, full & active

        happens = lands | (executed >= 0) | (following > here)
        operands = moved, choices, watch
        return lax.cond(jnp.any(happens), something, lambda x: (x[0], x[2], x[1], nobody), operands)


def _event_tolerance(t: Lanes, length: Lanes) -> Lanes:
    return _at_least(EVENT_TOLERANCE, t) * jnp.maximum(jnp.abs(t), length)


def _at_least(part: float, x: Array) -> float:
    """A part of numbers like those of an array, but not less than a few of their roundings."""
    return max(part, 8 * float(jnp.finfo(x.dtype).eps))


def _error_norm(error: States, before: States, after: States, tolerance: Tolerance, system: System) -> Lanes:
    if not len(system.states):
        return jnp.zeros(error.shape[1])
    scale = tolerance.atol + tolerance.rtol * jnp.maximum(jnp.abs(before), jnp.abs(after))
    return jnp.sqrt(jnp.mean((error / scale) ** 2, axis=0))


def _first_step(slope: States, y: States, span: Lanes, tolerance: Tolerance) -> Lanes:
    """A step over which the solution changes by about a hundredth (Hairer, Norsett & Wanner I, 1993, p. 169)."""
    if not len(y):
        return span
    scale = tolerance.atol + tolerance.rtol * jnp.abs(y)
    size = jnp.sqrt(jnp.mean((y / scale) ** 2, axis=0))
    speed = jnp.sqrt(jnp.mean((slope / scale) ** 2, axis=0))
    usable = (size > 1e-5) & (speed > 1e-5)
    guess = jnp.where(usable, 0.01 * size / jnp.where(usable, speed, 1.0), 1e-6 * span)
    return jnp.minimum(guess, span)


def _is_steady(before: States, after: States, tolerance: Tolerance) -> Bool[Array, " lane"]:
    """Nothing moved by more than a hundredth of its tolerance (or by round-off)."""
    scale = tolerance.atol + tolerance.rtol * jnp.abs(before)
    return jnp.all(jnp.abs(after - before) <= 1e-2 * scale + _at_least(1e-13, before) * jnp.abs(before), axis=0)


def _put[T](rows: T, row: T, index: Array) -> T:
    """Trees of arrays with one more axis, with a row filled in."""
    return jax.tree.map(lambda x, new: lax.dynamic_update_index_in_dim(x, new, index, 0), rows, row)
