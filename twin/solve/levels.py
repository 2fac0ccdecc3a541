"""Sparse LU factors over lanes by arrays: pivots that do not need each other are eliminated together.

The pivots of one level of the elimination tree share a few array operations, so that the program grows with the number
of levels, not of operations. The last pivots, of which each needs the one before, fill a small dense block, which is
inverted. No pivoting, for the reason given in `twin.solve.sparse_lu`.

A matrix W is held as one array of rows over lanes, ordered by level: the inverses of the level's pivots, its part of L
(scaled: unit diagonal) and of U; after the last level, a row of zeros, which fills up sums of unequal length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

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
            total = a[left[:, 0]] * b[right[:, 0]]
            for k in range(1, left.shape[1]):
                total = total + a[left[:, k]] * b[right[:, k]]
            parts.append(total)
        if self._some_without:
            parts.append(jnp.zeros((1, *a.shape[1:]), a.dtype))
        if len(parts) == 1 and (self._where == np.arange(len(self._where))).all():
            return parts[0]
        return jnp.concatenate(parts)[self._where]


class Levels:
    """The elimination of one pattern, level by level.

    Args:
        order: Pivots with the rows they change and the columns they spread to.
    """

    def __init__(self, order: Sequence[Pivot]) -> None:
        size = len(order)
        height = _heights(order)
        self.tail = _dense_tail(order, height)
        sparse = [pivot for pivot in order if pivot.index not in self.tail]
        depth = 1 + max((height[pivot.index] for pivot in sparse), default=-1)
        levels = [[pivot for pivot in sparse if height[pivot.index] == level] for level in range(depth)]
        self.states = np.array([*(p.index for level in levels for p in level), *self.tail], dtype=np.uint32)
        place = {int(state): k for k, state in enumerate(self.states)}
        self.back = np.argsort(self.states).astype(np.uint32)
        self.sizes = [len(level) for level in levels]
        slots: dict[Position, int] = {}
        self.spans = []
        for level in levels:
            first = len(slots)
            for pivot in level:
                slots[pivot.index, pivot.index] = len(slots)
            lower = [(i, pivot.index) for pivot in level for i in pivot.rows]
            upper = [(pivot.index, j) for pivot in level for j in pivot.columns]
            for position in (*lower, *upper):
                slots[position] = len(slots)
            self.spans.append((first, len(level), len(lower), len(upper)))
        self.slots, zero = slots, len(slots)
        # Which pivots contribute to which entry.
        terms: dict[Position, list[tuple[int, int]]] = {position: [] for position in slots}
        dense: dict[Position, list[tuple[int, int]]] = {(i, j): [] for i in self.tail for j in self.tail}
        for pivot in sparse:
            for i in pivot.rows:
                for j in pivot.columns:
                    into = dense if (i, j) in dense else terms
                    into[i, j].append((slots[i, pivot.index], slots[pivot.index, j]))
        by_slot = list(slots)
        self._updates = []
        self._pivot_of_lower = []
        for first, pivots, lower, upper in self.spans:
            of_level = by_slot[first : first + pivots + lower + upper]
            self._updates.append(_Sums([terms[position] for position in of_level], (zero, zero)))
            index = {position[0]: k for k, position in enumerate(of_level[:pivots])}
            columns = [index[column] for _, column in of_level[pivots : pivots + lower]]
            self._pivot_of_lower.append(np.array(columns, dtype=np.uint32))
        self._dense_update = _Sums([dense[i, j] for i in self.tail for j in self.tail], (zero, zero))
        # Substitutions: which entries and unknowns each row of a level needs.
        blank = (zero, size)
        rows: list[list[tuple[int, int]]] = [[] for _ in range(size)]
        columns = [[] for _ in range(size)]
        for pivot in sparse:
            for i in pivot.rows:
                rows[place[i]].append((slots[i, pivot.index], place[pivot.index]))
            for j in pivot.columns:
                columns[place[j]].append((slots[pivot.index, j], place[pivot.index]))
        rows_back: list[list[tuple[int, int]]] = [[] for _ in range(size)]
        columns_back = [[] for _ in range(size)]
        for pivot in sparse:
            here = place[pivot.index]
            rows_back[here] = [(slots[pivot.index, j], place[j]) for j in pivot.columns]
            columns_back[here] = [(slots[i, pivot.index], place[i]) for i in pivot.rows]
        cut = lambda each: [_Sums(part, blank) for part in _cut(each, self.sizes)]  # noqa: E731
        self._down, self._up = cut(rows), cut(rows_back)
        self._down_transposed, self._up_transposed = cut(columns), cut(columns_back)

    def factorise(self, pattern: Sequence[Position], entries: Array, diagonal: States) -> Factors:
        """Factors of ``diag(diagonal) - entries``.

        Args:
            pattern: Positions of the entries.
            entries: Non-zeros over lanes.
            diagonal: What is added on the diagonal, state by lane.
        """
        number = {position: k for k, position in enumerate(pattern)}
        nothing = len(pattern)
        lanes = entries.shape[1:]
        a = jnp.concatenate([-entries, jnp.zeros((1, *lanes), entries.dtype)])
        values = jnp.zeros((len(self.slots) + 1, *lanes), entries.dtype)
        by_slot = list(self.slots)
        for (first, pivots, lower, upper), updates, of_lower in zip(
            self.spans, self._updates, self._pivot_of_lower, strict=True
        ):
            of_level = by_slot[first : first + pivots + lower + upper]
            raw = a[np.array([number.get(position, nothing) for position in of_level], dtype=np.uint32)]
            if updates:
                raw = raw - updates(values, values)
            states = np.array([state for state, _ in of_level[:pivots]], dtype=np.uint32)
            inverse = lax.optimization_barrier(1.0 / (raw[:pivots] + diagonal[states]))
            scaled = raw[pivots : pivots + lower] * inverse[of_lower]
            new = jnp.concatenate([inverse, scaled, raw[pivots + lower :]])
            values = lax.dynamic_update_slice(values, lax.optimization_barrier(new), (first, *[0] * len(lanes)))
        return Factors(values, self._inverse(number, a, diagonal, values))

    def _inverse(self, number, a: Array, diagonal: States, values: Array) -> Array:
        """Inverse of the dense block that remains, by Gauss-Jordan elimination."""
        size, lanes = len(self.tail), a.shape[1:]
        where = [number.get((i, j), len(number)) for i in self.tail for j in self.tail]
        block = a[np.array(where, dtype=np.uint32)]
        if self._dense_update:
            block = block - self._dense_update(values, values)
        block = block.reshape(size, size, *lanes)
        on_diagonal = np.eye(size, dtype=bool)[..., None]
        shift = diagonal[np.array(self.tail, dtype=np.uint32)][:, None]
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
        x = lax.optimization_barrier(jnp.concatenate([right[self.states], zero]))
        borders = np.cumsum([0, *self.sizes, len(self.tail)])
        put = lambda x, new, first: lax.dynamic_update_slice(x, new, (int(first), *[0] * (x.ndim - 1)))  # noqa: E731
        for level, sums in enumerate(down):
            begin, end = borders[level : level + 2]
            if begin == end:
                continue
            new = x[begin:end]
            if sums:
                new = new - sums(entries, x)
            if level == len(self.sizes):
                new = lax.optimization_barrier(new)[:, None]
                new = _product(inverse.swapaxes(0, 1) if transposed else inverse, new)[:, 0]
            elif transposed:
                new = new * entries[self.spans[level][0] :][: self.sizes[level]]
            if sums or transposed or level == len(self.sizes):
                x = put(x, lax.optimization_barrier(new), begin)
        for level in reversed(range(len(self.sizes))):
            begin, end = borders[level : level + 2]
            new, sums = x[begin:end], up[level]
            if sums:
                new = new - sums(entries, x)
            if not transposed:
                new = new * entries[self.spans[level][0] :][: self.sizes[level]]
            if sums or not transposed:
                x = put(x, lax.optimization_barrier(new), begin)
        return lax.optimization_barrier(x[self.back])


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


def _dense_tail(order: Sequence[Pivot], height: dict[int, int]) -> list[int]:
    """The last pivots, as many as fill a block densely."""
    best: list[int] = []
    for level in sorted(set(height.values()), reverse=True):
        tail = [pivot.index for pivot in order if height[pivot.index] >= level]
        inside = set(tail)
        filled = sum(
            1 + sum(i in inside for i in pivot.rows) + sum(j in inside for j in pivot.columns)
            for pivot in order
            if pivot.index in inside
        )
        if filled >= DENSE_ENOUGH * len(tail) ** 2:
            best = tail
    return best


def _cut(rows: list, sizes: list[int]) -> list[list]:
    borders = np.cumsum([0, *sizes, len(rows) - sum(sizes)])
    return [rows[begin:end] for begin, end in zip(borders, borders[1:], strict=False)]
