"""Sparse LU factors over lanes, unrolled for one sparsity pattern, without pivoting.

The elimination order is Markowitz's: the pivot that fills in least comes first. Pivots are taken from the diagonal,
which is safe for the matrices of a Rosenbrock step (a multiple of the identity minus a Jacobian); where a pivot
vanishes the step's error estimate is not finite and the step is repeated with a smaller one.

References:
    H. M. Markowitz, "The elimination form of the inverse and its application to linear programming", Management
    Science 3:255-269 (1957), doi:10.1287/mnsc.3.3.255.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jax import lax
from jaxtyping import Array, Float

from twin.compile.arithmetic import divide, multiply, subtract

type Lanes = Float[Array, " lane"]
type Position = tuple[int, int]


class Pivot(NamedTuple):
    """One step of the elimination: the pivot's index, the rows it changes, the columns it spreads to."""

    index: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]


class Factors(NamedTuple):
    """Entries of L below and U above the diagonal, and the inverses of the pivots."""

    entries: Mapping[Position, Lanes]
    inverse_pivots: Mapping[int, Lanes]


def elimination_order(size: int, pattern: Iterable[Position]) -> tuple[Pivot, ...]:
    """Markowitz order with diagonal pivots for a matrix with non-zeros at `pattern` and on the diagonal."""
    filled = set(pattern) | {(i, i) for i in range(size)}
    remaining = set(range(size))
    order = []
    while remaining:
        below = {k: [i for i in remaining if i != k and (i, k) in filled] for k in remaining}
        right = {k: [j for j in remaining if j != k and (k, j) in filled] for k in remaining}
        best = min(remaining, key=lambda k: (len(below[k]) * len(right[k]), k))
        filled.update((i, j) for i in below[best] for j in right[best])
        order.append(Pivot(best, tuple(sorted(below[best])), tuple(sorted(right[best]))))
        remaining.remove(best)
    return tuple(order)


def factorise(matrix: Mapping[Position, Lanes], order: tuple[Pivot, ...]) -> Factors:
    """LU factors of a sparse matrix given by its entries."""
    entries = dict(matrix)
    inverse_pivots = {}
    for pivot, rows, columns in order:
        inverse_pivots[pivot] = divide(1.0, entries[pivot, pivot])
        for i in rows:
            multiplier = entries[i, pivot] = multiply(entries[i, pivot], inverse_pivots[pivot])
            for j in columns:
                update = multiply(multiplier, entries[pivot, j])
                entries[i, j] = subtract(entries[i, j], update) if (i, j) in entries else lax.neg(update)
    return Factors(entries, inverse_pivots)


def solve(factors: Factors, order: tuple[Pivot, ...], right_hand_side: Iterable[Lanes]) -> list[Lanes]:
    """Solution of the linear system, one list entry per state.

    The barriers keep XLA from computing the whole substitution anew for every state that is read from it (measured:
    5 times faster for 16 states, 20 times where there are many lanes).
    """
    x = list(right_hand_side)
    for pivot, rows, _ in order:
        for i in rows:
            x[i] = subtract(x[i], multiply(factors.entries[i, pivot], x[pivot]))
    x = lax.optimization_barrier(x)
    for pivot, _, columns in reversed(order):
        total = x[pivot]
        for j in columns:
            total = subtract(total, multiply(factors.entries[pivot, j], x[j]))
        x[pivot] = multiply(total, factors.inverse_pivots[pivot])
    return lax.optimization_barrier(x)


def solve_transposed(factors: Factors, order: tuple[Pivot, ...], right_hand_side: Iterable[Lanes]) -> list[Lanes]:
    """Solution of the transposed system."""
    x = list(right_hand_side)
    for pivot, _, columns in order:
        x[pivot] = multiply(x[pivot], factors.inverse_pivots[pivot])
        for j in columns:
            x[j] = subtract(x[j], multiply(factors.entries[pivot, j], x[pivot]))
    x = lax.optimization_barrier(x)
    for pivot, rows, _ in reversed(order):
        for i in rows:
            x[pivot] = subtract(x[pivot], multiply(factors.entries[i, pivot], x[i]))
    return lax.optimization_barrier(x)
