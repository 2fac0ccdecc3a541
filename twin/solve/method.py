"""What a one-step method over lanes is, so that methods can be exchanged.

A method advances all lanes by one step, each by its own step size, estimates its error, and says how the states went
from the start of the step to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twin.compile.delays import Past
from twin.compile.system import System

type Lanes = Float[Array, " lane"]
type States = Float[Array, "state lane"]


class Segment(NamedTuple):
    """The segment of its schedule that each lane is in.

    Args:
        params: Parameters.
        inflow: Constant inflow into each state.
        mid: Midpoint of the segment in time.
        clock: 1 where time runs, 0 where it stands still.
        origin: Time that a standing clock shows.
        locked: Truth values of comparisons in the vector field, held during a step; None for those of the moment.
        past: States at earlier times, for delayed terms.
    """

    params: Float[Array, "parameter lane"]
    inflow: States
    mid: Lanes
    clock: Lanes
    origin: Lanes
    locked: Float[Array, "lock lane"] | None = None
    past: Past | None = None

    def slope(self, system: System, t: Lanes, y: States) -> States:
        """dy/dt, doses included."""
        return system.vector_field(t, self.mid, y, self.params, self.locked, self.past) + self.inflow


type Course = Float[Array, "power state lane"]
"""Coefficients of the powers 1, 2, ... of the fraction of a step, in the polynomial that interpolates it."""


class Stepped(NamedTuple):
    """What a step gives.

    Args:
        y: States at its end.
        error: Estimate of their error.
        course: How they got there.
        kept: What derivatives of the step along directions start from.
    """

    y: States
    error: States
    course: Course
    kept: Any = None


class Along(NamedTuple):
    """Derivatives, along some directions, of what a step starts from; None where nothing changes.

    Directions are next to last: unrolled code then finds the numbers of one state side by side.

    Args:
        y: Of the states at its start.
        params: Of the parameters.
        inflow: Of the inflow.
        mid: Of the midpoint of the segment.
        t: Of the time of the start.
        h: Of the length.
    """

    y: Float[Array, "state direction lane"]
    params: Float[Array, "parameter direction lane"] | None = None
    inflow: Float[Array, "state direction lane"] | None = None
    mid: Float[Array, "direction lane"] | None = None
    t: Float[Array, "direction lane"] | None = None
    h: Float[Array, "direction lane"] | None = None


def interpolate(theta: Lanes, y: States, course: Course) -> States:
    """States at a fraction of a step that began at `y`."""
    rise = course[-1]
    for coefficients in course[-2::-1]:
        rise = coefficients + theta * rise
    return y + theta * rise


def combine(weights: np.ndarray, stages: Float[Array, "stage state lane"]) -> Course:
    """Weighted sums of stages, one for each row of weights.

    Row by row: XLA hands a product of matrices to a library, and a loop that calls a library is no longer compiled as
    one function on a CPU (measured: half the speed).
    """
    return jnp.stack([jnp.tensordot(row, stages, 1) for row in weights])


type Step = Callable[[Segment, Lanes, States, Lanes], Stepped]
"""(segment, t, y, h) -> what a step of length h gives."""


type Push = Callable[
    [Segment, Lanes, States, Lanes, Any, Along],
    tuple[Float[Array, "state direction lane"], Float[Array, "stage state direction lane"]],
]
"""(segment, t, y, h, what the step kept, changes of these) -> changes of the states at its end and of its stages."""


class Method(Protocol):
    """A one-step method with an error estimate.

    Attributes:
        name: As users write it.
        order: Order of the advancing solution; the error estimate has this order in h.
        weights: Coefficients of the course of a step as weights of its stages, power by power.
    """

    name: str
    order: int

    @property
    def weights(self) -> np.ndarray: ...

    def stepper(self, system: System) -> Step:
        """A function that advances the lanes of `system` by one step; forward mode may differentiate it."""
        ...

    def pusher(self, system: System) -> Push:
        """Derivatives of a step along many directions; forward mode may differentiate them again."""
        ...

    def replayer(self, system: System) -> Step:
        """The same function for the adjoint, which reverse mode differentiates."""
        ...
