"""States at sample times: a shorter step from the last node before each of them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.jumps import drift
from twin.solve.method import Method, Segment
from twin.solve.nodes import IDLE_STEP, OK, Nodes
from twin.solve.past import Past
from twin.solve.segments import at_segment


class Samples(NamedTuple):
    """What there is at the sample times.

    Args:
        t: Sample times, as the clock shows them.
        y: States; NaN in lanes that failed.
        params: Parameters in force at the sample times.
        past: States at earlier times, for delayed terms.
    """

    t: Float[Array, "sample lane"]
    y: Float[Array, "state sample lane"]
    params: Float[Array, "parameter sample lane"]
    past: Past | None = None


def sample(
    system: System, schedule: Schedule, nodes: Nodes, method: Method, ts: Float[Array, "sample lane"]
) -> Samples:
    """States and parameters at sample times.

    Where a jump happens at a sample time, the sample sees the state after it.

    Args:
        system: The compiled model.
        schedule: The schedule that was integrated.
        nodes: What `integrate` returned for it.
        method: The method that was used.
        ts: Sample times within the schedule of each lane, in any order; infinite for the end of the schedule, where
            that is a steady state.
    """
    ts = jnp.where(jnp.isinf(ts), schedule.borders[-1], ts)
    index = _last_node_before(schedule, nodes, ts)
    count, lanes = ts.shape

    def of_node(x: Array) -> Array:
        return jnp.take_along_axis(x, index, axis=0)

    def flat(x: Array) -> Array:
        """Samples and lanes as one lane axis."""
        return x.reshape(*x.shape[:-2], count * lanes)

    segment, begin, length = at_segment(schedule, jnp.maximum(of_node(nodes.segment), 0))
    of_states = nodes.y[:, : len(system.states)]  # not what else an extended state holds
    y = jnp.moveaxis(jnp.take_along_axis(of_states, index[:, None, :], axis=0), 1, 0)
    reached = begin + jax.lax.stop_gradient(of_node(nodes.start)) * length
    t = jnp.where(segment.clock > 0, reached, segment.origin)
    offset = ts - reached
    # Round-off may put a sample a hair before its node.
    inside = offset > 0
    h = jnp.where(inside, offset, IDLE_STEP)
    conditions = Segment(*map(flat, segment[:5]))
    if nodes.choices is not None:
        locked = jnp.take_along_axis(nodes.choices.locked, index[:, None, :], axis=0)
        conditions = conditions._replace(locked=flat(jnp.moveaxis(locked, 1, 0)))
    conditions = conditions._replace(past=nodes.past)
    here, moment, states, size = jax.lax.optimization_barrier((conditions, flat(t), flat(y), flat(h)))
    stepped, _ = jax.lax.optimization_barrier(method.stepper(system)(here, moment, states, size))
    # A sample on a border that moves with a parameter: its value is the node's, but its distance varies.
    on_node = jax.lax.optimization_barrier(
        drift(system, moment, states, here, flat(offset - jax.lax.stop_gradient(offset)))
    )
    y = jnp.where(inside, stepped.reshape(y.shape), on_node.reshape(y.shape))
    y = jnp.where(nodes.status == OK, y, jnp.nan)
    return Samples(jnp.where(segment.clock > 0, ts, segment.origin), y, segment.params, nodes.past)


def _last_node_before(schedule: Schedule, nodes: Nodes, ts: Float[Array, "sample lane"]) -> Array:
    segment = jnp.maximum(nodes.segment, 0)
    borders = jax.lax.stop_gradient(schedule.borders)
    begin = jnp.take_along_axis(borders, segment, axis=0)
    end = jnp.take_along_axis(borders, segment + 1, axis=0)
    time = jnp.where(nodes.segment >= 0, begin + nodes.start * (end - begin), jnp.inf)
    # A dose at 3 * 0.1 has been given at the sample time 0.3.
    ts = ts + 4 * jnp.finfo(ts.dtype).eps * jnp.abs(ts)
    found = jax.vmap(lambda a, v: jnp.searchsorted(a, v, side="right"), in_axes=1, out_axes=1)(time, ts)
    return jnp.maximum(found - 1, 0)
