"""Linear systems of an implicit step, W x = b over lanes: sparse and unrolled, sparse by arrays, or dense.

Unrolled code is the fastest for a few dozen states and vectorises over lanes, but its compile time grows with the
operations in it; beyond, arrays hold the pivots that can be eliminated together. Dense factors come from LAPACK.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Float

from twin.compile.arithmetic import add, multiply, negative
from twin.compile.sparse_map import SparseMap
from twin.solve import sparse_lu
from twin.solve.levels import Factors, Levels, dense_tail
from twin.solve.sparse_lu import Position, elimination_order

MOST_UNROLLED_UPDATES = 1000
"""Updates of an elimination that are still unrolled."""

MOST_INVERTED = 128
"""States of a dense block that array code inverts; beyond, LAPACK factors the whole matrix."""

type Lanes = Float[Array, " lane"]
type States = Float[Array, "state lane"]
type Entries = Sequence[Lanes] | Float[Array, "entry lane"]
type Solve = Callable[[States], States]


class LinearSystem[Factors](Protocol):
    """How ``W = shift * M - J`` is factored and solved, for one pattern of non-zeros."""

    def factorise(self, entries: Entries, shift: Lanes) -> Factors:
        """Factors of W; not differentiated."""
        ...

    def solve(self, factors: Factors, right: States) -> States:
        """x in W x = b."""
        ...

    def solve_transposed(self, factors: Factors, right: States) -> States:
        """x in W' x = b."""
        ...

    def product(self, entries: Entries, shift: Lanes, x: States) -> States:
        """W x, whose derivative in W is what solutions need."""
        ...


def linear_system(mass: np.ndarray, pattern: Sequence[Position]) -> LinearSystem:
    """The kind that is faster for a pattern.

    Args:
        mass: Diagonal of M, ones and zeros.
        pattern: Positions of the non-zeros of J.
    """
    return _of_pattern(tuple(mass.tolist()), tuple(pattern))


@functools.lru_cache(maxsize=64)
def _of_pattern(mass_entries: tuple[float, ...], pattern: tuple[Position, ...]) -> LinearSystem:
    """The same; a program asks several times, and what is the same object it holds once."""
    mass, size = np.array(mass_entries), len(mass_entries)
    positions = {*pattern, *((i, i) for i in np.flatnonzero(mass).tolist())}
    if all((i, i) in positions for i in range(size)):
        order = elimination_order(size, positions)
        if sum(len(pivot.rows) * len(pivot.columns) for pivot in order) <= MOST_UNROLLED_UPDATES:
            return Sparse(mass, pattern, order)
        if len(dense_tail(order)) <= MOST_INVERTED:
            return Levelled(mass, pattern, Levels(order, pattern))
    return Dense(mass, pattern)


def differentiable_solver[F](system: LinearSystem[F], factors: F, entries: Entries, shift: Lanes) -> Solve:
    """A solver whose derivative in W is that of the implicit function, with the factors used again."""
    return lambda right: lax.custom_linear_solve(
        lambda x: system.product(entries, shift, x),
        right,
        lambda _, b: system.solve(factors, b),
        lambda _, b: system.solve_transposed(factors, b),
    )


def many_solver[F](
    system: LinearSystem[F], factors: F, entries: Entries, shift: Lanes
) -> Callable[[Float[Array, "state direction lane"]], Float[Array, "state direction lane"]]:
    """The same for many right-hand sides."""
    solve = differentiable_solver(system, factors, entries, shift)
    # Unrolled code goes over whatever axes there are.
    return solve if isinstance(system, Sparse) else jax.vmap(solve, in_axes=1, out_axes=1)


class Sparse:
    """Without pivoting, unrolled in the given order."""

    def __init__(self, mass: np.ndarray, pattern: Sequence[Position], order: tuple[sparse_lu.Pivot, ...]) -> None:
        self.mass, self.pattern, self.order = mass, pattern, order

    def factorise(self, entries: Entries, shift: Lanes) -> sparse_lu.Factors:
        # Without the barrier XLA computes factors anew inside the fusions of the solve.
        return lax.optimization_barrier(sparse_lu.factorise(self._matrix(entries, shift), self.order))

    def solve(self, factors: sparse_lu.Factors, right: States) -> States:
        return jnp.stack(sparse_lu.solve(factors, self.order, right))

    def solve_transposed(self, factors: sparse_lu.Factors, right: States) -> States:
        return jnp.stack(sparse_lu.solve_transposed(factors, self.order, right))

    def product(self, entries: Entries, shift: Lanes, x: States) -> States:
        states, rows = list(x), {}
        for (i, j), value in self._matrix(entries, shift).items():
            term = multiply(value, states[j])
            rows[i] = add(rows[i], term) if i in rows else term
        return jnp.stack([rows.get(i, jnp.zeros_like(x[i])) for i in range(len(states))])

    def _matrix(self, entries: Entries, shift: Lanes) -> dict[Position, Lanes]:
        matrix = {position: negative(value) for position, value in zip(self.pattern, entries, strict=True)}
        for i in np.flatnonzero(self.mass).tolist():
            matrix[i, i] = add(matrix[i, i], shift) if (i, i) in matrix else shift
        return matrix


class Levelled:
    """Without pivoting, level by level."""

    def __init__(self, mass: np.ndarray, pattern: Sequence[Position], levels: Levels) -> None:
        self.mass, self.levels = mass, levels
        rows, columns = np.array(pattern, dtype=int).reshape(-1, 2).T
        self._read = SparseMap.take(len(mass), columns)
        self._sum = SparseMap(len(pattern), len(mass), [(int(row), index) for index, row in enumerate(rows)])

    def factorise(self, entries: Entries, shift: Lanes) -> Factors:
        return self.levels.factorise(_as_array(entries), self.mass[:, None] * shift)

    def solve(self, factors: Factors, right: States) -> States:
        return self.levels.solve(factors, right)

    def solve_transposed(self, factors: Factors, right: States) -> States:
        return self.levels.solve_transposed(factors, right)

    def product(self, entries: Entries, shift: Lanes, x: States) -> States:
        return shift * self.mass[:, None] * x - self._sum(_as_array(entries) * self._read(x))


class Dense:
    """With partial pivoting, by LAPACK."""

    def __init__(self, mass: np.ndarray, pattern: Sequence[Position]) -> None:
        self.mass = mass
        self.rows, self.columns = np.array(pattern, dtype=int).reshape(-1, 2).T

    def factorise(self, entries: Entries, shift: Lanes):
        values = _as_array(entries).T
        size = len(self.mass)
        jacobian = jnp.zeros((*shift.shape, size, size), values.dtype).at[..., self.rows, self.columns].set(values)
        return lu_factor(shift[:, None, None] * np.diag(self.mass) - jacobian)

    def solve(self, factors, right: States) -> States:
        return lu_solve(factors, right.T[..., None])[..., 0].T

    def solve_transposed(self, factors, right: States) -> States:
        return lu_solve(factors, right.T[..., None], trans=1)[..., 0].T

    def product(self, entries: Entries, shift: Lanes, x: States) -> States:
        values = _as_array(entries)
        of_jacobian = jnp.zeros_like(x).at[self.rows].add(values * x[self.columns])
        return shift * self.mass[:, None] * x - of_jacobian


def _as_array(entries: Entries) -> Float[Array, "entry lane"]:
    return entries if isinstance(entries, jax.Array) else jnp.stack(entries)
