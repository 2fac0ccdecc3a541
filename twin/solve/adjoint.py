"""Reverse mode: the adjoint of the integration, by replaying its steps backwards.

The adjoint of every accepted step is `jax.vjp` of that step alone, so the cost does not depend on the number of
parameters, and memory is bounded: the starts of the steps of one page are stored, and where the integration was when
each page began; pages before the last are integrated again when the adjoint comes to them. Where lanes took the places
of others (see `twin.solve.relay`), they give them back. Steps to a steady state are left out where the implicit
function theorem gives its derivatives (see `twin.solve.rest`).
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.errors import UnsupportedModelError
from twin.experiment.schedule import Schedule
from twin.solve.between import Chosen, change, first_state
from twin.solve.blocks import BYTES_OF_TURNS
from twin.solve.events import EventLoop
from twin.solve.loop import Loop
from twin.solve.method import Method, Segment, Step
from twin.solve.nodes import IDLE_STEP, Nodes, Tolerance
from twin.solve.past import Past
from twin.solve.relay import Ended, Relay, Standing
from twin.solve.rest import Rests, SteadyStates
from twin.solve.rows import put_rows
from twin.solve.sampling import Span, none_passed, pull_samples
from twin.solve.segments import at_segment, clock_time
from twin.solve.sensitivities import DIFFERENTIABLE

LONGEST_PAGE, SHORTEST_PAGE = 512, 32
MEMORY_FOR_A_PAGE = LONGEST_PAGE * BYTES_OF_TURNS
"""Steps and bytes of a page, the former for each lane that has a place in turn. Up to the longest, steps are stored
once and never integrated again."""


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3))
def reversible(
    system: System,
    method: Method,
    tolerance: Tolerance,
    places: int,
    schedule: Schedule,
    ts: Float[Array, "sample lane"],
) -> Ended:
    """The integration of all lanes, so many at a time, which reverse mode may differentiate.

    Args:
        system: The compiled model.
        method: A one-step method.
        tolerance: Tolerances and the bound on steps.
        places: Lanes under way at once.
        schedule: The schedule of all lanes.
        ts: Their sample times, ascending.

    Raises:
        UnsupportedModelError: derivatives are asked for where the past of a delayed term jumps.
    """
    return Relay(system, method, tolerance, schedule, ts, places).run()


def refuse_jumps_of_the_past(system: System, schedule: Schedule) -> None:
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
        past: States at earlier times, for delayed terms.
        rests: Where runs to steady state began and ended.
        checkpoints: Who was where at the beginning of each page.
        page: Index of the last page.
        nodes: Starts of the steps of the last page.
        count: How many they are.
    """

    schedule: Schedule
    ts: Float[Array, "sample lane"]
    past: Past | None
    rests: Rests | None
    checkpoints: Standing
    page: Int[Array, ""]
    nodes: Nodes
    count: Int[Array, ""]


def page_length(system: System, tolerance: Tolerance, rows: int, lanes: int, places: int) -> int:
    """Steps of a page.

    Args:
        system: The compiled model.
        tolerance: Tolerances and the bound on steps.
        rows: Rows of a state with what waits.
        lanes: Number of lanes.
        places: Lanes under way at once.
    """
    if system.delays:  # the past refers to steps by their number
        return tolerance.max_steps
    turns = math.ceil(lanes / places)
    of_memory = MEMORY_FOR_A_PAGE // max(1, 8 * rows * places)
    return max(SHORTEST_PAGE, min(turns * min(LONGEST_PAGE, tolerance.max_steps), of_memory))


def _light(at: Standing) -> Standing:
    """Without what pages need not be given back."""
    passed = none_passed(0, 0, 0, 0)._replace(cursor=at.c.passed.cursor)
    return at._replace(c=at.c._replace(passed=passed, past=None))


