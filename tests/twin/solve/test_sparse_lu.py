"""Sparse elimination without pivoting equals NumPy's dense solve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.precision import float64
from twin.solve.sparse_lu import elimination_order, factorise, solve, solve_transposed


@st.composite
def systems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A diagonally dominant matrix [row, column, lane] with random zeros, and a right-hand side [row, lane]."""
    size, lanes = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pattern = rng.random((size, size)) < draw(st.floats(0.0, 1.0))
    np.fill_diagonal(pattern, True)
    matrix = pattern[..., None] * rng.normal(size=(size, size, lanes))
    diagonal = np.arange(size)
    sign = rng.choice([-1.0, 1.0], (size, lanes))
    matrix[diagonal, diagonal] = sign * (np.abs(matrix).sum(axis=1) + 0.1)
    return matrix, rng.normal(size=(size, lanes))


@settings(max_examples=150, deadline=None)
@given(systems())
def test_solution_equals_numpy(system: tuple[np.ndarray, np.ndarray]) -> None:
    matrix, right = system
    size = len(right)
    entries = {(i, j): matrix[i, j] for i in range(size) for j in range(size) if matrix[i, j].any()}
    order = elimination_order(size, entries)
    with float64():
        factors = factorise(entries, order)
        solutions = np.array(solve(factors, order, right)), np.array(solve_transposed(factors, order, right))
    dense = np.moveaxis(matrix, -1, 0)
    for solution, each in zip(solutions, (dense, np.swapaxes(dense, 1, 2)), strict=True):
        expected = np.linalg.solve(each, right.T[..., None])[..., 0].T
        np.testing.assert_allclose(solution, expected, rtol=1e-10, atol=1e-12)


def test_factors_leave_the_matrix_as_it_was() -> None:
    entries = {(0, 0): np.array([2.0]), (0, 1): np.array([1.0]), (1, 0): np.array([1.0]), (1, 1): np.array([3.0])}
    before = {key: value.copy() for key, value in entries.items()}
    factorise(entries, elimination_order(2, entries))
    assert entries == before


@pytest.mark.parametrize("size", [3, 6])
def test_arrow_is_eliminated_without_fill(size: int) -> None:
    """Markowitz keeps the dense row and column of an arrow for last."""
    pattern = [(0, i) for i in range(size)] + [(i, 0) for i in range(size)]
    order = elimination_order(size, pattern)
    # The last two are equivalent; before them every pivot touches only the hub.
    assert all(pivot.rows == (0,) == pivot.columns for pivot in order[: size - 2])
    assert sum(len(pivot.rows) * len(pivot.columns) for pivot in order) == size - 1
