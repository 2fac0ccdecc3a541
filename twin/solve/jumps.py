"""What happens to the states at the beginning of a segment, and their return to the constraints after any jump."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.method import Lanes, Segment, States
from twin.solve.moments import valued_as
from twin.solve.past import constant_past
from twin.solve.rows import pick, put_rows
from twin.solve.segments import at_segment

_NEWTON_STEPS = 12
"""Enough from any guess that converges at all: Newton's method doubles the digits."""


def start_states(system: System, schedule: Schedule) -> States:
    """States after what happens at the beginning of the first segment."""
    first = jnp.zeros(schedule.lanes, jnp.int32)
    segment, begin, _ = at_segment(schedule, first)
    t = jnp.where(segment.clock > 0, begin, segment.origin)
    if system.delays:
        segment = segment._replace(past=constant_past(t, schedule.initial))
    y = _set_by_formulas(system, schedule, first, schedule.initial) * schedule.keep[0] + schedule.add[0]
    return on_constraints(system, t, y, segment)


def jump(system: System, schedule: Schedule, index: Int[Array, " lane"], y: States) -> States:
    """States after what happens at the beginning of the given segment, which is not the first."""
    if schedule.keep.shape[0] == 1:  # nothing happens after the beginning of the first segment
        return y
    return _set_by_formulas(system, schedule, index, y) * pick(schedule.keep, index) + pick(schedule.add, index)


def _set_by_formulas(system: System, schedule: Schedule, index: Int[Array, " lane"], y: States) -> States:
    """States set to formulas of states, each computed from the states and parameters before the moment."""
    if not schedule.formulas:
        return y
    segment, begin, length = at_segment(schedule, jnp.maximum(index - 1, 0))
    moment = jnp.where(index > 0, begin + length, begin)
    t = jnp.where(segment.clock > 0, moment, segment.origin)
    values = system.outputs([expression for _, expression in schedule.formulas], t, t, y, segment.params)
    masks = pick(schedule.by_formula, index)
    after = y
    for (row, _), mask, value in zip(schedule.formulas, masks, values, strict=True):
        after = put_rows(after, jnp.where(mask, value, after[row])[None], row)
    return after


def drift(system: System, t: Lanes, y: States, segment: Segment, shift: Lanes) -> States:
    """The states a moment later that is zero in value: only derivatives in `shift` see that they move meanwhile.

    Two derivatives do: by the midpoint rule the course is right to second order.
    """

    def stay(t: Lanes, y: States, segment: Segment, shift: Lanes) -> States:
        return on_constraints(system, t, y, segment)

    def move(t: Lanes, y: States, segment: Segment, shift: Lanes) -> States:
        def moved(slope: States, by: Lanes) -> States:
            return on_constraints(system, t + by * segment.clock, y + slope * system.mass[:, None] * by, segment)

        half = moved(lax.stop_gradient(segment.slope(system, t, y)), 0.5 * shift)
        return moved(segment.slope(system, t + 0.5 * shift * segment.clock, half), shift)

    return valued_as(stay, move)(t, y, segment, shift)


def on_constraints(system: System, t: Lanes, y: States, segment: Segment) -> States:
    """The states with those that constraints determine solved for, the others held (Newton's method)."""
    rows = np.flatnonzero(system.mass == 0)
    if not len(rows):
        return y
    inside = [(k, i, j) for k, (i, j) in enumerate(system.jacobian_pattern) if i in rows and j in rows]
    place = {row: index for index, row in enumerate(rows)}

    def improved(y: States) -> States:
        residual = segment.slope(system, t, y)[rows]
        entries, _ = system.linearise(t, segment.mid, y, segment.params, segment.locked, segment.past)
        matrix = jnp.zeros((y.shape[1], len(rows), len(rows)))
        for k, i, j in inside:
            matrix = matrix.at[:, place[i], place[j]].set(entries[k])
        # The matrix is held fixed: at the solution only the residual's derivative counts (implicit function theorem),
        # and every further step makes one more derivative right.
        step = jnp.linalg.solve(lax.stop_gradient(matrix), residual.T[..., None])[..., 0].T
        return y.at[rows].add(-step)

    solved = lax.fori_loop(0, _NEWTON_STEPS, lambda _, y: improved(y), lax.stop_gradient(y))
    return improved(improved(y.at[rows].set(solved[rows])))
