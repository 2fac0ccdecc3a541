"""L-BFGS inside bounds, all starts at once: for vectors so long that their sensitivities do not pay.

The direction is that of the two-loop recursion over the entries that may move (those on a bound whose gradient points
outwards may not); trial points are put back on the bounds, and the step is halved until the objective falls enough.

References:
    Nocedal, Math. Comput. 35:773-782 (1980), doi:10.1090/S0025-5718-1980-0572855-7 (the recursion). Bertsekas, SIAM J.
    Control Optim. 20:221-246 (1982), doi:10.1137/0320018 (projection with an active set). Nocedal & Wright, Numerical
    Optimization, 2nd edition, equations 3.4 and 7.20 (sufficient decrease and first scaling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.optimise.lanes import CONVERGED, RUNNING, STUCK, Rules, State, beginning
from calibration.optimise.objective import Evaluation

MEMORY = 20
SUFFICIENT = 1e-4
FLATTEST = 1e-10
"""Pairs of a step and a change of the gradient with a smaller cosine are not remembered."""

SHORTEST = 1e-10
"""Share of the whole step below which no shorter one is tried."""

QUIET_STEPS = 5
"""Whole steps in a row with hardly a gain that mean convergence: a single one may be unlucky."""


@dataclass(frozen=True)
class Memories(State):
    """Where all starts stand; `radius` is the share of the direction that is tried next.

    Args:
        steps: The last steps, newest first; zero where there are none yet.
        changes: Changes of the gradient over them.
    """

    steps: Float[np.ndarray, "start memory parameter"]
    changes: Float[np.ndarray, "start memory parameter"]


def first_memories(theta: Float[np.ndarray, "start parameter"], at: Evaluation) -> Memories:
    """All starts at their starting points."""
    empty = np.zeros((len(theta), MEMORY, theta.shape[1]))
    return Memories(**beginning(theta, at), steps=empty, changes=empty.copy())


def memory_step(evaluate: Callable[[np.ndarray], Evaluation], now: Memories, rules: Rules) -> Memories:
    """One trial of every start."""
    held = (now.theta <= rules.lower) & (now.gradient > 0) | (now.theta >= rules.upper) & (now.gradient < 0)
    way = _direction(now, ~held)
    trial = np.clip(now.theta + now.radius[:, None] * way, rules.lower, rules.upper)
    moved = trial - now.theta
    slope = np.einsum("sp,sp->s", now.gradient, moved)
    new = evaluate(trial)
    with np.errstate(invalid="ignore"):
        gain = now.value - new.value
        better = np.isfinite(gain) & (gain > 0) & (gain >= -SUFFICIENT * slope)
    keep = lambda fresh, old: np.where(better.reshape(-1, *[1] * (old.ndim - 1)), fresh, old)  # noqa: E731
    change = np.where(better[:, None], new.gradient - now.gradient, 0.0)
    along = np.einsum("sp,sp->s", moved, change)
    told = along > FLATTEST * np.linalg.norm(moved, axis=1) * np.linalg.norm(change, axis=1)
    idle = np.where(better & (gain < rules.tolerance), now.idle + 1, np.where(better, 0, now.idle))
    # Without any memory the way is that of steepest descent: if that finds nothing, nothing does.
    short = ~better & (now.radius < SHORTEST)
    empty = ~now.steps.any(axis=(1, 2))
    forgets = short & ~empty
    ended = np.where(idle >= QUIET_STEPS, CONVERGED, np.where(short & empty, STUCK, RUNNING))
    ended = np.where(~way.any(axis=1), CONVERGED, ended)
    steps, changes = _pushed(now.steps, moved, told), _pushed(now.changes, change, told)
    value = keep(new.value, now.value)
    return Memories(
        theta=keep(trial, now.theta),
        value=value,
        nllh=keep(new.nllh, now.nllh),
        gradient=keep(new.gradient, now.gradient),
        radius=np.where(better | forgets, 1.0, now.radius / np.where(np.isfinite(new.value), 2.0, 10.0)),
        evaluations=now.evaluations + 1,
        idle=idle,
        past=np.concatenate([value[:, None], now.past[:, :-1]], axis=1),
        status=ended,
        steps=np.where(forgets[:, None, None], 0.0, steps),
        changes=np.where(forgets[:, None, None], 0.0, changes),
    )


def _direction(now: Memories, free: Bool[np.ndarray, "start parameter"]) -> Float[np.ndarray, "start parameter"]:
    """The two-loop recursion over the free entries."""
    steps, changes = now.steps * free[:, None], now.changes * free[:, None]
    slope = np.where(free, now.gradient, 0.0)
    along = np.einsum("smp,smp->sm", steps, changes)
    size = np.linalg.norm(steps, axis=2) * np.linalg.norm(changes, axis=2)
    told = along > FLATTEST * size
    inverse = np.where(told, 1 / np.where(told, along, 1.0), 0.0)
    rest, parts = slope.copy(), []
    for m in range(MEMORY):
        part = inverse[:, m] * np.einsum("sp,sp->s", steps[:, m], rest)
        rest -= part[:, None] * changes[:, m]
        parts.append(part)
    newest = np.argmax(told, axis=1)[:, None]
    square = np.take_along_axis(np.sum(changes**2, axis=2), newest, axis=1)[:, 0]
    scale = np.take_along_axis(along, newest, axis=1)[:, 0] / np.where(square > 0, square, 1.0)
    # With no memory the first step has the length 1.
    length = np.linalg.norm(slope, axis=1)
    scale = np.where(told.any(axis=1), scale, 1 / np.maximum(length, 1.0))
    way = scale[:, None] * rest
    for m in reversed(range(MEMORY)):
        back = inverse[:, m] * np.einsum("sp,sp->s", changes[:, m], way)
        way += (parts[m] - back)[:, None] * steps[:, m]
    return np.where(free, -way, 0.0)


def _pushed(memory: np.ndarray, newest: np.ndarray, told: np.ndarray) -> np.ndarray:
    longer = np.concatenate([newest[:, None], memory[:, :-1]], axis=1)
    return np.where(told[:, None, None], longer, memory)
