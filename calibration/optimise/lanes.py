"""All starts side by side: their state is one set of arrays, so that it can be kept and continued.

Every iteration takes one step of every running start, whose trial points are evaluated together. What an iteration does
depends on the state alone: from a state that was kept on disk the same numbers follow as without the interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from calibration.optimise.objective import Evaluation

RUNNING, CONVERGED, STUCK, RETIRED, EXHAUSTED, FAILED, HOPPED = range(7)
OUTCOMES = ("interrupted", "converged", "stuck", "retired", "iterations used up", "never finite", "hopped")
"""How a start ended, by the number in `State.status`; "hopped": where the hop of its optimum led, and converged."""

FIRST_RADIUS = 1.0
"""On the estimation scale: a power of ten, where that is logarithmic."""

SMALLEST_RADIUS = 1e-9
PATIENCE = 12
"""A start is stuck after this many steps in a row that gain less than the tolerance."""

PACE, LEAST_BEFORE_RETIRING = 50, 100
"""Evaluations over which the pace of a start is taken, and those that each may have before it is judged."""

MAY_QUICKEN = 3.0
"""How much faster than at its pace a start may still become: valleys that bend are left behind all at once."""


@dataclass(frozen=True)
class State:
    """Where all starts stand, whatever the method.

    Args:
        theta: Best vector of each start so far.
        value: Objective there.
        nllh: Negative log-likelihood there.
        gradient: Gradient there.
        radius: Radius of the trust region, or length of the step.
        evaluations: Evaluations spent on each start.
        idle: Steps in a row that gained less than the tolerance.
        past: Objective after the last evaluations, newest first.
        status: `RUNNING`, or how the start ended.
    """

    theta: Float[np.ndarray, "start parameter"]
    value: Float[np.ndarray, " start"]
    nllh: Float[np.ndarray, " start"]
    gradient: Float[np.ndarray, "start parameter"]
    radius: Float[np.ndarray, " start"]
    evaluations: Int[np.ndarray, " start"]
    idle: Int[np.ndarray, " start"]
    past: Float[np.ndarray, "start evaluation"]
    status: Int[np.ndarray, " start"]

    def rows(self, index: np.ndarray) -> Self:
        """Some of the starts."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def with_rows(self, index: np.ndarray, part: Self) -> Self:
        """The state in which some of the starts have gone on."""
        merged = {}
        for field in fields(self):
            whole = getattr(self, field.name).copy()
            whole[index] = getattr(part, field.name)
            merged[field.name] = whole
        return type(self)(**merged)


def beginning(theta: Float[np.ndarray, "start parameter"], at: Evaluation) -> dict[str, np.ndarray]:
    """What the states of all methods begin with."""
    count = len(theta)
    return {
        "theta": theta.copy(),
        **{name: np.array(getattr(at, name)) for name in ("value", "nllh", "gradient")},
        "radius": np.full(count, FIRST_RADIUS),
        "evaluations": np.ones(count, dtype=np.int64),
        "idle": np.zeros(count, dtype=np.int64),
        "past": np.repeat(np.array(at.value)[:, None], PACE, axis=1),
        "status": np.where(np.isfinite(at.value), RUNNING, FAILED).astype(np.int64),
    }


@dataclass(frozen=True)
class Rules:
    """When a start ends.

    Args:
        lower: Lower bounds.
        upper: Upper bounds.
        iterations: Most evaluations of a start.
        tolerance: A start has converged when a step on which the radius has no say gains, or promises, less than this.
        retire: Whether hopeless starts end early: those that even at three times the pace of their last evaluations
            would not come down to the best objective with all the evaluations that they have left.
        best: An objective that is known already, which counts for retiring.
    """

    lower: Float[np.ndarray, " parameter"]
    upper: Float[np.ndarray, " parameter"]
    iterations: int
    tolerance: float
    retire: bool = True
    best: float = np.inf


def iterate[S: State](step: Callable[[S], S], state: S, rules: Rules) -> Iterator[tuple[int, S]]:
    """The state after every iteration, with the number of starts that go on, until none does.

    Args:
        step: One step of every start that it is given.
        state: Where the starts stand.
        rules: When they end.
    """
    while True:
        state = replace(state, status=_ended(state, rules))
        running = np.flatnonzero(state.status == RUNNING)
        yield len(running), state
        if not len(running):
            return
        state = state.with_rows(running, step(state.rows(running)))


def _ended(state: State, rules: Rules) -> Int[np.ndarray, " start"]:
    """Status with the starts that may not go on."""
    status = np.where((state.status == RUNNING) & (state.evaluations >= rules.iterations), EXHAUSTED, state.status)
    if rules.retire:
        best = min(rules.best, float(np.min(state.value, initial=np.inf)))
        with np.errstate(invalid="ignore"):
            pace = (state.past[:, -1] - state.value) / (PACE - 1)
            hopeless = state.value - MAY_QUICKEN * pace * (rules.iterations - state.evaluations) > best
        judged = (status == RUNNING) & (state.evaluations >= LEAST_BEFORE_RETIRING)
        status = np.where(judged & hopeless, RETIRED, status)
    return status