def _forward(system: System, method: Method, tolerance: Tolerance, places: int, schedule: Schedule, ts):
    refuse_jumps_of_the_past(system, schedule)
    schedule, ts = lax.optimization_barrier((schedule, ts))
    relay = Relay(system, method, tolerance, schedule, ts, places)
    first = relay.first()
    length = page_length(system, tolerance, first.c.z.shape[0], relay.lanes, relay.places)
    pages = math.ceil(relay.most_iterations / length)
    checkpoints = jax.tree.map(lambda x: jnp.zeros((pages, *x.shape), x.dtype), _light(first))

    def body(carry):
        index, at, tally, checkpoints, nodes, _ = carry
        checkpoints = jax.tree.map(lambda old, x: old.at[index].set(x), checkpoints, _light(at))
        at, tally, nodes, count = relay.page(at, tally, nodes, jnp.int32(length))
        return index + 1, at, tally, checkpoints, nodes, count

    nothing = jnp.zeros((), jnp.int32)
    start = (nothing, first, relay.no_tally(first), checkpoints, relay.blank(first, length), nothing)
    index, at, tally, checkpoints, nodes, count = lax.while_loop(lambda carry: carry[1].going, body, start)
    ended = relay.ended(at, tally)
    return ended, _Kept(schedule, ts, ended.past, ended.rests, checkpoints, index - 1, nodes, count)


