"""Derivatives of steady states by the implicit function theorem, instead of along the way to them.

Where a run to steady state ends, the states y solve

    f(y, p) = 0      and      L(p) y = L(p) y0,

with the conservation laws L of the model and the states y0 at which the run began. Rows of f that the laws make
redundant are replaced by them (one row for each law, its pivot). Derivatives in p and y0 then follow from one linear
system, whatever the number of steps. Where that system does not determine them, because something is kept that no
linear law keeps (A turns into B or C until there is none left) or because a slow mode has not come to rest, derivatives
follow the steps as anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import System
from twin.experiment.schedule import Schedule
from twin.solve.method import Segment, States
from twin.solve.nodes import Tolerance

MOST_STATES = 500
"""Up to so many states the linear system, which is dense, is solved; beyond, derivatives follow the steps."""

SMALLEST_PIVOT = 1e-12
"""Of the matrix with rows and columns scaled to 1; below it is taken for singular."""


class Rests(NamedTuple):
    """Where runs to steady state began and ended.

    Args:
        before: Where the first segment ended.
        begun: Where the last segment began.
        end: Where it ended.
    """

    before: States
    begun: States
    end: States

    @classmethod
    def none(cls, y: States) -> Rests:
        """Before the first step."""
        return cls(y, y, y)


def any_rest(system: System, schedule: Schedule) -> bool:
    """Whether there are runs to steady state of which the theorem may give derivatives.

    Events could happen on the way, and what follows then depends on it.
    """
    rests = schedule.equilibrates or schedule.settles
    return rests and system.events is None and not system.delays and len(system.states) <= MOST_STATES


class SteadyStates(NamedTuple):
    """Where runs to steady state ended, and the factored linear system that gives their derivatives; lanes first.

    Args:
        y: States; lanes last.
        determined: Lanes of which derivatives are determined. The others have the identity.
        of_rows: Factors that scale the rows of the matrix.
        of_columns: Factors that scale its columns.
        lu: Its factors then.
        pivots: Its exchanges of rows.
    """

    y: States
    determined: Bool[Array, " lane"]
    of_rows: Float[Array, "lane row 1"]
    of_columns: Float[Array, "lane 1 column"]
    lu: Float[Array, "lane row column"]
    pivots: Int[Array, "lane row"]

    @classmethod
    def reached(
        cls, system: System, tolerance: Tolerance, segment: Segment, begun: States, end: States
    ) -> SteadyStates:
        """The steady states at which runs ended.

        Derivatives are determined where the linear system is regular, and Newton's method, from where the run ended,
        moves no further than the integration may err: then this is the steady state of which the equations speak, and
        not a place on a slow way.

        Args:
            system: The compiled model.
            tolerance: Tolerances of the integration.
            segment: The segment of each lane, in which it ran to steady state.
            begun: Where it began.
            end: Where it ended.
        """
        y, begun, segment = lax.stop_gradient((end, begun, segment))
        matrix = _matrix(system, segment, y)
        of_rows = _inverse_size(matrix, axis=2)
        of_columns = _inverse_size(matrix * of_rows, axis=1)
        lu, pivots = lu_factor(matrix * of_rows * of_columns)
        smallest = jnp.min(jnp.abs(jnp.diagonal(lu, axis1=1, axis2=2)), axis=1)
        found = cls(y, jnp.ones(y.shape[1], bool), of_rows, of_columns, lu, pivots)
        step = found._solve(_residual(system, segment, begun, y))
        close = jnp.all(jnp.abs(step) <= tolerance.atol + tolerance.rtol * jnp.abs(y), axis=0)
        determined = (segment.clock == 0) & (smallest > SMALLEST_PIVOT) & close
        here = determined[:, None, None]
        scales = (jnp.where(here, scale, 1.0) for scale in (of_rows, of_columns))
        exchanges = jnp.where(determined[:, None], pivots, jnp.arange(len(y), dtype=pivots.dtype))
        return cls(y, determined, *scales, jnp.where(here, lu, jnp.eye(len(y))), exchanges)

    def take(self, lanes: Int[Array, " lane"]) -> SteadyStates:
        """Those of some lanes."""
        return SteadyStates(self.y[:, lanes], *(x[lanes] for x in self[1:]))

    def of(self, system: System, segment: Segment, begun: States) -> States:
        """The steady state as a function of parameters, inflow and where the run began; its value is where it ended.

        Lanes of which it is not determined are where they began.
        """
        value = jnp.where(self.determined, self.y, begun)

        def residual(y: States) -> States:
            return jnp.where(self.determined, _residual(system, segment, begun, y), y - begun)

        def solve(of_residual: Callable[[States], States], right: States) -> States:
            # The factors are those of its derivative, which they spare to compute.
            return lax.custom_linear_solve(
                of_residual, right, lambda _, b: self._solve(b), lambda _, b: self._solve_transposed(b)
            )

        return lax.custom_root(residual, value, lambda _, start: start, solve)

    def _solve(self, right: States) -> States:
        scaled = self.of_rows * right.T[..., None]
        return (self.of_columns.swapaxes(1, 2) * lu_solve((self.lu, self.pivots), scaled))[..., 0].T

    def _solve_transposed(self, right: States) -> States:
        scaled = self.of_columns.swapaxes(1, 2) * right.T[..., None]
        return (self.of_rows * lu_solve((self.lu, self.pivots), scaled, trans=1))[..., 0].T


def _residual(system: System, segment: Segment, begun: States, y: States) -> States:
    """What vanishes at the steady state: dy/dt, and by how much each law is broken in the row of its pivot."""
    laws = system.conserved
    slope = segment.slope(system, segment.origin, y)
    if not laws.pivots:
        return slope
    return slope.at[np.array(laws.pivots)].set(laws.weights @ ((y - begun) / _scales(system, segment)))


def _scales(system: System, segment: Segment) -> States:
    """What amounts are multiplied with to give states."""
    by_name = dict(zip(system.parameters, segment.params, strict=True))
    scales = system.evaluate_formulas(system.conserved.scales, by_name)
    return jnp.stack([jnp.broadcast_to(jnp.asarray(x, float), segment.mid.shape) for x in scales])


def _matrix(system: System, segment: Segment, y: States) -> Float[Array, "lane row column"]:
    """Derivative of the residual in the states."""
    size, laws = len(system.states), system.conserved
    matrix = jnp.zeros((y.shape[1], size, size))
    if system.jacobian_pattern:
        rows, columns = np.array(system.jacobian_pattern, dtype=int).T
        entries, _ = system.linearise(segment.origin, segment.mid, y, segment.params)
        entries = entries if isinstance(entries, jax.Array) else jnp.stack(entries)
        matrix = matrix.at[:, rows, columns].set(entries.T)
    if laws.pivots:
        of_laws = laws.weights[..., None] / _scales(system, segment)
        matrix = matrix.at[:, np.array(laws.pivots)].set(jnp.moveaxis(of_laws, -1, 0))
    return matrix


def _inverse_size(matrix: Float[Array, "lane row column"], axis: int) -> Array:
    """One over the largest entry of each row or column."""
    largest = jnp.max(jnp.abs(matrix), axis=axis, keepdims=True)
    return jnp.where(largest > 0, 1.0 / largest, 1.0)
