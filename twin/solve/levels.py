"""Sparse LU factors over lanes by arrays: pivots that do not need each other are eliminated together.

The pivots of one level of the elimination tree share a few array operations, so that the program grows with the number
of levels, not of operations. The last pivots, of which each needs the one before, fill a small dense block, which is
inverted. No pivoting, for the reason given in `twin.solve.sparse_lu`.

A matrix W is held as one array of rows over lanes, ordered by level: the inverses of the level's pivots, its part of L
(scaled: unit diagonal) and of U; after the last level, a row of zeros, which fills up sums of unequal length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from twin.compile.arithmetic import add, multiply
from twin.compile.sparse_map import rows_of
from twin.solve.rows import put_rows
from twin.solve.sparse_lu import Pivot, Position

type Lanes = Float[Array, " lane"]
type States = Float[Array, "state lane"]

DENSE_ENOUGH = 0.5
"""Share of non-zeros from which a block is held dense."""

PIVOTS_AT_A_TIME = 4
"""Of the dense block: fewer passes over it (measured: half the time of one at a time, for 26 states)."""


class Factors(NamedTuple):
    """What solutions need.

    Args:
        entries: Inverse pivots, L and U of the sparse part.
        inverse: Inverse of the dense block.
    """

    entries: Float[Array, "entry lane"]
    inverse: Float[Array, "row column lane"]


class _Sum(NamedTuple):
    """Rows of products to be summed, of equal length: ``sum_k a[left[:, k]] * b[right[:, k]]``."""

    rows: np.ndarray
    left: np.ndarray
    right: np.ndarray


class _Sums:
    """Sums of products of rows of two arrays, each of which ends with a row of zeros.

    Args:
        terms: For each result the pairs (row of the one array, row of the other).
        zero: The rows of zeros.
    """

    def __init__(self, terms: Sequence[Sequence[tuple[int, int]]], zero: tuple[int, int]) -> None:
        lengths = np.array([len(each) for each in terms])
        # Lengths are filled up to the next power of two, so that there are few of them.
        padded = np.where(lengths > 0, 2 ** np.ceil(np.log2(np.maximum(lengths, 1))).astype(int), 0)
        self._groups = []
        for length in np.unique(padded[padded > 0]):
            rows = np.flatnonzero(padded == length)
            pairs = np.array([[*terms[row], *[zero] * (length - len(terms[row]))] for row in rows], dtype=np.uint32)
            self._groups.append(_Sum(rows, pairs[:, : lengths[rows].max(), 0], pairs[:, : lengths[rows].max(), 1]))
        with_terms = np.concatenate([np.zeros(0, int), *(group.rows for group in self._groups)])
        self._where = np.full(len(terms), len(with_terms), dtype=np.uint32)
        self._where[with_terms] = np.arange(len(with_terms))
        self._some_without = len(with_terms) < len(terms)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __call__(self, a: Array, b: Array) -> Array:
        parts = []
        for _, left, right in self._groups:
            total = multiply(rows_of(a, left[:, 0]), rows_of(b, right[:, 0]))
            for k in range(1, left.shape[1]):
                total = add(total, multiply(rows_of(a, left[:, k]), rows_of(b, right[:, k])))
            parts.append(total)
        if self._some_without:
            parts.append(jnp.zeros((1, *a.shape[1:]), a.dtype))
        if len(parts) == 1 and (self._where == np.arange(len(self._where))).all():
            return parts[0]
        return rows_of(jnp.concatenate(parts), self._where)


class _Level(NamedTuple):
    """The entries of pivots that are eliminated together: pivots, then their part of L, then of U.

    Args:
        first: Row of the first entry.
        states: States of the pivots.
        lower: Number of entries of L.
        given: Where each entry is found in the matrix; beyond its last where elimination filled it in.
        updates: What earlier levels take from each entry.
        pivot_of_lower: Pivot by which each entry of L is divided.
    """

    first: int
    states: np.ndarray
    lower: int
    given: np.ndarray
    updates: _Sums
    pivot_of_lower: np.ndarray


class Levels:
    """The elimination of one pattern, level by level.

    Args:
        order: Pivots with the rows they change and the columns they spread to.
        pattern: Positions of the entries that are given.
    """

    def __init__(self, order: Sequence[Pivot], pattern: Sequence[Position]) -> None:
        height = _heights(order)
        self.tail = dense_tail(order)
        in_tail = set(self.tail)
        sparse = [pivot for pivot in order if pivot.index not in in_tail]
        depth = 1 + max((height[pivot.index] for pivot in sparse), default=-1)
        levels = [[pivot for pivot in sparse if height[pivot.index] == level] for level in range(depth)]
        self.sizes = [len(level) for level in levels]
        self.states = np.array([*(p.index for level in levels for p in level), *self.tail], dtype=np.uint32)
        self.back = np.argsort(self.states).astype(np.uint32)
        of_levels = [_entries(level) for level in levels]
        slots = {position: slot for slot, position in enumerate(position for each in of_levels for position in each)}
        self.entries = len(slots)
        # Which pivots contribute to which entry, of the levels and of the dense block.
        terms: dict[Position, list[tuple[int, int]]] = {position: [] for position in slots}
        terms |= {(i, j): [] for i in self.tail for j in self.tail}
        for pivot in sparse:
            for i in pivot.rows:
                for j in pivot.columns:
                    terms[i, j].append((slots[i, pivot.index], slots[pivot.index, j]))
        number = {position: index for index, position in enumerate(pattern)}
        given = lambda some: np.array([number.get(each, len(pattern)) for each in some], dtype=np.uint32)  # noqa: E731
        sums = lambda some: _Sums([terms[each] for each in some], (self.entries, self.entries))  # noqa: E731
        self._levels = []
        for level, entries in zip(levels, of_levels, strict=True):
            index = {pivot.index: k for k, pivot in enumerate(level)}
            lower = [index[pivot.index] for pivot in level for _ in pivot.rows]
            states, of_lower = np.array(list(index), dtype=np.uint32), np.array(lower, dtype=np.uint32)
            first = slots[entries[0]]
            self._levels.append(_Level(first, states, len(lower), given(entries), sums(entries), of_lower))
        block = [(i, j) for i in self.tail for j in self.tail]
        self._dense_given, self._dense_update = given(block), sums(block)
        self._plan_substitutions(sparse, slots)

    def _plan_substitutions(self, sparse: Sequence[Pivot], slots: Mapping[Position, int]) -> None:
        """Which entries and unknowns each row of a level needs, on the way down and up, and for the transposed."""
        place = {int(state): k for k, state in enumerate(self.states)}
        size = len(place)
        down, up, down_transposed, up_transposed = ([[] for _ in range(size)] for _ in range(4))
        for pivot in sparse:
            here = place[pivot.index]
            for i in pivot.rows:
                slot = slots[i, pivot.index]
                down[place[i]].append((slot, here))
                up_transposed[here].append((slot, place[i]))
            for j in pivot.columns:
                slot = slots[pivot.index, j]
                down_transposed[place[j]].append((slot, here))
                up[here].append((slot, place[j]))
        self.borders = [int(border) for border in np.cumsum([0, *self.sizes, len(self.tail)])]
        ranges = list(zip(self.borders, self.borders[1:], strict=False))
        cut = lambda rows: [_Sums(rows[begin:end], (self.entries, size)) for begin, end in ranges]  # noqa: E731
        self._down, self._up = cut(down), cut(up)
        self._down_transposed, self._up_transposed = cut(down_transposed), cut(up_transposed)

    def factorise(self, entries: Array, diagonal: States) -> Factors:
        """Factors of ``diag(diagonal) - entries``.

        Args:
            entries: The entries of the pattern, over lanes.
            diagonal: What is added on the diagonal, state by lane.
        """
        lanes = entries.shape[1:]
        a = jnp.concatenate([-entries, jnp.zeros((1, *lanes), entries.dtype)])
        values = jnp.zeros((self.entries + 1, *lanes), entries.dtype)
        for first, states, lower, given, updates, pivot_of_lower in self._levels:
            raw, pivots = rows_of(a, given), len(states)
            if updates:
                raw = raw - updates(values, values)
            inverse = lax.optimization_barrier(1.0 / (raw[:pivots] + rows_of(diagonal, states)))
            scaled = raw[pivots : pivots + lower] * rows_of(inverse, pivot_of_lower)
            new = jnp.concatenate([inverse, scaled, raw[pivots + lower :]])
            values = put_rows(values, lax.optimization_barrier(new), first)
        return Factors(values, self._inverse(a, diagonal, values))

    def _inverse(self, a: Array, diagonal: States, values: Array) -> Array:
        """Inverse of the dense block that remains."""
        size = len(self.tail)
        block = rows_of(a, self._dense_given)
        if self._dense_update:
            block = block - self._dense_update(values, values)
        block = block.reshape(size, size, *a.shape[1:])
        on_diagonal = np.eye(size, dtype=bool)[..., None]
        shift = diagonal[self.states[self.borders[-2] :]][:, None]
        return _inverse(lax.optimization_barrier(jnp.where(on_diagonal, block + shift, block)))

    def solve(self, factors: Factors, right: States) -> States:
        """x in W x = b."""
        return self._substitute(factors, right, self._down, self._up, transposed=False)

    def solve_transposed(self, factors: Factors, right: States) -> States:
        """x in W' x = b."""
        return self._substitute(factors, right, self._down_transposed, self._up_transposed, transposed=True)

    def _substitute(
        self, factors: Factors, right: States, down: list[_Sums], up: list[_Sums], transposed: bool
    ) -> States:
        entries, inverse = factors
        zero = jnp.zeros((1, *right.shape[1:]), right.dtype)
        x = lax.optimization_barrier(jnp.concatenate([rows_of(right, self.states), zero]))
        for level, sums in enumerate(down):
            begin, end = self.borders[level : level + 2]
            if begin == end:
                continue
            new = x[begin:end]
            if sums:
                new = new - sums(entries, x)
            if level == len(self.sizes):
                new = lax.optimization_barrier(new)[:, None]
                new = _product(inverse.swapaxes(0, 1) if transposed else inverse, new)[:, 0]
            elif transposed:
                new = new * self._inverse_pivots(entries, level)
            if sums or transposed or level == len(self.sizes):
                x = put_rows(x, lax.optimization_barrier(new), begin)
        for level in reversed(range(len(self.sizes))):
            begin, end = self.borders[level : level + 2]
            new, sums = x[begin:end], up[level]
            if sums:
                new = new - sums(entries, x)
            if not transposed:
                new = new * self._inverse_pivots(entries, level)
            if sums or not transposed:
                x = put_rows(x, lax.optimization_barrier(new), begin)
        return lax.optimization_barrier(rows_of(x, self.back))

    def _inverse_pivots(self, entries: Array, level: int) -> Array:
        first = self._levels[level].first
        return entries[first : first + self.sizes[level]]


