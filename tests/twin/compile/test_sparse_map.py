"""Constant sparse matrices over lanes: products, derivatives of both modes and orders, mapping."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import twin
from twin.compile.sparse_map import MOST_WRITTEN_OUT, SparseMap


@pytest.fixture(scope="module", params=["ones", "values", "long rows", "nothing"])
def case(request: pytest.FixtureRequest) -> tuple[SparseMap, np.ndarray]:
    rng = np.random.default_rng(0)
    count = {"ones": 20, "values": 20, "long rows": 6 * MOST_WRITTEN_OUT, "nothing": 0}[request.param]
    rows, columns = rng.integers(4, size=count), rng.integers(7, size=count)
    values = np.ones(count) if request.param == "ones" else rng.choice([1.0, -1.0, 2.5], count)
    matrix = np.zeros((4, 7))
    np.add.at(matrix, (rows, columns), values)
    return SparseMap(7, 4, zip(rows, columns, strict=True), values), matrix


def test_product_and_derivatives(case: tuple[SparseMap, np.ndarray]) -> None:
    table, matrix = case
    x = np.random.default_rng(1).normal(size=(7, 3))
    f = lambda x: jnp.sum(jnp.sin(table(x)))  # noqa: E731
    with twin.float64():
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)  # noqa: E731
        close(table(x), matrix @ x)
        close(jax.jit(table)(x), matrix @ x)
        close(table.transposed(matrix @ x), matrix.T @ (matrix @ x))
        close(jax.jit(jax.grad(f))(x), matrix.T @ np.cos(matrix @ x))
        close(jax.jvp(table, (x,), (2 * x,))[1], 2 * matrix @ x)
        hessian = jax.hessian(f)(x)[:, 1, :, 1]
        close(hessian, -matrix.T @ np.diag(np.sin(matrix @ x)[:, 1]) @ matrix)
        close(jax.vmap(table, in_axes=1, out_axes=1)(x), matrix @ x)
        close(jax.vmap(table)(np.stack([x, 2 * x])), np.stack([matrix @ x, 2 * matrix @ x]))


def test_rows_that_are_only_read() -> None:
    rows = [2, 0, 2]
    with twin.float64():
        x = jnp.arange(8.0).reshape(4, 2)
        np.testing.assert_array_equal(SparseMap.take(4, rows)(x), x[np.array(rows)])


def test_no_scatter_in_either_direction(case: tuple[SparseMap, np.ndarray]) -> None:
    table, _ = case
    text = jax.jit(jax.grad(lambda x: jnp.sum(table(x) ** 2))).lower(np.ones((7, 3))).as_text()
    assert "scatter" not in text
