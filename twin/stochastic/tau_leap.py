"""Tau-leaping over lanes: many reactions in one step while no hazard changes much.

The step is that of Cao, Gillespie & Petzold (2006): no state moves, in mean or spread, by more than
``max(epsilon x / g, 1)``; g says how steeply hazards depend on it. Theirs is tabulated by order of reactions; for
mass action it equals the largest elasticity ``d ln a / d ln x`` (2 + 1 / (x - 1) for two molecules of one kind),
which is what is taken here for hazards of any form. Reactions within ten firings of using up a reactant are critical:
at most one of them happens in a step, at an exponential time. Where a step would hold fewer than ten reactions the lane
takes one reaction by the direct method; where it ends below zero it is taken again at half the length.

One departure: what a state gains and what it loses are added up where the paper takes the difference. Near an
equilibrium the difference vanishes, steps grow with the number of molecules beyond the time in which the state relaxes,
and explicit steps then scatter far too much (docs/stochastic.md).

References:
    Cao, Gillespie & Petzold (2006), doi:10.1063/1.2159468.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twin.stochastic.direct_method import Lanes, begin, one_reaction
from twin.stochastic.jump_process import JumpProcess
from twin.stochastic.runs import NEGATIVE_HAZARD, OK, TOO_MANY_EVENTS, Runs

CRITICAL = 10
"""Firings within which a reaction that could use up a reactant is critical; n_c of the paper."""
WORTH_A_LEAP = 10.0
"""Expected reactions of a step below which one is taken exactly, as in the paper."""


class Numbers(NamedTuple):
    """What does not change.

    Args:
        p: Parameters.
        jumps: Change of each state per reaction.
        molecule: One molecule, in the unit of each state.
        epsilon: Share by which a hazard may change in a step.
    """

    p: Float[Array, "parameter lane"]
    jumps: Float[Array, "state reaction"]
    molecule: Float[Array, " state"]
    epsilon: Float[Array, ""]


class _Leap(NamedTuple):
    """Length of the next step of every lane.

    Args:
        smooth: Longest step in which the hazards of uncritical reactions hardly change.
        critical: Which reactions are critical.
        hazards: Hazards.
    """

    smooth: Float[Array, " lane"]
    critical: Array
    hazards: Float[Array, "reaction lane"]


def _leap(process: JumpProcess, y: Float[Array, "state lane"], given: Numbers) -> _Leap:
    jumps = given.jumps
    hazards, steepness = process.rates_and_steepness(y, given.p)
    takes = jnp.maximum(-jumps, 0.0)
    firings = jnp.where(takes[:, :, None] > 0, y[:, None, :] / jnp.where(takes > 0, takes, 1.0)[:, :, None], jnp.inf)
    critical = (jnp.floor(jnp.min(firings, axis=0) + 1e-9) < CRITICAL) & (hazards > 0)
    uncritical = jnp.where(critical, 0.0, hazards)
    turnover, spread = jnp.abs(jumps) @ uncritical, jumps**2 @ uncritical
    allowed = jnp.maximum(given.epsilon * y / steepness, given.molecule[:, None])
    infinite = jnp.full_like(y, jnp.inf)
    by_turnover = jnp.where(turnover > 0, allowed / jnp.where(turnover > 0, turnover, 1.0), infinite)
    by_spread = jnp.where(spread > 0, allowed**2 / jnp.where(spread > 0, spread, 1.0), infinite)
    matters = process.in_hazards[:, None]
    smooth = jnp.min(jnp.where(matters, jnp.minimum(by_turnover, by_spread), jnp.inf), axis=0)
    return _Leap(smooth, critical, hazards)


def _many_reactions(run: Lanes, end: Array, leap: _Leap, longest: Array, given: Numbers) -> tuple[Lanes, Array]:
    """One leap of every lane, and whether it stays above zero."""
    key, waiting_key, choice_key, count_key = jax.random.split(run.key, 4)
    lanes = run.t.shape[0]
    of_critical = jnp.where(leap.critical, leap.hazards, 0.0)
    sums = jnp.cumsum(of_critical, axis=0)
    total = sums[-1]
    draw = jax.random.uniform(waiting_key, (lanes,), minval=jnp.finfo(float).tiny)
    until_critical = jnp.where(total > 0, -jnp.log(draw) / jnp.where(total > 0, total, 1.0), jnp.inf)
    left = end - run.t
    tau = jnp.minimum(jnp.minimum(longest, left), until_critical)
    fires = (until_critical <= tau) & (total > 0)
    chosen = jnp.sum(sums <= jax.random.uniform(choice_key, (lanes,)) * total, axis=0)
    chosen = jnp.minimum(chosen, len(sums) - 1)
    counts = jax.random.poisson(count_key, jnp.where(leap.critical, 0.0, leap.hazards) * tau).astype(run.y.dtype)
    counts += jnp.where(fires, jax.nn.one_hot(chosen, len(sums), axis=0), 0.0)
    y = run.y + given.jumps @ counts
    # A concentration may miss zero by rounding only.
    possible = jnp.all(y > -0.5 * given.molecule[:, None], axis=0)
    t = jnp.where(tau >= left, end, run.t + tau)
    events = run.events + jnp.sum(counts, axis=0).astype(run.events.dtype)
    return Lanes(t, y, run.status, events, key), possible


def advance_by_leaps(process: JumpProcess, run: Lanes, end: Array, given: Numbers, most_events: int) -> Lanes:
    """Lanes from where they are to the time `end`."""

    def step(carry: tuple[Lanes, Array]) -> tuple[Lanes, Array]:
        run, limit = carry
        leap = _leap(process, run.y, given)
        negative = jnp.any(leap.hazards < 0, axis=0)
        active = (run.t < end) & (run.status == OK)
        longest = jnp.minimum(leap.smooth, limit)
        leaps = active & ~negative & (longest * jnp.sum(leap.hazards, axis=0) >= WORTH_A_LEAP)
        exact = one_reaction(run, end, leap.hazards, given.jumps, most_events)
        # Poisson numbers are what costs: none are drawn where no lane leaps.
        wide, possible = jax.lax.cond(
            jnp.any(leaps),
            lambda: _many_reactions(run._replace(key=exact.key), end, leap, longest, given),
            lambda: (exact, jnp.ones_like(leaps)),
        )
        again = leaps & ~possible
        pick = lambda leapt, one, stays: jnp.where(leaps & possible, leapt, jnp.where(again, stays, one))  # noqa: E731
        t, y, events = pick(wide.t, exact.t, run.t), pick(wide.y, exact.y, run.y), pick(*_events(wide, exact, run))
        status = jnp.where(active & negative, NEGATIVE_HAZARD, run.status)
        status = jnp.where(active & (events >= most_events), TOO_MANY_EVENTS, status)
        # The length that was too long may be the bound itself or the end; half of the shorter of them is tried next.
        limit = jnp.where(again, 0.5 * jnp.minimum(longest, end - run.t), jnp.inf)
        return Lanes(t, y, status, events, wide.key), limit

    start = (run, jnp.full_like(run.t, jnp.inf))
    return jax.lax.while_loop(lambda c: jnp.any((c[0].t < end) & (c[0].status == OK)), step, start)[0]


def _events(*runs: Lanes) -> tuple[Array, ...]:
    return tuple(run.events for run in runs)


@partial(jax.jit, static_argnums=(0, 5))
def tau_leap(
    process: JumpProcess,
    key: Array,
    ts: Float[Array, " time"],
    t0: Float[Array, ""],
    given: Numbers,
    most_events: int,
) -> Runs:
    """Simulate every lane from the model's initial state.

    Args:
        process: The model; static.
        key: Random key; consumed.
        ts: Sample times, ascending.
        t0: When the lanes begin.
        given: Parameters, jumps and the share by which hazards may change.
        most_events: Most reactions per lane.
    """

    def until(run: Lanes, end: Array) -> tuple[Lanes, Array]:
        run = advance_by_leaps(process, run, end, given, most_events)
        return run, run.y

    end, y = jax.lax.scan(until, begin(key, t0, process.system.initial(given.p)), ts)
    return Runs(y, end.status, end.events)
