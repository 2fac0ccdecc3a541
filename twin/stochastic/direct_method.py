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

OK, TOO_MANY_EVENTS, NEGATIVE_HAZARD = 0, 1, 2


class _Run(NamedTuple):
    t: Float[Array, " lane"]
    y: Float[Array, "state lane"]
    status: Int[Array, " lane"]
    events: Int[Array, " lane"]
    key: Array


class Jumps(NamedTuple):
    """What the lanes did.

    Args:
        y: States at the sample times.
        status: OK, or why a lane stopped; its later samples repeat the last one.
        events: Reactions that happened.
    """

    y: Float[Array, "time state lane"]
    status: Int[Array, " lane"]
    events: Int[Array, " lane"]


@partial(jax.jit, static_argnums=(0, 6))
def direct_method(
    process: JumpProcess,
    key: Array,
    ts: Float[Array, " time"],
    t0: Float[Array, ""],
    p: Float[Array, "parameter lane"],
    jumps: Float[Array, "state reaction"],
    most_events: int,
) -> Jumps:
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
    lanes = p.shape[1]
    start = _Run(
        t=jnp.full(lanes, t0),
        y=process.system.initial(p),
        status=jnp.zeros(lanes, dtype=int),
        events=jnp.zeros(lanes, dtype=int),
        key=key,
    )

    def step(run: _Run, end: Array) -> _Run:
        key, draw = jax.random.split(run.key)
        waiting, choice = jax.random.uniform(draw, (2, lanes), minval=jnp.finfo(float).tiny)
        hazards = process.rates(run.y, p)
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
        return _Run(t, y, status, events, key)

    def until(run: _Run, end: Array) -> tuple[_Run, Array]:
        run = jax.lax.while_loop(lambda r: jnp.any((r.t < end) & (r.status == OK)), lambda r: step(r, end), run)
        return run, run.y

    end, y = jax.lax.scan(until, start, ts)
    return Jumps(y, end.status, end.events)