def _replay(
    system: System, step: Step, events: EventLoop | None, schedule: Schedule, z: Array, past, at, next_at, left_out
):
    """One accepted step and what happened after it, as a differentiable function of schedule, states and past.

    Steps left out have their value, and no derivatives but those of the states at their start.

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
    if left_out is not None:
        moved = jnp.where(left_out, lax.stop_gradient(moved) + (z - lax.stop_gradient(z)), moved)
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
    floats = _floats(schedule)

    def pull():
        after = lambda floats, *at: change(system, schedule.replace(**floats), events, at[0], *chosen, at[1])  # noqa: E731
        return jax.vjp(after, floats, moved, past)[1](of_z)

    def nothing():
        return jax.tree.map(jnp.zeros_like, floats), of_z, jax.tree.map(jnp.zeros_like, past)

    of_floats, of_moved, of_past = lax.cond(chosen.anything, pull, nothing)
    return jax.tree.map(jnp.zeros_like, schedule).replace(**of_floats), of_moved, of_past, None


_where_eventful.defvjp(_where_eventful_forward, _where_eventful_backward)


class _Sweep(NamedTuple):
    """Cotangents gathered on the way back: of the extended state, of the schedule, of the past.

    Args:
        numbers: The lanes that they are of.
    """

    of_z: Float[Array, "row lane"]
    of_schedule: dict[str, Array]
    of_past: Past | None
    numbers: Int[Array, " lane"]


class _Runs(NamedTuple):
    """Runs to steady state, whose steps are left out where the implicit function theorem gives their derivatives.

    Args:
        first: In the first segment; None if there are none.
        last: In the last one, likewise.
    """

    first: SteadyStates | None
    last: SteadyStates | None


class _Back:
    """The way back.

    Args:
        relay: The lanes and their places.
        kept: What the forward pass left.
        runs: Runs to steady state.
        cotangent: Cotangents of how the lanes ended, or of where the last run to steady state began whose steps are
            left out.
    """

    def __init__(self, relay: Relay, kept: _Kept, runs: _Runs, cotangent: Ended) -> None:
        self.relay, self.kept, self.runs, self.cotangent = relay, kept, runs, cotangent
        self.system, self.step = relay.system, relay.method.replayer(relay.system)

    def gradient(self) -> dict[str, Array]:
        """Cotangents of the schedule of all lanes."""
        relay, kept, cotangent = self.relay, self.kept, self.cotangent
        every = _floats(kept.schedule)
        one_more = lambda x: jnp.zeros((relay.lanes + 1, *x.shape[:-1]), x.dtype)  # noqa: E731
        gathered = {} if relay.alone else {name: one_more(x) for name, x in every.items()}
        if relay.alone:
            sweep = _Sweep(cotangent.z, jax.tree.map(jnp.zeros_like, every), cotangent.past, jnp.arange(relay.lanes))
        else:
            nobody = jnp.full(relay.places, -1, jnp.int32)
            of_places = jax.tree.map(lambda x: jnp.zeros((*x.shape[:-1], relay.places), x.dtype), every)
            sweep = _Sweep(jnp.zeros((cotangent.z.shape[0], relay.places)), of_places, None, nobody)
        start = (kept.page, kept.count, kept.nodes, sweep, gathered)
        *_, sweep, gathered = lax.while_loop(lambda carry: carry[0] >= 0, self._page, start)
        if relay.alone:
            return self._with_first_states(relay.loop(sweep.numbers), sweep)
        return {name: jnp.moveaxis(x[:-1], 0, -1) for name, x in gathered.items()}

    def _page(self, carry):
        """Back over a page, and the one before integrated again."""
        page, count, nodes, sweep, gathered = carry
        if self.relay.alone:
            loop = self.relay.loop(sweep.numbers)
            back = lambda x: (x[0] - 1, nodes, self._one(loop, x[0] - 1, nodes, x[2]))  # noqa: E731
            _, nodes, sweep = lax.while_loop(lambda x: x[0] > 0, back, (count, nodes, sweep))
        else:
            start = (count, nodes, sweep, gathered)
            _, nodes, sweep, gathered = lax.while_loop(lambda x: x[0] > 0, self._leg, start)
        before = jnp.maximum(page - 1, 0)
        at = jax.tree.map(lambda x: x[before], self.kept.checkpoints)
        ts, kept = self.kept.ts, self.relay.lanes
        passed = none_passed(ts.shape[0], len(self.system.states), 0, kept)._replace(cursor=at.c.passed.cursor)
        at = at._replace(c=at.c._replace(passed=passed, past=self.kept.past))
        length = jnp.where(page > 0, nodes.start.shape[0] - 1, 0)
        at = at._replace(going=at.going & (page > 0))
        _, _, nodes, count = self.relay.page(at, self.relay.no_tally(at), nodes, length)
        return page - 1, count, nodes, sweep, gathered

    def _leg(self, carry):
        """Back to where lanes began, which are then done."""
        index, nodes, sweep, gathered = carry
        numbers = nodes.numbers[index - 1]
        others = numbers != sweep.numbers
        ended_with = self.cotangent.z[:, jnp.minimum(numbers, self.relay.lanes - 1)]
        of_schedule = jax.tree.map(lambda x: jnp.where(others, 0.0, x), sweep.of_schedule)
        sweep = _Sweep(jnp.where(others, ended_with, sweep.of_z), of_schedule, None, numbers)
        loop = self.relay.loop(numbers)

        def back(carry):
            index, _, sweep = carry
            return index - 1, jnp.any(nodes.begins[index - 1]), self._one(loop, index - 1, nodes, sweep)

        start = (index, jnp.zeros((), bool), sweep)
        index, begun, sweep = lax.while_loop(lambda x: (x[0] > 0) & ~x[1], back, start)
        rows = jnp.where(nodes.begins[index] & begun, numbers, self.relay.lanes)
        done = self._with_first_states(loop, sweep)
        # For the scatter see `Relay.after_leg`.
        gathered = {name: x.at[rows].set(jnp.moveaxis(done[name], -1, 0)) for name, x in gathered.items()}
        # Before the first step of lanes there is a slot that says where those before them ended.
        return jnp.maximum(index - begun, 0), nodes, sweep, gathered

    def _one(self, loop: Loop, index: Array, nodes: Nodes, sweep: _Sweep) -> _Sweep:
        """Back over one iteration."""
        here = jax.tree.map(lambda x: x[index], nodes)
        following = jax.tree.map(lambda x: x[index + 1], nodes)
        left_out = self._left_out(loop, here)
        if left_out is None:
            return self._over(loop, index, here, following, sweep, None)
        something = (here.length > 0) & ~left_out
        something |= (following.segment > here.segment) | (following.cursor > here.cursor)
        over = lambda sweep: self._over(loop, index, here, following, sweep, left_out)  # noqa: E731
        return lax.cond(jnp.any(something), over, lambda sweep: sweep, sweep)

    def _left_out(self, loop: Loop, here: Nodes) -> Bool[Array, " lane"] | None:
        """Lanes whose step led to a steady state of which derivatives are known; None if there are no such."""
        left_out = None
        for steady, segment in ((self.runs.first, 0), (self.runs.last, loop.last)):
            if steady is not None:
                known = (here.segment == segment) & steady.determined[self._there(loop)]
                left_out = known if left_out is None else left_out | known
        return left_out

    def _there(self, loop: Loop) -> Int[Array, " lane"]:
        """The lanes of a loop among all; some lane where a place is empty."""
        return jnp.clip(loop.numbers, 0, self.relay.lanes - 1)

    def _over(
        self, loop: Loop, index: Array, here: Nodes, following: Nodes, sweep: _Sweep, left_out: Array | None
    ) -> _Sweep:
        """Back over a step and what happened after it."""
        schedule, states = loop.schedule, len(self.system.states)
        at = (here.segment, here.start, here.length, here.choices)
        locked_after = None if following.choices is None else following.choices.locked
        floats = _floats(schedule)

        def advance(differentiable, z, past):
            changed = schedule.replace(**differentiable)
            beyond = (following.segment, following.start, locked_after)
            return _replay(self.system, self.step, loop.events, changed, z, past, at, beyond, left_out)

        (_, _, course, span), pull = jax.vjp(advance, floats, here.z, self.kept.past)
        # Later steps that looked back at this one have by now added to its share of the past.
        of_record = None if sweep.of_past is None else tuple(part[index] for part in sweep.of_past[:6])
        passed = here.cursor, following.cursor
        sampled = pull_samples(loop.ts, self.cotangent.y, loop.numbers, *passed, span, course)
        of_schedule, of_z, of_past = pull((sweep.of_z, of_record, *sampled[1:]))
        of_z = put_rows(of_z, of_z[:states] + sampled[0])
        of_schedule, of_past = jax.tree.map(jnp.add, (sweep.of_schedule, sweep.of_past), (of_schedule, of_past))
        return _Sweep(of_z, of_schedule, of_past, sweep.numbers)

    def _with_first_states(self, loop: Loop, sweep: _Sweep) -> dict[str, Array]:
        """Cotangents of the schedule, with what those of the states before the first step are in it."""
        schedule = loop.schedule
        floats = _floats(schedule)
        first = self.runs.first
        if first is not None:
            first = first.take(self._there(loop))

        def start(floats: dict[str, Array]) -> Array:
            changed = schedule.replace(**floats)
            z = first_state(self.system, changed)[0]
            return z if first is None else first.of(self.system, _segment(changed, 0), z)

        _, pull = jax.vjp(start, floats)
        return jax.tree.map(jnp.add, sweep.of_schedule, pull(sweep.of_z)[0])


def _floats(schedule: Schedule) -> dict[str, Array]:
    """What of a schedule is differentiated, by name."""
    return {name: getattr(schedule, name) for name in DIFFERENTIABLE}


def _segment(schedule: Schedule, number: int) -> Segment:
    """The same segment of all lanes, counted from the end if negative."""
    return at_segment(schedule, jnp.full(schedule.lanes, number % schedule.segments))[0]


def _runs(relay: Relay, kept: _Kept) -> _Runs:
    """Runs to steady state of all lanes."""
    schedule, rests, parts = kept.schedule, kept.rests, (relay.system, relay.tolerance)
    if rests is None:
        return _Runs(None, None)
    first = last = None
    if schedule.equilibrates:
        begun = first_state(relay.system, schedule)[0]
        first = SteadyStates.reached(*parts, _segment(schedule, 0), begun, rests.before)
    if schedule.settles:
        last = SteadyStates.reached(*parts, _segment(schedule, -1), rests.begun, rests.end)
    return _Runs(first, last)


def _backward(system: System, method: Method, tolerance: Tolerance, places: int, kept: _Kept, cotangent: Ended):
    kept = lax.optimization_barrier(kept)
    relay = Relay(system, method, tolerance, kept.schedule, kept.ts, places)
    runs, of_last = _runs(relay, kept), None
    if runs.last is not None and kept.rests is not None:
        last, schedule = runs.last, kept.schedule
        floats = _floats(schedule)
        end = lambda floats, begun: last.of(system, _segment(schedule.replace(**floats), -1), begun)  # noqa: E731
        of_last, of_begun = jax.vjp(end, floats, kept.rests.begun)[1](cotangent.z)
        cotangent = cotangent._replace(z=of_begun)
    gradient = _Back(relay, kept, runs, cotangent).gradient()
    if of_last is not None:
        gradient = jax.tree.map(jnp.add, gradient, of_last)
    return jax.tree.map(jnp.zeros_like, kept.schedule).replace(**gradient), jnp.zeros_like(kept.ts)


reversible.defvjp(_forward, _backward)
