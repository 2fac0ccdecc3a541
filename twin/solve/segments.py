"""The segment of its schedule that each lane is in, and the time its clock shows."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Int

from twin.experiment.schedule import Schedule
from twin.solve.method import Lanes, Segment
from twin.solve.rows import MOST_COMPARED, pick


def at_segment(schedule: Schedule, index: Int[Array, "*sample lane"]) -> tuple[Segment, Array, Array]:
    """The given segment of each lane (or of each sample and lane), its start time and its length."""
    wide = index if index.ndim == 2 else index[None]

    def of_lane(x: Array) -> Array:
        if index.ndim == 1 and x.shape[0] <= MOST_COMPARED:
            x = pick(x, index)
            return jnp.broadcast_to(x, (*x.shape[:-1], index.shape[0]))
        x = jnp.moveaxis(x, 0, -2)
        if x.shape[-2] > 1:
            x = jnp.take_along_axis(x, wide.reshape(*([1] * (x.ndim - 2)), *wide.shape), axis=-2)
        x = jnp.broadcast_to(x, (*x.shape[:-2], *wide.shape))
        return x if index.ndim == 2 else x[..., 0, :]

    start, end = of_lane(schedule.borders[:-1]), of_lane(schedule.borders[1:])
    clock, origin = of_lane(schedule.clock), of_lane(schedule.origin)
    middle = jnp.where(clock > 0, 0.5 * (start + end), origin)
    return Segment(of_lane(schedule.params), of_lane(schedule.inflow), middle, clock, origin), start, end - start


def clock_time(segment: Segment, begin: Lanes, fraction: Lanes, length: Lanes) -> Lanes:
    """Time shown by the clock at a fraction of the segment."""
    return jnp.where(segment.clock > 0, begin + fraction * length, segment.origin)
