"""Events inside the loop of the integrator: found, awaited, executed, each lane at its own time.

The loop carries, beside the states, a table of executions that wait: when they are due and the values computed when
they were triggered. Together they are the extended state ``z``, whose rows are

    states | due times (event x slot) | values (event x slot x target).

A step ends where a condition first changes: the root of ``g(t, y(t))``, found by Newton's method on step sizes. Values
do not depend on how it was found, but derivatives must know that the moment moves with the parameters. With t* where
the step ended, the moment moves by

    shift = -(g - g*) / (dg/dt),

which is zero in value and has the derivative of the implicit function. What happens at the moment is evaluated at the
shifted state and time, and the new state is moved back to t*, which is the jump condition of Rozenvasser (the saltation
matrix): y+ = R(y- + f(y-) shift) - f(R) shift. A due time carries the shift of its trigger.

References:
    E. N. Rozenvasser, "General sensitivity equations of discontinuous systems", Automation and Remote Control
    28:400-404 (1967). R. I. Leine & H. Nijmeijer, Dynamics and Bifurcations of Non-Smooth Mechanical Systems, 2004,
    chapter 7.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.events import NO_PRIORITY
from twin.compile.system import System
from twin.solve.jumps import drift, on_constraints
from twin.solve.method import Lanes, Segment, States
from twin.solve.moments import valued_as
from twin.solve.past import hermite
from twin.solve.rows import pick, put_rows

NOTHING, BY_EXECUTION = -1, -2
"""Why conditions changed: by nothing that moves with the parameters, or because an event was executed."""


class Waiting(NamedTuple):
    """Executions that wait.

    Args:
        due: When each is due.
        values: What it will set its targets to, as computed when it was triggered.
    """

    due: Float[Array, "event slot lane"]
    values: Float[Array, "event slot target lane"]


class Choices(NamedTuple):
    """What was decided in an iteration of the loop, so that it can be replayed.

    Args:
        executed: Slot that was executed (event * slots + slot), or -1.
        locked: Truth values of the locked comparisons during the step.
        filled: Slots that began to wait.
        cause: Root whose sign change ended the step, `BY_EXECUTION` or `NOTHING`.
    """

    executed: Int[Array, "*node lane"]
    locked: Float[Array, "*node lock lane"]
    filled: Bool[Array, "*node event slot lane"]
    cause: Int[Array, "*node lane"]


class Watch(NamedTuple):
    """What the loop knows of events that is not differentiated.

    Args:
        holds: Whether each condition holds.
        sides: Whether each comparison holds that conditions are made of.
        waits: Which slots wait.
        trial: Length of the next attempt where a change is being located; infinite otherwise.
        bound: Length within which a condition is known to change; infinite if none is.
        tries: Attempts made to locate it.
    """

    holds: Bool[Array, "event lane"]
    sides: Bool[Array, "comparison lane"]
    waits: Bool[Array, "event slot lane"]
    trial: Lanes
    bound: Lanes
    tries: Int[Array, " lane"]


class Landing(NamedTuple):
    """What an attempted step says of conditions.

    Args:
        changed: Whether any comparison is different at its end.
        early: Fraction of the step at which one is different though none is at the end; infinite if there is none.
        root: Length after which the first comparison changes, as Newton's method estimates it; infinite if none does.
        cause: Root that changes there.
        ahead: Distance from its end to the next root, as Newton's method estimates it; infinite if none is ahead.
    """

    changed: Bool[Array, " lane"]
    early: Lanes
    root: Lanes
    cause: Int[Array, " lane"]
    ahead: Lanes


INSIDE = (0.25, 0.5, 0.75)
"""Where inside a step comparisons are looked at, so that one that holds only for a moment is not missed."""


class EventLoop:
    """The events of a system as the integrator needs them."""

    def __init__(self, system: System) -> None:
        assert system.events is not None
        self.system, self.program = system, system.events
        self.states = len(system.states)
        self.shape = (self.program.count, self.program.slots)
        self.locks = system.locks

    # ---- the extended state

    def split(self, z: Array) -> tuple[States, Waiting]:
        """States and what waits."""
        events, slots = self.shape
        lanes, first = z.shape[1], self.states + events * slots
        due = z[self.states : first].reshape(events, slots, lanes)
        return z[: self.states], Waiting(due, z[first:].reshape(events, slots, self.program.width, lanes))

    def join(self, y: States, waiting: Waiting) -> Array:
        """The extended state."""
        lanes = y.shape[1]
        return jnp.concatenate([y, waiting.due.reshape(-1, lanes), waiting.values.reshape(-1, lanes)])

    def none_waiting(self, y: States) -> Waiting:
        lanes = y.shape[1]
        return Waiting(jnp.zeros((*self.shape, lanes)), jnp.zeros((*self.shape, self.program.width, lanes)))

    def no_choice(self, lanes: int) -> Choices:
        return Choices(
            executed=jnp.full(lanes, -1, jnp.int32),
            locked=jnp.zeros((self.locks, lanes)),
            filled=jnp.zeros((*self.shape, lanes), bool),
            cause=jnp.full(lanes, NOTHING, jnp.int32),
        )

    def before_start(self, lanes: int) -> Watch:
        """The watch before the first condition was looked at."""
        infinite = jnp.full(lanes, jnp.inf)
        return Watch(
            holds=jnp.broadcast_to(self.program.initially[:, None], (self.shape[0], lanes)),
            sides=jnp.zeros((self.program.comparisons_count, lanes), bool),
            waits=jnp.zeros((*self.shape, lanes), bool),
            trial=infinite,
            bound=infinite,
            tries=jnp.zeros(lanes, jnp.int32),
        )

    def _env(self, t: Lanes, y: States, segment: Segment):
        return self.system.environment(t, t, y, segment.params, segment.locked, segment.past)[0]

    def _slope(self, t: Lanes, y: States, segment: Segment) -> States:
        return segment.slope(self.system, t, y)

    def locked(self, watch: Watch) -> Float[Array, "lock lane"]:
        """Truth values of the locked comparisons, which come last."""
        return watch.sides[watch.sides.shape[0] - self.locks :] * 1.0

    # ---- decisions, which are not differentiated

    def sides(self, t: Lanes, y: States, segment: Segment) -> Bool[Array, "comparison lane"]:
        """Whether each comparison holds."""
        return self.program.comparisons(self._env(t, y, segment), t)

    def next_due(
        self, t: Lanes, waiting: Waiting, watch: Watch, tolerance: Lanes
    ) -> tuple[Bool[Array, " lane"], Lanes]:
        """Whether anything is due now, and otherwise how long until something is (infinite if nothing waits)."""
        until = jnp.where(watch.waits, waiting.due - t, jnp.inf)
        first = jnp.min(until, axis=(0, 1), initial=jnp.inf)
        return first <= tolerance, first

    def choose(
        self,
        step: Array,
        numbers: Array,
        t: Lanes,
        y: States,
        waiting: Waiting,
        watch: Watch,
        segment: Segment,
        tolerance: Lanes,
    ) -> Array:
        """The slot to execute of those that are due.

        Highest priority first, then by lot among equal priorities, then the earliest due, then the first in the model.
        """
        if not self.program.count:
            return jnp.full(t.shape, -1, jnp.int32)
        due = watch.waits & (waiting.due - t <= tolerance)
        priority = jnp.where(due, self.program.priorities(self._env(t, y, segment), t)[:, None], -jnp.inf)
        best = due & (priority == jnp.max(priority, axis=(0, 1)))
        if self.program.draws_lots:
            lot = jnp.where(best & (priority > NO_PRIORITY), _lots(step, numbers, best.shape[:2]), 0)
            best &= lot == jnp.max(jnp.where(best, lot, 0), axis=(0, 1))
        when = jnp.where(best, waiting.due, jnp.inf)
        flat = jnp.argmin(when.reshape(-1, t.shape[0]), axis=0).astype(jnp.int32)
        return jnp.where(jnp.any(due, axis=(0, 1)), flat, -1)

    def inspect(
        self, t: Lanes, y: States, slope: States, h: Lanes, after: States, watch: Watch, segment: Segment
    ) -> Landing:
        """Looks at the comparisons along an attempted step from (t, y) to (t + h, after)."""
        t_after = t + h * segment.clock
        slope_after = self._slope(t_after, after, segment)
        changed = jnp.any(self.sides(t_after, after, segment) != watch.sides, axis=0)
        early = jnp.full_like(h, jnp.inf)
        for fraction in reversed(INSIDE):
            inner = hermite(fraction, h, y, slope, after, slope_after)
            different = self.sides(t + fraction * h * segment.clock, inner, segment) != watch.sides
            early = jnp.where(jnp.any(different, axis=0), fraction, early)
        if not self.program.roots_count:
            infinite = jnp.full_like(h, jnp.inf)
            return Landing(changed, early, infinite, jnp.full(h.shape, NOTHING, jnp.int32), infinite)
        before = self.program.roots(self._env(t, y, segment), t)
        value, speed = self._moving_roots(t_after, after, slope_after, segment)
        # >= and > differ at zero: a root that ends at zero may have changed its condition, one that starts there too.
        crosses = (jnp.sign(before) != jnp.sign(value)) & jnp.isfinite(value)
        newton = h - value / jnp.where(speed == 0, jnp.inf, speed)
        weight = jnp.abs(before) / jnp.maximum(jnp.abs(before) + jnp.abs(value), jnp.finfo(h.dtype).tiny)
        usable = (newton >= 0) & (newton <= h)
        where = jnp.where(crosses, jnp.where(usable, newton, weight * h), jnp.inf)
        cause = jnp.argmin(where, axis=0).astype(jnp.int32)
        root = jnp.min(where, axis=0)
        distance = -value / jnp.where(speed == 0, jnp.inf, speed)
        ahead = jnp.min(jnp.where(distance > 0, distance, jnp.inf), axis=0)
        return Landing(changed, early, root, jnp.where(jnp.isfinite(root), cause, NOTHING), ahead)

    def _moving_roots(self, t: Lanes, y: States, slope: States, segment: Segment) -> tuple[Array, Array]:
        """Roots and their derivatives in time along the solution."""

        def roots(t: Lanes, y: States) -> Array:
            return self.program.roots(self._env(t, y, segment), t)

        return jax.jvp(roots, (t, y), (segment.clock, slope))

    def locate(
        self, watch: Watch, landing: Landing, h: Lanes, accepted: Array, tolerance: Lanes
    ) -> tuple[Bool[Array, " lane"], Bool[Array, " lane"], Watch]:
        """Whether a step that the error control accepts may stand, whether it ends where a condition changes, and what
        to attempt next."""
        early = jnp.isfinite(landing.early) & ~landing.changed
        near = 2 * tolerance  # than which no attempt needs to be shorter, whatever its rounding
        early |= landing.changed & (landing.early < 0.5) & (h > near)
        close = (h <= near) | (h - landing.root <= near)
        lands = accepted & landing.changed & close & ~early
        passes = accepted & ~landing.changed & ~early
        stands = lands | passes
        missed = accepted & ~stands
        within = jnp.where(missed & landing.changed, h, jnp.where(passes, watch.bound - h, watch.bound))
        within = jnp.maximum(within, tolerance)
        tries = watch.tries + accepted
        # Before the change after a missed step, beyond it after one that stopped short.
        guess = jnp.where(missed, landing.root, landing.ahead) + 0.5 * tolerance
        # Newton's method may stall on a kink or a condition that changes without a root: every third try halves.
        guess = jnp.where((tries % 3 == 2) | ~jnp.isfinite(guess), 0.5 * within, guess)
        guess = jnp.where(missed & early, jnp.minimum(landing.early, 0.5) * h, guess)
        trial = jnp.where(accepted, jnp.clip(guess, tolerance, jnp.minimum(within, h + within)), watch.trial)
        done = lands | (passes & ~jnp.isfinite(within))
        return (
            stands,
            lands,
            watch._replace(
                trial=jnp.where(done, jnp.inf, trial),
                bound=jnp.where(done, jnp.inf, within),
                tries=jnp.where(done, 0, tries),
            ),
        )

    def observe(self, t: Lanes, y: States, watch: Watch, segment: Segment) -> tuple[Array, Array, Watch]:
        """Looks at the conditions after something happened.

        Returns:
            Slots that begin to wait, whether one was missing, and the watch.
        """
        env = self._env(t, y, segment)
        holds, sides = self.program.triggers(env, t), self.program.comparisons(env, t)
        rises = holds & ~watch.holds
        kept = watch.waits & (self.program.persistent[:, None, None] | holds[:, None])
        free = ~kept
        first = free & (jnp.cumsum(free, axis=1) == 1)
        filled = first & rises[:, None]
        full = jnp.any(rises & ~jnp.any(free, axis=1), axis=0)
        return filled, full, watch._replace(holds=holds, sides=sides, waits=kept | filled)

    # ---- what happens, differentiable

    def execute(self, t: Lanes, z: Array, executed: Array, segment: Segment) -> tuple[Array, Lanes]:
        """The extended state after the chosen execution, and by how much its moment moves (zero in value)."""
        if not self.program.count:
            return z, jnp.zeros_like(t)
        y, waiting = self.split(z)
        lanes = t.shape[0]
        slot = jnp.maximum(executed, 0)
        picked = pick(waiting.due.reshape(-1, lanes), slot)
        moved = (picked - t) - lax.stop_gradient(picked - t)
        shift = jnp.where(executed >= 0, moved, 0.0)
        before = drift(self.system, t, y, segment, shift)
        now = self.program.values(self._env(t + shift * segment.clock, before, segment), t)
        stored = waiting.values.reshape(-1, self.program.width, lanes)
        stored = pick(stored, slot)
        event = slot // self.program.slots
        after = before
        for index, rows in enumerate(self.program.targets):
            values = stored if self.program.from_trigger_time[index] else now[index]
            here = (executed >= 0) & (event == index)
            for position, row in enumerate(rows):
                after = put_rows(after, jnp.where(here, values[position], after[row])[None], row)
        # Where constraints determine states, these are solved for before their slopes are asked.
        after = on_constraints(self.system, t + shift * segment.clock, after, segment)
        after = drift(self.system, t + shift * segment.clock, after, segment, -shift)
        return self.join(jnp.where(executed >= 0, after, y), waiting), shift

    def shift_of(self, t: Lanes, y: States, cause: Array, of_execution: Lanes, segment: Segment) -> Lanes:
        """By how much the moment moves at which conditions changed (zero in value)."""
        if not self.program.roots_count:
            return jnp.where(cause == BY_EXECUTION, of_execution, 0.0)
        stay = lambda t, y, cause, of_execution, segment: jnp.zeros_like(t)  # noqa: E731
        return valued_as(stay, self._shift_of)(t, y, cause, of_execution, segment)

    def _shift_of(self, t: Lanes, y: States, cause: Array, of_execution: Lanes, segment: Segment) -> Lanes:
        slope = lax.stop_gradient(self._slope(t, y, segment))
        at = lax.stop_gradient((t, y))
        _, speed = self._moving_roots(*at, slope, lax.stop_gradient(segment))
        picked = lambda x: pick(x, jnp.maximum(cause, 0))  # noqa: E731
        speed = lax.stop_gradient(picked(speed))
        moves = (cause >= 0) & (speed != 0)

        def newton(t: Lanes, y: States) -> Lanes:
            value = picked(self.program.roots(self._env(t, y, segment), t))
            return jnp.where(moves, -(value - lax.stop_gradient(value)) / jnp.where(moves, speed, 1.0), 0.0)

        # The first step has the right first derivative, the second the right second one.
        first = newton(t, y)
        second = newton(t + first * segment.clock, drift(self.system, t, y, segment, first))
        return jnp.where(moves, first + second, jnp.where(cause == BY_EXECUTION, of_execution, 0.0))

    def enter(self, t: Lanes, z: Array, filled: Array, shift: Lanes, segment: Segment, before: Segment) -> Array:
        """The extended state with the slots filled that begin to wait, and on the course of the new locks.

        Args:
            t: Time.
            z: Extended state.
            filled: Slots that begin to wait.
            shift: By how much the moment moves (zero in value).
            segment: Segment with the locks from now on.
            before: The same with the locks so far.
        """
        y, waiting = self.split(z)
        if self.locks:
            turned = drift(self.system, t, y, before, shift)
            y = drift(self.system, t + shift * segment.clock, turned, segment, -shift)
        if not self.program.count:
            return self.join(y, waiting)
        there = drift(self.system, t, y, segment, shift)
        env = self._env(t + shift * segment.clock, there, segment)
        due = t + shift + self.program.delays(env, t)
        values = self.program.values(env, t)
        return self.join(
            y,
            Waiting(
                jnp.where(filled, due[:, None], waiting.due),
                jnp.where(filled[:, :, None], values[:, None], waiting.values),
            ),
        )


def _lots(step: Array, numbers: Array, shape: tuple[int, int]) -> Int[Array, "event slot lane"]:
    """Numbers that look random, the same in every run: the steps and the number of each lane and the position, mixed.

    The mixing is the finaliser of MurmurHash3 (A. Appleby, 2011), which lets every bit of the counter reach every bit
    of the result.
    """
    x = jnp.arange(1, 1 + np.prod(shape), dtype=jnp.uint32).reshape(*shape, 1) * np.uint32(2654435761)
    x = x + numbers.astype(jnp.uint32) * np.uint32(2246822519)
    x = x + step.astype(jnp.uint32) * np.uint32(40503) + np.uint32(1)
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return (x >> 1).astype(jnp.int32)
