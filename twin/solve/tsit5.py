"""Tsit5: an explicit Runge-Kutta method of order 5(4) for systems that are not stiff.

References:
    Ch. Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption",
    Computers & Mathematics with Applications 62:770-775 (2011), doi:10.1016/j.camwa.2011.06.002, Table 1.
    The coefficients are taken from diffrax, which carries them with full precision.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from diffrax import Tsit5 as DiffraxTsit5
from jax import lax
from jaxtyping import Array

from twin.compile.system import System
from twin.solve.method import Lanes, Segment, States, Step

STAGES = 7


class Tsit5:
    """The method as a step over lanes; the last stage is the new state (first same as last)."""

    name = "tsit5"
    order = 5

    def stepper(self, system: System) -> Step:
        tableau = DiffraxTsit5.tableau
        a = np.zeros((STAGES, STAGES))
        for stage, row in enumerate(tableau.a_lower, start=1):
            a[stage, : len(row)] = row
        nodes = np.concatenate([[0.0], tableau.c])

        def step(segment: Segment, t: Lanes, y: States, h: Lanes) -> tuple[States, States]:
            def stage(k: Array, row: tuple[Array, ...]) -> tuple[Array, None]:
                index, a_row, node = row
                argument = y + h * jnp.tensordot(a_row, k, 1)
                time = t + node * h * segment.clock
                slope = segment.slope(system, time, argument)
                return lax.dynamic_update_index_in_dim(k, slope, index, 0), None

            rows = (np.arange(STAGES), a, nodes)
            k, _ = lax.scan(stage, jnp.zeros((STAGES, *y.shape), y.dtype), rows)
            error = h * jnp.tensordot(np.asarray(tableau.b_error), k, 1)
            return y + h * jnp.tensordot(np.asarray(tableau.b_sol), k, 1), error

        return step
