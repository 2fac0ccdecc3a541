"""Integration of all lanes, and its exact discrete adjoint.

Reverse mode replays the accepted steps backwards and pulls the cotangent through one step at a time: its cost does not
depend on the number of parameters and its memory is that of the nodes. Step sizes are constants of the differentiation
(as fractions of their segment, so that moving a border moves the steps in it); moments of events are not (see
`twin.solve.events`). Forward mode differentiates the loop itself.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from twin.compile.system import System
from twin.errors import UnsupportedModelError
from twin.experiment.schedule import Schedule
from twin.solve.events import EventLoop
from twin.solve.loop import change, first_state, forward_loop
from twin.solve.method import Method, Step
from twin.solve.nodes import IDLE_STEP, Nodes, Tolerance
from twin.solve.segments import at_segment, clock_time


def integrate(
    system: System,
    schedule: Schedule,
    method: Method,
    tolerance: Tolerance,
    gradient: Literal["reverse", "forward"] = "reverse",
) -> Nodes:
    """Integrate every lane of a schedule from its first to its last border.

    Args:
        system: The compiled model.
        schedule: Segments, parameters, inflows and jumps per lane.
        method: A one-step method.
        tolerance: Tolerances and the bound on steps.
        gradient: The mode of differentiation that the result supports: "reverse" (`jax.grad`, `jax.vjp`) or
            "forward" (`jax.jvp`, `jax.jacfwd`).

    Returns:
        The nodes of all lanes; lanes that failed say why in `status` and keep the nodes up to the failure.
    """
    if gradient == "forward":
        _refuse_jumps_of_the_past(system, schedule)
        return forward_loop(system, method, tolerance, schedule)
    return _reversible(system, method, tolerance, schedule)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _reversible(system: System, method: Method, tolerance: Tolerance, schedule: Schedule) -> Nodes:
    return forward_loop(system, method, tolerance, schedule)


def _refuse_jumps_of_the_past(system: System, schedule: Schedule) -> None:
    """A jump comes back after the lag as a jump of the vector field, at a moment that moves with the parameters."""
    jumps = schedule.keep.shape[0] > 1 or (system.events is not None and system.events.count > 0)
    if system.delays.act and jumps:
        raise UnsupportedModelError(
            "derivatives are asked for where the past jumps (by a dose, a reset or an event) and acts with a delay",
            where=f"model {system.model.name!r}",
            expected="delayed terms of states that do not jump",
            fix="simulate without derivatives, or replace the jump by a short infusion",
        )


def _forward(system: System, method: Method, tolerance: Tolerance, schedule: Schedule):
    _refuse_jumps_of_the_past(system, schedule)
    schedule = lax.optimization_barrier(schedule)
    nodes = forward_loop(system, method, tolerance, schedule)
    return nodes, (nodes, schedule)


def _replay(system: System, step: Step, events: EventLoop | None, schedule: Schedule, z: Array, past, at, next_at):
    """One accepted step and what happened after it, as a differentiable function of schedule, states and past.

    Returns:
        The extended state, and what the step adds to the past.
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
    after = step(here, t, y, h)[0]
    record = None
    if past is not None:
        record = (t, h, y, here.slope(system, t, y), after, here.slope(system, t + h * here.clock, after))
        record = tuple(jnp.where(accepted, each, lax.stop_gradient(each)) for each in record)
    moved = z.at[:states].set(jnp.where(accepted, after, y))
    return change(system, schedule, events, moved, choices, segment, following, start, locks, past), record


def _backward(system: System, method: Method, tolerance: Tolerance, residuals, cotangent: Nodes):
    nodes, schedule = lax.optimization_barrier(residuals)
    step = method.stepper(system)
    events = EventLoop(system) if system.events else None
    floats, rest = _split(schedule)

    def body(carry):
        index, adjoint, gradient, of_past = carry
        index = index - 1
        choices = jax.tree.map(lambda x: x[index], nodes.choices)
        at = (nodes.segment[index], nodes.start[index], nodes.length[index], choices)
        beyond = nodes.segment[index + 1] < 0
        following = jnp.where(beyond, nodes.segment[index], nodes.segment[index + 1])
        start = jnp.where(beyond, nodes.start[index], nodes.start[index + 1])
        locked_after = None if choices is None else nodes.choices.locked[index + 1]

        def advance(differentiable, z, past):
            schedule = _join(differentiable, rest)
            return _replay(system, step, events, schedule, z, past, at, (following, start, locked_after))

        _, pull = jax.vjp(advance, floats, nodes.y[index], nodes.past)
        # Later steps that looked back at this one have by now added to its share of the past.
        of_record = None if of_past is None else tuple(part[index] for part in of_past[:6])
        schedule_part, adjoint, past_part = pull((adjoint, of_record))
        gradient, of_past = jax.tree.map(jnp.add, (gradient, of_past), (schedule_part, past_part))
        return index, adjoint + cotangent.y[index], gradient, of_past

    zero = jax.tree.map(jnp.zeros_like, floats)
    start = (nodes.steps, cotangent.y[nodes.steps], zero, cotangent.past)
    _, adjoint, gradient, _ = lax.while_loop(lambda c: c[0] > 0, body, start)
    _, pull = jax.vjp(lambda differentiable: first_state(system, _join(differentiable, rest))[0], floats)
    gradient = jax.tree.map(jnp.add, gradient, pull(adjoint)[0])
    return (_join(gradient, jax.tree.map(jnp.zeros_like, schedule)),)


_reversible.defvjp(_forward, _backward)

_DIFFERENTIABLE = ("borders", "params", "inflow", "keep", "add", "initial")


def _split(schedule: Schedule) -> tuple[dict[str, Array], Schedule]:
    return {name: getattr(schedule, name) for name in _DIFFERENTIABLE}, schedule


def _join(floats: dict[str, Array], rest: Schedule) -> Schedule:
    return rest.replace(**floats)
