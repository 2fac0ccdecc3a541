"""Many lanes at few places: a lane takes the place of one that has ended, so that none waits for the slowest of all.

The loop goes on for as long as its places are taken. When some are free and lanes wait, these begin there, in order.
Where there is a place for every lane, this is the loop itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.loop import Loop, Progress
from twin.solve.method import Method
from twin.solve.nodes import EMPTY, Nodes, Tolerance
from twin.solve.past import Past
from twin.solve.rest import Rests
from twin.solve.sampling import none_passed

FREE_SHARE = 8
"""Lanes begin when a place in so many is free: to begin costs about as much as a step of all places."""


class Standing(NamedTuple):
    """Who is where.

    Args:
        c: Where the lanes at the places stand.
        numbers: Which lanes they are; the number of all lanes where a place is empty.
        waiting: The first lane that has had no place yet.
        going: Whether any lane is under way or waits.
    """

    c: Progress
    numbers: Int[Array, " place"]
    waiting: Int[Array, ""]
    going: Bool[Array, ""]


class Ended(NamedTuple):
    """How the integration of all lanes ended.

    Args:
        z: Their states, and events that wait.
        y: States at their samples, and one row more that nobody reads.
        segment: Segment in which each was passed, likewise.
        cursor: Number of samples passed.
        status: 0, or why the lane stopped.
        step: Attempts made.
        past: What delayed terms need.
        rests: Where runs to steady state began and ended.
    """

    z: Float[Array, "row lane"]
    y: Float[Array, "lane sample+1 state"]
    segment: Int[Array, "lane sample+1"]
    cursor: Int[Array, " lane"]
    status: Int[Array, " lane"]
    step: Int[Array, " lane"]
    past: Past | None
    rests: Rests | None

    @classmethod
    def of(cls, c: Progress) -> Ended:
        """Where every lane has a place."""
        return cls(c.z, c.passed.y, c.passed.segment, c.passed.cursor, c.status, c.step, c.past, c.rests)


class Tally(NamedTuple):
    """What is known at the end of lanes, by their number, and a row more that nobody reads."""

    z: Float[Array, "lane+1 row"]
    cursor: Int[Array, " lane+1"]
    status: Int[Array, " lane+1"]
    step: Int[Array, " lane+1"]
    rests: Rests | None


class Relay:
    """The lanes of a schedule at so many places.

    Args:
        system: The compiled model.
        method: A one-step method.
        tolerance: Tolerances and the bound on steps.
        schedule: The schedule of all lanes.
        ts: Their sample times, ascending.
        places: Lanes that are under way at once.
    """

    def __init__(
        self,
        system: System,
        method: Method,
        tolerance: Tolerance,
        schedule: Schedule,
        ts: Float[Array, "sample lane"],
        places: int,
    ) -> None:
        self.system, self.method, self.tolerance, self.schedule, self.ts = system, method, tolerance, schedule, ts
        self.lanes, self.places = schedule.lanes, min(places, schedule.lanes)
        self.alone = self.places == self.lanes
        self.few = max(1, self.places // FREE_SHARE)

    @property
    def most_iterations(self) -> int:
        """More than the loop can take, those that only mark where lanes begin included."""
        if self.alone:
            return self.tolerance.max_steps
        at_work = self.places - self.few + 1
        return (math.ceil(self.lanes / at_work) + 1) * self.tolerance.max_steps + 2 * self.lanes

    def loop(self, numbers: Int[Array, " place"]) -> Loop:
        """The loop of the lanes of these numbers."""
        parts = self.system, self.method, self.tolerance
        if self.alone:
            return Loop(*parts, self.schedule, self.ts)
        there = jnp.minimum(numbers, self.lanes - 1)
        return Loop(*parts, self.schedule.take(there), self.ts[:, there], numbers)

    def first(self) -> Standing:
        """Before the first step; where lanes have to wait, nobody has a place yet."""
        true = jnp.ones((), bool)
        everyone = jnp.arange(self.lanes, dtype=jnp.int32)
        if self.alone:
            return Standing(self.loop(everyone).first(), everyone, jnp.int32(self.lanes), true)
        numbers = jnp.full(self.places, self.lanes, jnp.int32)
        shapes = jax.eval_shape(lambda numbers: self.loop(numbers).first(kept=0), numbers)
        c = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        passed = none_passed(self.ts.shape[0], len(self.system.states), self.places, self.lanes)
        c = c._replace(status=jnp.full_like(c.status, EMPTY), passed=passed)
        return Standing(c, numbers, jnp.int32(0), true)

    def filled(self, at: Standing) -> tuple[Standing, Bool[Array, " place"]]:
        """After lanes that wait have taken the free places, and the places at which they begin."""
        free = ~self.loop(at.numbers).alive(at.c)
        next_one = at.waiting + jnp.cumsum(free, dtype=jnp.int32) - 1
        begins = free & (next_one < self.lanes)
        numbers = jnp.where(begins, next_one, jnp.where(free, jnp.int32(self.lanes), at.numbers))
        new = self.loop(numbers).first(kept=0)
        passed = at.c.passed._replace(cursor=jnp.where(begins, new.passed.cursor, at.c.passed.cursor))
        both = (x._replace(passed=None) for x in (new, at.c))
        c = jax.tree.map(lambda new, old: jnp.where(begins, new, old), *both)
        status = jnp.where(free & ~begins, EMPTY, c.status)
        waiting = at.waiting + jnp.sum(begins, dtype=jnp.int32)
        return Standing(c._replace(passed=passed, status=status), numbers, waiting, at.going), begins

    def over(self, loop: Loop, waiting: Array, c: Progress) -> Bool[Array, ""]:
        """Whether enough places are free for lanes that wait."""
        return (waiting < self.lanes) & (jnp.sum(~loop.alive(c)) >= self.few)

    def run(self) -> Ended:
        """Integrates every lane to its end."""
        if self.alone:
            return Ended.of(self.loop(jnp.arange(self.lanes)).run())

        def leg(carry: tuple[Standing, Tally]) -> tuple[Standing, Tally]:
            at, tally = carry
            at, _ = self.filled(at)
            loop = self.loop(at.numbers)
            goes_on = lambda c: loop.goes_on(c) & ~self.over(loop, at.waiting, c)  # noqa: E731
            c = lax.while_loop(goes_on, lambda c: loop.iterate(c)[0], at.c)
            return self.after_leg(at, loop, c, tally)

        first = self.first()
        return self.ended(*lax.while_loop(lambda carry: carry[0].going, leg, (first, self.no_tally(first))))

    def after_leg(self, at: Standing, loop: Loop, c: Progress, tally: Tally) -> tuple[Standing, Tally]:
        """Who is where once some lanes have come to their ends, and the tally with these."""
        marked = loop.ended(c)
        # Lanes under way are written, too, and again later. The scatter also keeps XLA from compiling legs and the loop
        # in them as one function, which takes several times longer than the loop by itself.
        of_lanes = marked.z, marked.passed.cursor, marked.status, marked.step, marked.rests
        tally = jax.tree.map(lambda rows, new: rows.at[at.numbers].set(new.T), tally, Tally(*of_lanes))
        going = loop.goes_on(c) | (at.waiting < self.lanes)
        return at._replace(c=c, going=going), tally

    def no_tally(self, at: Standing) -> Tally:
        """Before any lane has ended."""
        of_places = Tally(at.c.z, at.c.passed.cursor, at.c.status, at.c.step, at.c.rests)
        return jax.tree.map(lambda x: jnp.zeros((self.lanes + 1, *x.shape[:-1]), x.dtype), of_places)

    def ended(self, at: Standing, tally: Tally) -> Ended:
        """How all ended."""
        if self.alone:
            return Ended.of(self.loop(at.numbers).ended(at.c))
        z, cursor, status, step, rests = jax.tree.map(lambda x: x[:-1].T, tally)
        return Ended(z, at.c.passed.y, at.c.passed.segment, cursor, status, step, None, rests)

    def blank(self, at: Standing, slots: int) -> Nodes:
        """Room for the steps of a page."""
        return self.loop(at.numbers).blank(at.c, slots, relayed=not self.alone)

    def page(
        self, at: Standing, tally: Tally, nodes: Nodes, limit: Int[Array, ""]
    ) -> tuple[Standing, Tally, Nodes, Array]:
        """At most so many iterations, with the starts of their steps.

        Where lanes begin there is a slot more before, which says where those before them ended.

        Returns:
            Who is where; the tally; the starts of steps, and the slot of what came after the last.
        """
        if self.alone:
            loop = self.loop(at.numbers)
            c, nodes, count = loop.page(at.c, nodes, limit)
            return at._replace(c=c, going=loop.goes_on(c)), tally, nodes, count

        def leg(carry):
            slot, at, tally, nodes = carry
            at, begins = self.filled(at)
            loop = self.loop(at.numbers)
            over = lambda c: self.over(loop, at.waiting, c)  # noqa: E731
            c, nodes, slot = loop.page(at.c, nodes, limit, jnp.where(slot > 0, slot + 1, 0), over, begins)
            return slot, *self.after_leg(at, loop, c, tally), nodes

        def goes_on(carry) -> Array:
            slot, at, _, _ = carry
            return at.going & (slot < limit) & ((slot == 0) | (slot + 1 < limit))

        count, at, tally, nodes = lax.while_loop(goes_on, leg, (jnp.zeros((), jnp.int32), at, tally, nodes))
        return at, tally, nodes, count
