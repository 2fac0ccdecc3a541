"""What a one-step method over lanes is, so that methods can be exchanged.

A method advances all lanes by one step, each by its own step size, and estimates its error. It may be used for any
part of a step: the value at a sample time inside a step is a shorter step from the same start, which needs no
interpolation formula and has the method's full order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

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


type Step = Callable[[Segment, Lanes, States, Lanes], tuple[States, States]]
"""(segment, t, y, h) -> (states at t + h, estimate of their error)."""


class Method(Protocol):
    """A one-step method with an error estimate.

    Attributes:
        name: As users write it.
        order: Order of the advancing solution; the error estimate has this order in h.
    """

    name: str
    order: int

    def stepper(self, system: System) -> Step:
        """A function that advances the lanes of `system` by one step."""
        ...
