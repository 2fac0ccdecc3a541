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
        return forward_loop(system, method, tolerance, schedule)
    return _reversible(system, method, tolerance, schedule)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _reversible(system: System, method: Method, tolerance: Tolerance, schedule: Schedule) -> Nodes:
    return forward_loop(system, method, tolerance, schedule)


def _forward(system: System, method: Method, tolerance: Tolerance, schedule: Schedule):
    schedule = lax.optimization_barrier(schedule)
    nodes = forward_loop(system, method, tolerance, schedule)
    return nodes, (nodes, schedule)


def _replay(system: System, step: Step, events: EventLoop | None, schedule: Schedule, z: Array, at, following, start):
    """One accepted step and what happened after it, as a differentiable function of schedule and states."""
    segment, begin_fraction, length, choices = at
    here, begin, span = at_segment(schedule, segment)
    t = clock_time(here, begin, begin_fraction, span)
    accepted = length > 0
    h = jnp.where(accepted, length * span, IDLE_STEP)
    states = len(system.states)
    y = z[:states]
    moved = z.at[:states].set(jnp.where(accepted, step(here, t, y, h)[0], y))
    return change(system, schedule, events, moved, choices, segment, following, start)


def _backward(system: System, method: Method, tolerance: Tolerance, residuals, cotangent: Nodes):
    nodes, schedule = lax.optimization_barrier(residuals)
    step = method.stepper(system)
    events = EventLoop(system) if system.events else None
    floats, rest = _split(schedule)

    def body(carry):
        index, adjoint, gradient = carry
        index = index - 1
        choices = jax.tree.map(lambda x: x[index], nodes.choices)
        at = (nodes.segment[index], nodes.start[index], nodes.length[index], choices)
        beyond = nodes.segment[index + 1] < 0
        following = jnp.where(beyond, nodes.segment[index], nodes.segment[index + 1])
        start = jnp.where(beyond, nodes.start[index], nodes.start[index + 1])

        def advance(differentiable, z):
            return _replay(system, step, events, _join(differentiable, rest), z, at, following, start)

        _, pull = jax.vjp(advance, floats, nodes.y[index])
        schedule_part, adjoint = pull(adjoint)
        gradient = jax.tree.map(jnp.add, gradient, schedule_part)
        return index, adjoint + cotangent.y[index], gradient

    zero = jax.tree.map(jnp.zeros_like, floats)
    start = (nodes.steps, cotangent.y[nodes.steps], zero)
    _, adjoint, gradient = lax.while_loop(lambda c: c[0] > 0, body, start)
    _, pull = jax.vjp(lambda differentiable: first_state(system, _join(differentiable, rest))[0], floats)
    gradient = jax.tree.map(jnp.add, gradient, pull(adjoint)[0])
    return (_join(gradient, jax.tree.map(jnp.zeros_like, schedule)),)


_reversible.defvjp(_forward, _backward)

_DIFFERENTIABLE = ("borders", "params", "inflow", "keep", "add", "initial")


def _split(schedule: Schedule) -> tuple[dict[str, Array], Schedule]:
    return {name: getattr(schedule, name) for name in _DIFFERENTIABLE}, schedule


def _join(floats: dict[str, Array], rest: Schedule) -> Schedule:
    return rest.replace(**floats)
