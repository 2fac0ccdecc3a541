"""Forward sensitivities: tangents in many directions, carried along the accepted steps of the loop.

What decides (rejected attempts, step control, the search for events) carries none. Step sizes are constants of the
differentiation, as fractions of their segment, as they are for the adjoint (see `twin.solve.integrate`). Runs to steady
state go on without tangents where the implicit function theorem gives them at the end (see `twin.solve.rest`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.between import Chosen, change, first_state
from twin.solve.blocks import WHOLE_VECTOR
from twin.solve.directions import Change, along, plus, times
from twin.solve.loop import Attempted, Loop, Progress
from twin.solve.mapped import Mapped
from twin.solve.method import Along, Method
from twin.solve.nodes import Nodes, Tolerance
from twin.solve.rest import SteadyStates, any_rest
from twin.solve.rows import put_rows
from twin.solve.sampling import sample_due
from twin.solve.segments import at_segment

DIFFERENTIABLE = ("borders", "params", "inflow", "keep", "add", "initial")
"""What of a schedule is differentiated; the rest says what kind of segment each is."""


class _Place(NamedTuple):
    """How the segment that a lane is in changes along directions; None where it does not."""

    params: Change
    inflow: Change
    mid: Change
    begin: Change
    length: Change


class _Carried(NamedTuple):
    """Tangents under way: of the extended state, of the samples passed, of the segment."""

    z: Float[Array, "row direction lane"]
    passed: Float[Array, "sample+1 state direction lane"]
    place: _Place


def with_tangents(
    system: System, method: Method, tolerance: Tolerance, schedule: Schedule, ts: Float[Array, "sample lane"]
) -> Progress:
    """The loop, run with tangents wherever forward mode asks for them."""

    @jax.custom_jvp
    def run(schedule: Schedule, ts: Array) -> Progress:
        return Loop(system, method, tolerance, schedule, ts).run()

    def rule(primals, tangents):
        schedule, ts = primals
        of_schedule, of_ts = tangents
        changes = {name: getattr(of_schedule, name) for name in DIFFERENTIABLE}
        changes = {name: x for name, x in changes.items() if not isinstance(x, SymbolicZero)}
        if not isinstance(of_ts, SymbolicZero):
            changes["ts"] = of_ts
        ended, of_z, of_passed = _along_directions(system, method, tolerance)(schedule, ts, changes)
        nothing = jax.tree.map(_no_tangent, ended)
        of_passed = jnp.moveaxis(of_passed, -1, 0)  # lanes come first where samples are kept
        return ended, nothing._replace(z=of_z, passed=nothing.passed._replace(y=of_passed))

    run.defjvp(rule, symbolic_zeros=True)
    return run(schedule, ts)


def _no_tangent(x: Array):
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.floating) else np.zeros(x.shape, jax.dtypes.float0)


def _along_directions(system: System, method: Method, tolerance: Tolerance):
    """(schedule, sample times, their changes along one direction) -> the end, and tangents of states and samples.

    Mapped over changes alone, all directions go along one loop.
    """

    def together(schedule: Schedule, ts: Array, changes: dict[str, Array]):
        return _Tangents(Loop(system, method, tolerance, schedule, ts), changes).run()

    def alone(schedule: Schedule, ts: Array, changes: dict[str, Array]):
        ended, *tangents = together(schedule, ts, jax.tree.map(lambda x: jnp.expand_dims(x, -2), changes))
        return ended, *(x[..., 0, :] for x in tangents)

    def mapped(size: int, batched, schedule: Schedule, ts: Array, changes: dict[str, Array]):
        if any(jax.tree.leaves(batched[:2])):  # what is integrated is mapped too
            axes = jax.tree.map(lambda x: 0 if x else None, batched)
            outputs = jax.vmap(alone, in_axes=tuple(axes), axis_size=size)(schedule, ts, changes)
            return outputs, jax.tree.map(lambda _: True, outputs)
        wide = {name: _next_to_last(x, batched[2][name], size) for name, x in changes.items()}
        if schedule.lanes == 1:
            wide = {name: _padded(x) for name, x in wide.items()}
        ended, *tangents = together(schedule, ts, wide)
        outputs = ended, *(jnp.moveaxis(x, -2, 0)[:size] for x in tangents)
        return outputs, (jax.tree.map(lambda _: False, ended), True, True)

    def shapes(schedule: Schedule, ts: Array, changes: dict[str, Array]):
        first = jax.eval_shape(lambda *of: Loop(system, method, tolerance, *of).first(), schedule, ts)
        lanes, samples, states = first.passed.y.shape
        return first, first.z, jax.ShapeDtypeStruct((samples, states, lanes), first.passed.y.dtype)

    return Mapped(alone, mapped, shapes)


def _next_to_last(x: Array, first: bool, size: int) -> Array:
    """Directions, which come first if there are any, next to last."""
    if first:
        return jnp.moveaxis(x, 0, -2)
    return jnp.broadcast_to(jnp.expand_dims(x, -2), (*x.shape[:-1], size, x.shape[-1]))


def _padded(x: Array) -> Array:
    """With further directions in which nothing changes, up to whole vectors.

    The compiler takes what is left over one by one, which costs more than the zeros (measured: 0.55 instead of 0.75 ms
    for 6 directions, 3.6 instead of 4.7 ms for 14).
    """
    return jnp.pad(x, [*(x.ndim - 2) * [(0, 0)], (0, -x.shape[-2] % WHOLE_VECTOR), (0, 0)])


class _Tangents:
    """The loop with changes along directions, which are next to last in each array."""

    def __init__(self, loop: Loop, changes: dict[str, Array]) -> None:
        self.loop, self.changes = loop, changes
        self.system, self.schedule, self.ts = loop.system, loop.schedule, loop.ts
        self.push, self.weights = loop.method.pusher(loop.system), loop.method.weights
        self.directions = next(iter(changes.values())).shape[-2] if changes else 1
        self.names = [name for name in DIFFERENTIABLE if name in changes]
        self.floats = [getattr(self.schedule, name) for name in self.names]
        self.of_floats = [changes[name] for name in self.names]

    def run(self):
        c = self.loop.first()
        start = lambda *floats: first_state(self.system, self._changed(floats))[0]  # noqa: E731
        z = along(start, self.floats, self.of_floats)
        shape = self.directions, self.schedule.lanes
        z = jnp.zeros((c.z.shape[0], *shape)) if z is None else z
        _, samples, states = c.passed.y.shape
        first = _Carried(z, jnp.zeros((samples, states, *shape)), self._place(jnp.zeros_like(c.segment)))
        if any_rest(self.system, self.schedule):
            c, carried = self._around_rests(c, first)
        else:
            c, carried = self._onward(c, first, lambda c: self.loop.alive(c), None)
        return self.loop.ended(c), carried.z, carried.passed

    def _onward(
        self, c: Progress, carried: _Carried, those: Callable[[Progress], Array], quiet: Bool[Array, ""] | None
    ) -> tuple[Progress, _Carried]:
        """Steps of those lanes until none of them goes on, without tangents if it is to be quiet."""

        def body(carry):
            c, carried = carry
            after, node, attempt = self.loop.iterate(c, those(c))
            return after, self._follow(c, after, node, attempt, carried, quiet)

        return lax.while_loop(lambda carry: jnp.any(those(carry[0])), body, (c, carried))

    def _around_rests(self, c: Progress, carried: _Carried) -> tuple[Progress, _Carried]:
        """In turn: runs to steady state without tangents, which follow at their ends, and all else with them."""

        def rests(c: Progress) -> Bool[Array, " lane"]:
            segment, begin, _ = at_segment(self.schedule, jnp.minimum(c.segment, self.loop.last))
            # A sample at the moment before which the clock stands is passed first, with its tangents.
            return self.loop.alive(c) & (segment.clock == 0) & ~sample_due(self.ts, c.passed.cursor, begin)

        def turn(carry):
            c, carried, followed = carry
            runs = rests(c) & ~followed
            quiet = jnp.any(runs)

            def those(now: Progress) -> Bool[Array, " lane"]:
                resting = rests(now) & ~followed
                return jnp.where(quiet, runs & resting & (now.segment == c.segment), self.loop.alive(now) & ~resting)

            after, carried = self._onward(c, carried, those, quiet)
            settle = lambda: self._settled(c, after, carried, runs, followed)  # noqa: E731
            return lax.cond(quiet, settle, lambda: (after, carried, followed))

        start = c, carried, jnp.zeros(self.schedule.lanes, bool)
        return lax.while_loop(lambda carry: self.loop.goes_on(carry[0]), turn, start)[:2]

    def _settled(self, before: Progress, after: Progress, carried: _Carried, runs: Array, followed: Array):
        """Tangents at the ends of runs to steady state; lanes without determined ones go back, to be followed."""
        here = jnp.minimum(before.segment, self.loop.last)
        segment, _, _ = at_segment(self.schedule, here)
        assert after.rests is not None
        end = jnp.where(here == 0, after.rests.before, after.rests.end)
        found = SteadyStates.reached(self.system, self.loop.tolerance, segment, before.z, end)
        determined = runs & found.determined
        back = runs & ~determined & (after.segment > here)

        def of(*values):
            schedule = self._changed(values[1:])
            segment, _, _ = at_segment(schedule, here)
            y = found.of(self.system, segment, values[0])
            return change(self.system, schedule, None, y, None, here, after.segment, after.start, None, None)

        d_z = along(of, [before.z, *self.floats], [carried.z, *self.of_floats])
        of_lanes = (x._replace(passed=None) for x in (before, after))
        c = jax.tree.map(lambda old, new: jnp.where(back, old, new), *of_lanes)._replace(passed=after.passed)
        place = self._place(jnp.minimum(c.segment, self.loop.last))
        return c, _Carried(jnp.where(determined, d_z, carried.z), carried.passed, place), followed | back

    def _changed(self, floats) -> Schedule:
        return self.schedule.replace(**dict(zip(self.names, floats, strict=True)))

    def _place(self, index: Array) -> _Place:
        """Changes of a segment of each lane."""

        def of(part, *names: str) -> Change:
            if not any(name in self.changes for name in names):
                return None
            at = lambda *floats: part(*at_segment(self._changed(floats), index))  # noqa: E731
            return along(at, self.floats, self.of_floats)

        return _Place(
            of(lambda segment, begin, length: segment.params, "params"),
            of(lambda segment, begin, length: segment.inflow, "inflow"),
            _first(of(lambda segment, begin, length: segment.mid[None], "borders")),
            _first(of(lambda segment, begin, length: begin[None], "borders")),
            _first(of(lambda segment, begin, length: length[None], "borders")),
        )

    def _follow(
        self,
        c: Progress,
        after: Progress,
        node: Nodes,
        attempt: Attempted,
        d: _Carried,
        quiet: Bool[Array, ""] | None,
    ) -> _Carried:
        """Tangents after an iteration, or as they were if it is to be quiet."""
        stands = node.length > 0
        loud = lambda happens: happens if quiet is None else happens & ~quiet  # noqa: E731

        def step(carried: tuple[Array, Array]):
            return self._step(c, after, node, attempt, _Carried(*carried, d.place), stands)

        z, passed = lax.cond(loud(jnp.any(stands)), step, lambda x: x, (d.z, d.passed))
        y = jnp.where(stands, attempt.y, c.z[: len(attempt.y)])
        z, place = self._between(c, after, node, put_rows(c.z, y), z, d.place, loud)
        return _Carried(z, passed, place)

    def _step(self, c, after: Progress, node: Nodes, attempt: Attempted, d: _Carried, stands: Array):
        """Tangents after a step, and those of samples in it."""
        place, states = d.place, len(self.system.states)
        segment = attempt.segment
        y, d_y = c.z[:states], d.z[:states]
        d_reached = plus(place.begin, times(place.length, node.start))
        d_h = times(place.length, node.length)
        of_all = Along(d_y, place.params, place.inflow, place.mid, times(d_reached, segment.clock), d_h)
        d_after, d_stages = self.push(segment, attempt.t, y, attempt.h, attempt.kept, of_all)
        d_span = d_reached, d_h
        first, end = c.passed.cursor, after.passed.cursor
        passed = self._samples(d.passed, first, end, attempt, d_y, d_stages, d_span)
        return put_rows(d.z, jnp.where(stands, d_after, d_y)), passed

    def _samples(self, passed: Array, first: Array, end: Array, attempt: Attempted, d_y, d_stages, d_span) -> Array:
        """Tangents of the samples passed in a step."""
        columns, d_ts = jnp.arange(self.schedule.lanes), self.changes.get("ts")
        powers = range(len(self.weights))

        def body(carry):
            cursor, passed = carry
            due = cursor < end
            row = jnp.minimum(cursor, self.ts.shape[0] - 1)
            length = jnp.where(due, attempt.span.length, 1.0)
            theta = jnp.where(due, (self.ts[row, columns] - attempt.span.reached) / length, 0.0)
            d_value = d_y
            for weights, d_stage in zip(self.weights.T, d_stages, strict=True):
                d_value += sum(weights[r] * theta ** (r + 1) for r in powers) * d_stage
            d_t = None if d_ts is None else jnp.moveaxis(d_ts[row, :, columns], 0, -1)
            d_theta = plus(d_t, times(d_span[0], -jnp.ones_like(theta)), times(d_span[1], -theta))
            if d_theta is not None:
                rate = sum(((r + 1) * theta**r * attempt.course[r] for r in powers), jnp.zeros_like(attempt.y))
                d_value += rate[:, None] * d_theta / length
            rows = jnp.where(due, cursor, self.ts.shape[0])
            return cursor + due, _put_lanes(passed, d_value, rows)

        return lax.while_loop(lambda carry: jnp.any(carry[0] < end), body, (first, passed))[1]

    def _between(self, c: Progress, after: Progress, node: Nodes, moved: Array, d_moved: Array, place: _Place, loud):
        """Tangents after what happened between two steps."""
        events, choices = self.loop.events, node.choices
        locks = None
        if events is not None and choices is not None:
            locks = (choices.locked, events.locked(after.watch))
        chosen = Chosen(choices, node.segment, after.segment, after.start, locks)

        def happened():
            def of(*values):
                return change(self.system, self._changed(values[1:]), events, values[0], *chosen, None)

            d_z = along(of, [moved, *self.floats], [d_moved, *self.of_floats])
            return d_z, self._that_vary(self._place(jnp.minimum(after.segment, self.loop.last)))

        d_z, varying = lax.cond(loud(chosen.anything), happened, lambda: (d_moved, self._that_vary(place)))
        return d_z, place._replace(**varying)

    def _that_vary(self, place: _Place) -> dict[str, Change]:
        """What differs between segments."""
        same = {name for name in ("params", "inflow") if len(getattr(self.schedule, name)) == 1}
        return {name: change for name, change in place._asdict().items() if name not in same}


def _first(x: Change) -> Change:
    return None if x is None else x[0]


def _put_lanes(x: Array, values: Array, rows: Array) -> Array:
    """Values of each lane in a row of its own."""

    def of_lane(lane: Array, x: Array) -> Array:
        nothing = jnp.int32(0)
        one = lax.dynamic_slice_in_dim(values, lane, 1, axis=2)[None]
        return lax.dynamic_update_slice(x, one, (rows[lane], nothing, nothing, lane))

    return lax.fori_loop(jnp.int32(0), jnp.int32(values.shape[2]), of_lane, x)
