"""Tsit5: an explicit Runge-Kutta method of order 5(4) for systems that are not stiff.

References:
    Ch. Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption",
    Computers & Mathematics with Applications 62:770-775 (2011), doi:10.1016/j.camwa.2011.06.002, Table 1.
    The coefficients are taken from diffrax, which carries them with full precision.
"""

from __future__ import annotations

from functools import cache

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array
from numpy.polynomial import Polynomial

from twin.compile.system import System
from twin.errors import UnsupportedModelError
from twin.solve.directions import along, plus, times
from twin.solve.method import Along, Lanes, Push, Segment, States, Step, Stepped, combine

STAGES = 7

_WEIGHTS = (
    (-1.0530884977290216, (0.0, 1.0), (-1.3299890189751412, 1.0), (0.7139816917074209, -1.4364028541716351, 1.0)),
    (0.1017, (0.0, 0.0, 1.0), (1.2949852507374631, -2.1966568338249754, 1.0)),
    (2.490627285651252793, (0.0, 0.0, 1.0), (1.57803468208092486, -2.38535645472061657, 1.0)),
    (-16.54810288924490272, (0.0, 0.0, 1.0), (-1.21712927295533244, 1.0), (-0.61620406037800089, 1.0)),
    (47.37952196281928122, (0.0, 0.0, 1.0), (-1.203071208372362603, 1.0), (-0.658047292653547382, 1.0)),
    (-34.87065786149660974, (0.0, 0.0, 1.0), (-1.2, 1.0), (-0.666666666666666667, 1.0)),
    (2.5, (0.0, 0.0, 1.0), (-1.0, 1.0), (-0.6, 1.0)),
)
"""Weights of the stages in the interpolant of order 4 as polynomials of the fraction of the step (the paper's section
on the interpolant): a factor, and polynomials by their coefficients."""


def _course() -> np.ndarray:
    """Weights of the stages by power of the fraction, from the first on."""
    polynomials = [factor * np.prod([Polynomial(each) for each in parts]) for factor, *parts in _WEIGHTS]
    return np.stack([polynomial.coef[1:] for polynomial in polynomials], axis=1)


@cache
def _tableau() -> tuple[np.ndarray, ...]:
    """Weights of earlier stages in each, fractions of the step, weights in the solution and in its error."""
    from diffrax import Tsit5 as DiffraxTsit5  # a third of a second to import, for whoever uses this method

    tableau = DiffraxTsit5.tableau
    a = np.zeros((STAGES, STAGES))
    for stage, row in enumerate(tableau.a_lower, start=1):
        a[stage, : len(row)] = row
    return a, np.concatenate([[0.0], tableau.c]), np.asarray(tableau.b_sol), np.asarray(tableau.b_error)


class Tsit5:
    """The method as a step over lanes; the last stage is the new state (first same as last)."""

    name = "tsit5"
    order = 5

    def stepper(self, system: System) -> Step:
        if not system.mass.all():
            raise UnsupportedModelError(
                "the method tsit5 cannot solve constraints",
                where=f"model {system.model.name!r}",
                expected="differential equations only",
                fix='use solver="rodas5p"',
            )
        a, nodes, last, of_error = _tableau()
        course = _course()

        def step(segment: Segment, t: Lanes, y: States, h: Lanes) -> Stepped:
            def stage(k: Array, row: tuple[Array, ...]) -> tuple[Array, None]:
                index, a_row, node = row
                argument = y + h * jnp.tensordot(a_row, k, 1)
                time = t + node * h * segment.clock
                slope = segment.slope(system, time, argument)
                return lax.dynamic_update_index_in_dim(k, slope, index, 0), None

            rows = (np.arange(STAGES), a, nodes)
            k, _ = lax.scan(stage, jnp.zeros((STAGES, *y.shape), y.dtype), rows)
            error = h * jnp.tensordot(of_error, k, 1)
            after = y + h * jnp.tensordot(last, k, 1)
            return Stepped(after, error, h * combine(course, k), k)

        return step

    def pusher(self, system: System) -> Push:
        a, nodes, last, _ = _tableau()

        def push(segment: Segment, t: Lanes, y: States, h: Lanes, k: Array, d: Along):
            slope = lambda t, mid, y, p: system.vector_field_rows(t, mid, y, p, segment.locked)  # noqa: E731

            def stage(dk: Array, row: tuple[Array, ...]) -> tuple[Array, None]:
                index, a_row, node = row
                change = jnp.tensordot(a_row, k, 1)
                d_argument = plus(d.y + h * jnp.tensordot(a_row, dk, 1), times(d.h, change))
                at = (t + node * h * segment.clock, segment.mid, y + h * change, segment.params)
                d_t = plus(d.t, times(d.h, node * segment.clock))
                d_slope = plus(along(slope, at, (d_t, d.mid, d_argument, d.params)), d.inflow)
                return lax.dynamic_update_index_in_dim(dk, d_slope, index, 0), None

            dk, _ = lax.scan(stage, jnp.zeros((STAGES, *d.y.shape)), (np.arange(STAGES), a, nodes))
            d_steps = plus(h * dk, times(d.h, k))
            return d.y + jnp.tensordot(last, d_steps, 1), d_steps

        return push

    @property
    def weights(self) -> np.ndarray:
        return _course()

    def replayer(self, system: System) -> Step:
        return self.stepper(system)
