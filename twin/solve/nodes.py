"""What integration leaves behind for its adjoint, the starts of attempted steps, and how each lane ended."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from twin.solve.events import Choices

EMPTY, OK, TOO_MANY_STEPS, STEP_TOO_SMALL, NOT_STEADY, TOO_MANY_WAITING = -1, 0, 1, 2, 3, 4
REASONS = {
    TOO_MANY_STEPS: "more steps than allowed",
    STEP_TOO_SMALL: "the step size became too small (a singularity, or values that are not finite)",
    NOT_STEADY: "no steady state within the horizon of the equilibration",
    TOO_MANY_WAITING: "more executions of one event waiting than there is room for",
}
IDLE_STEP = 1e-9
"""Step of lanes that do not move: small, so that nothing overflows in a result that is thrown away (its derivative
would otherwise turn zero cotangents into NaN)."""


class Tolerance(NamedTuple):
    """How exactly to integrate.

    Args:
        rtol: Relative tolerance per step.
        atol: Absolute tolerance per step, in the unit of each state.
        max_steps: Most attempted steps of a lane, rejected ones included.
        precision: What is computed with, "float64" or "float32".
    """

    rtol: float = 1e-8
    atol: float = 1e-12
    max_steps: int = 4096
    precision: str = "float64"


class Nodes(NamedTuple):
    """Starts of the steps attempted on one page of the integration, and where it went on from there.

    Args:
        z: States at the start of the step; after them, rows of events that wait (see `twin.solve.events`).
        segment: Index of the segment.
        start: Where in its segment the step begins, as a fraction.
        length: Its length as a fraction of the segment; 0 where the step was rejected or the lane had finished.
        cursor: Number of samples that the lane had passed.
        numbers: Which lane it is.
        begins: Whether it is the first step of that lane; None where all lanes are under way from the beginning.
        choices: What was decided about events in each attempt; None if the system has none.
    """

    z: Float[Array, "node row lane"]
    segment: Int[Array, "node lane"]
    start: Float[Array, "node lane"]
    length: Float[Array, "node lane"]
    cursor: Int[Array, "node lane"]
    numbers: Int[Array, "node lane"]
    begins: Bool[Array, "node lane"] | None
    choices: Choices | None


def describe_failures(status: np.ndarray) -> str:
    """How many lanes failed and why, in words."""
    parts = [
        f"{int((status == code).sum())} with {reason}" for code, reason in REASONS.items() if (status == code).any()
    ]
    return "; ".join(parts)
