"""Linear systems of an implicit step, W x = b over lanes: sparse and unrolled for small systems, dense for large ones.

Unrolled code is the fastest for a few dozen states and vectorises over lanes, but its compile time grows faster than
the operations in it: minutes at a few thousand updates. Dense factors come from LAPACK.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Float

from twin.solve.sparse_lu import Position, elimination_order, factorise, solve, solve_transposed

MOST_UNROLLED_UPDATES = 400
"""Updates of an elimination that are still unrolled."""

type Lanes = Float[Array, " lane"]
type States = Float[Array, "state lane"]
type Entries = Sequence[Lanes] | Float[Array, "entry lane"]
type Solve = Callable[[States], States]
type Factorise = Callable[[Entries, Lanes], Solve]


def linear_solver(mass: np.ndarray, pattern: Sequence[Position]) -> Factorise:
    """How ``W = shift * M - J`` is solved: a function of the non-zeros of J and the shift that gives a solver.

    Args:
        mass: Diagonal of M, ones and zeros.
        pattern: Positions of the non-zeros of J.
    """
    size = len(mass)
    positions = {*pattern, *((i, i) for i in np.flatnonzero(mass).tolist())}
    if all((i, i) in positions for i in range(size)):
        order = elimination_order(size, positions)
        if sum(len(pivot.rows) * len(pivot.columns) for pivot in order) <= MOST_UNROLLED_UPDATES:
            return lambda entries, shift: _sparse(mass, pattern, order, entries, shift)
    return lambda entries, shift: _dense(mass, pattern, entries, shift)


def _sparse(mass: np.ndarray, pattern: Sequence[Position], order, entries: Entries, shift: Lanes) -> Solve:
    """A solver without pivoting, unrolled, whose derivative in the matrix is that of the implicit function."""
    matrix = {position: -value for position, value in zip(pattern, entries, strict=True)}
    for i in np.flatnonzero(mass).tolist():
        matrix[i, i] = matrix.get((i, i), 0.0) + shift
    # Without the barrier XLA computes factors anew inside the fusions of the solve.
    factors = lax.optimization_barrier(factorise(jax.tree.map(lax.stop_gradient, matrix), order))

    def product(x: States) -> States:
        rows: list = [0.0] * x.shape[0]
        for (i, j), value in matrix.items():
            rows[i] = rows[i] + value * x[j]
        return jnp.stack(rows)

    def solver(right: States) -> States:
        return lax.custom_linear_solve(
            product,
            right,
            lambda _, b: jnp.stack(solve(factors, order, b)),
            lambda _, b: jnp.stack(solve_transposed(factors, order, b)),
        )

    return solver


def _dense(mass: np.ndarray, pattern: Sequence[Position], entries: Entries, shift: Lanes) -> Solve:
    """A solver with partial pivoting, whose derivative in the matrix is that of the implicit function."""
    rows, columns = np.array(pattern, dtype=int).reshape(-1, 2).T
    values = (entries if isinstance(entries, jax.Array) else jnp.stack(entries)).T
    size = len(mass)
    jacobian = jnp.zeros((*shift.shape, size, size), values.dtype).at[..., rows, columns].set(values)
    matrix = shift[:, None, None] * np.diag(mass) - jacobian
    factors = lu_factor(lax.stop_gradient(matrix))

    def solver(right: States) -> States:
        solution = lax.custom_linear_solve(
            lambda x: jnp.einsum("lij,lj->li", matrix, x),
            right.T,
            lambda _, b: lu_solve(factors, b[..., None])[..., 0],
            lambda _, b: lu_solve(factors, b[..., None], trans=1)[..., 0],
        )
        return solution.T

    return solver
