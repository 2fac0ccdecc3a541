"""The states at earlier times, for delayed terms: cubic Hermite interpolation between accepted steps.

Its error is kept below the tolerance by the step control, which looks at the defect of the interpolant (see
`defect`).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twin.compile.system import System
from twin.solve.method import Lanes, States


class Past(NamedTuple):
    """What is known of the past; calling it with times gives states.

    Args:
        time: Start of each attempted step; infinite where there is none yet.
        length: Length of the step; 0 if it was rejected.
        y: States at its start.
        slope: Their derivatives there.
        end: States at its end, before anything happened there.
        end_slope: Their derivatives there.
        now: Time from which the future is extrapolated, for lags shorter than a step; None where all is known.
        y_now: States then.
        slope_now: Their derivatives then.
    """

    time: Float[Array, "node lane"]
    length: Float[Array, "node lane"]
    y: Float[Array, "node state lane"]
    slope: Float[Array, "node state lane"]
    end: Float[Array, "node state lane"]
    end_slope: Float[Array, "node state lane"]
    now: Lanes | None = None
    y_now: States | None = None
    slope_now: States | None = None

    @property
    def start(self) -> Lanes:
        """When the past begins."""
        return self.time[0]

    def __call__(self, t: Float[Array, " point"]) -> Float[Array, "state point"]:
        """States at times; points are lanes, or lanes repeated (sample by sample)."""
        lanes = self.time.shape[1]
        wide = t.reshape(-1, lanes)
        index = jax.vmap(lambda a, v: jnp.searchsorted(a, v, side="right"), in_axes=1, out_axes=1)(
            self.time, jax.lax.stop_gradient(wide)
        )
        index = jnp.maximum(index - 1, 0)
        time, h = (jnp.take_along_axis(x, index, axis=0) for x in (self.time, self.length))
        y, slope, end, end_slope = (
            jnp.take_along_axis(x, index[:, None, :], axis=0) for x in (self.y, self.slope, self.end, self.end_slope)
        )
        step = jnp.where(h > 0, h, 1.0)
        x = jnp.where(h > 0, jnp.clip((wide - time) / step, 0.0, 1.0), 0.0)
        states = hermite(x[:, None], step[:, None], y, slope, end, end_slope)
        if self.now is not None and self.y_now is not None and self.slope_now is not None:
            ahead = wide - self.now
            states = jnp.where(ahead[:, None] > 0, self.y_now + self.slope_now * ahead[:, None], states)
        return jnp.moveaxis(states, 1, 0).reshape(states.shape[1], t.size)


def numbers_of_past(system: System) -> int:
    """How many numbers the past of one lane takes, step by step."""
    return 4 * len(system.states) + 2


def constant_past(t: Lanes, y: States) -> Past:
    """The past before the start: the states have always been `y`."""
    return Past(t[None], jnp.zeros_like(t)[None], *(4 * (y[None],)))


def hermite(x: Array, h: Array, y: Array, slope: Array, end: Array, end_slope: Array) -> Array:
    """Cubic Hermite interpolation at a fraction of a step (Hairer, Norsett & Wanner I, 1993, eq. II.6.7)."""
    between = (1 - x) * y + x * end
    return between + x * (x - 1) * ((1 - 2 * x) * (end - y) + (x - 1) * h * slope + x * h * end_slope)


DEFECT_AT = 0.25
"""Where the defect is looked at: in the middle and at both ends the derivative of the error vanishes."""


def interpolation_error(defect: States, h: Lanes) -> States:
    """Largest error of the interpolant, from its defect at a quarter of the step.

    The error is ``x^2 (1-x)^2 h^4 y''''/24``; its derivative at 1/4 is ``0.1875 h^3 y''''/24`` and its largest value
    ``h^4 y''''/384``, a third of h times that derivative.
    """
    return defect * h / 3.0


def hermite_slope(x: float, h: Lanes, y: States, slope: States, end: States, end_slope: States) -> States:
    """Time derivative of `hermite`."""
    _, rate = jax.jvp(lambda x: hermite(x, h, y, slope, end, end_slope), (jnp.full_like(h, x),), (jnp.ones_like(h),))
    return rate / h
