"""The direct method over lanes: exact waiting times, one reaction at a time in every lane.

Hazards depend on the state only, so a waiting time that reaches beyond the next sample time may be cut there and drawn
anew (the exponential law has no memory).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from twin.stochastic.jump_process import JumpProcess
from twin.stochastic.runs import NEGATIVE_HAZARD, OK, TOO_MANY_EVENTS, Runs


class Lanes(NamedTuple):
    """Where every lane is.

    Args:
        t: Time.
        y: States.
        status: OK, or why it stopped.
        events: Reactions that happened.
        key: Random key.
    """

    t: Float[Array, " lane"]
    y: Float[Array, "state lane"]
    status: Int[Array, " lane"]
    events: Int[Array, " lane"]
    key: Array


def begin(key: Array, t0: Float[Array, ""] | float, y: Float[Array, "state lane"]) -> Lanes:
    """Lanes at their beginning; `key` is consumed by what follows."""
    lanes = y.shape[1]
    nothing = jnp.zeros(lanes, dtype=int)
    return Lanes(jnp.full(lanes, t0), y, nothing, nothing, key)


def one_reaction(
    run: Lanes, end: Array, hazards: Float[Array, "reaction lane"], jumps: Array, most_events: int
) -> Lanes:
    """The next reaction of every lane, or the time `end` if it would come later."""
    key, draw = jax.random.split(run.key)
    waiting, choice = jax.random.uniform(draw, (2, run.t.shape[0]), minval=jnp.finfo(float).tiny)
    negative = jnp.any(hazards < 0, axis=0)
    sums = jnp.cumsum(hazards, axis=0)
    total = sums[-1]
    later = run.t - jnp.log(waiting) / jnp.where(total > 0, total, 1.0)
    active = (run.t < end) & (run.status == OK)
    happens = active & (total > 0) & (later < end) & ~negative
    # The first reaction whose sum exceeds the draw; rounding must not reach beyond the last that can happen.
    reaction = jnp.sum(sums <= choice * total, axis=0)
    reaction = jnp.minimum(reaction, len(hazards) - 1)
    y = jnp.where(happens, run.y + jumps[:, reaction], run.y)
    events = run.events + happens
    status = jnp.where(active & negative, NEGATIVE_HAZARD, run.status)
    status = jnp.where(active & (events >= most_events), TOO_MANY_EVENTS, status)
    t = jnp.where(happens, later, jnp.where(active & ~negative, end, run.t))
    return Lanes(t, y, status, events, key)


def advance_exactly(
    process: JumpProcess, run: Lanes, end: Array, p: Float[Array, "parameter lane"], jumps: Array, most_events: int
) -> Lanes:
    """Lanes from where they are to the time `end` (one, or one per lane), by exact waiting times."""

    def step(r: Lanes) -> Lanes:
        return one_reaction(r, end, process.rates(r.y, p), jumps, most_events)

    return jax.lax.while_loop(lambda r: jnp.any((r.t < end) & (r.status == OK)), step, run)


@partial(jax.jit, static_argnums=(0, 6))
def direct_method(
    process: JumpProcess,
    key: Array,
    ts: Float[Array, " time"],
    t0: Float[Array, ""],
    p: Float[Array, "parameter lane"],
    jumps: Float[Array, "state reaction"],
    most_events: int,
) -> Runs:
    """Simulate every lane from the model's initial state.

    Args:
        process: The model; static.
        key: Random key; consumed.
        ts: Sample times, ascending.
        t0: When the lanes begin.
        p: Parameters.
        jumps: Change of each state per reaction.
        most_events: Most reactions per lane.
    """

    def until(run: Lanes, end: Array) -> tuple[Lanes, Array]:
        run = advance_exactly(process, run, end, p, jumps, most_events)
        return run, run.y

    end, y = jax.lax.scan(until, begin(key, t0, process.system.initial(p)), ts)
    return Runs(y, end.status, end.events)