def _inverse(
    block: Float[Array, "row column lane"], at_a_time: int = PIVOTS_AT_A_TIME
) -> Float[Array, "row column lane"]:
    """Inverse by Gauss-Jordan elimination, a few pivots at a time.

    The first rows and columns become the last, so that the next are always the first; in the end order is restored.
    """
    size, few = len(block), min(at_a_time, len(block))
    if size <= 1:
        return 1.0 / block

    def eliminate(_: Array, block: Array) -> Array:
        inverse = _inverse(block[:few, :few], 1)
        column = block[few:, :few]
        row = _product(inverse, block[:few, few:])
        inverse, row, column = lax.optimization_barrier((inverse, row, column))
        rest = jnp.concatenate([block[few:, few:] - _product(column, row), -_product(column, inverse)], axis=1)
        return lax.optimization_barrier(jnp.concatenate([rest, jnp.concatenate([row, inverse], axis=1)]))

    # A block of the identity fills up the last few.
    padding = -size % few
    wide = jnp.pad(block, ((0, padding), (0, padding), (0, 0)))
    wide = wide + np.diag(np.repeat([0.0, 1.0], [size, padding]))[..., None]
    return lax.fori_loop(0, (size + padding) // few, eliminate, wide)[:size, :size]


def _product(
    left: Float[Array, "row inner lane"], right: Float[Array, "inner column lane"]
) -> Float[Array, "row column lane"]:
    """Product lane by lane, written out: XLA hands products of many small matrices to a library."""
    total = left[:, :1] * right[:1]
    for k in range(1, len(right)):
        total = total + left[:, k : k + 1] * right[k : k + 1]
    return total


def _heights(order: Iterable[Pivot]) -> dict[int, int]:
    """Level of every pivot: one more than that of any pivot that it needs."""
    height: dict[int, int] = {}
    for index, rows, columns in order:
        here = height.setdefault(index, 0)
        for other in (*rows, *columns):
            height[other] = max(height.get(other, 0), here + 1)
    return height


def _entries(level: Sequence[Pivot]) -> list[Position]:
    """Positions of the entries of a level: pivots, L, U."""
    lower = [(i, pivot.index) for pivot in level for i in pivot.rows]
    upper = [(pivot.index, j) for pivot in level for j in pivot.columns]
    return [*((pivot.index, pivot.index) for pivot in level), *lower, *upper]


def dense_tail(order: Sequence[Pivot]) -> list[int]:
    """States of the last pivots, as many as fill a block densely."""
    height = _heights(order)
    best: list[int] = []
    for level in sorted(set(height.values()), reverse=True):
        tail = [pivot for pivot in order if height[pivot.index] >= level]
        inside = {pivot.index for pivot in tail}
        filled = sum(
            1 + len(inside.intersection(pivot.rows)) + len(inside.intersection(pivot.columns)) for pivot in tail
        )
        if filled >= DENSE_ENOUGH * len(tail) ** 2:
            best = [pivot.index for pivot in tail]
    return best
