"""Linear systems of an implicit step by every kind of elimination, against dense LAPACK."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import twin
from twin.solve.levels import Levels
from twin.solve.linear import Dense, Levelled, LinearSystem, Sparse, differentiable_solver, linear_system
from twin.solve.sparse_lu import Position, elimination_order

LANES = 5


def chain(size: int) -> list[Position]:
    """A cascade of reactions: each state feeds the next."""
    return [(i, j) for i in range(size) for j in (i - 1, i) if j >= 0]


def hubs(size: int, count: int, seed: int = 0) -> list[Position]:
    """Most states meet a few others, which all meet each other: they are left as a dense block."""
    rng = np.random.default_rng(seed)
    pattern = {(i, i) for i in range(size)} | {(i, j) for i in range(count) for j in range(count)}
    for i in range(count, size):
        for hub in rng.choice(count, 2, replace=False).tolist():
            pattern |= {(i, hub), (hub, i)}
    return sorted(pattern)


PATTERNS = {
    "one state": [(0, 0)],
    "diagonal": [(i, i) for i in range(6)],
    "chain": chain(9),
    "ring": [*chain(8), (0, 7)],
    "hubs": hubs(40, 7),
    "dense": [(i, j) for i in range(6) for j in range(6)],
}


def of_kind(kind: str, mass: np.ndarray, pattern: list[Position]) -> LinearSystem:
    order = elimination_order(len(mass), pattern)
    if kind == "levels":
        return Levelled(mass, pattern, Levels(order, pattern))
    return Sparse(mass, pattern, order) if kind == "sparse" else Dense(mass, pattern)


@pytest.fixture(scope="module", params=PATTERNS)
def case(request: pytest.FixtureRequest):
    pattern = PATTERNS[request.param]
    size = 1 + max(i for i, _ in pattern)
    rng = np.random.default_rng(1)
    entries, shift = rng.normal(size=(len(pattern), LANES)), 30 + rng.random(LANES)
    mass = np.ones(size)
    if size > 5:  # a state that a constraint determines
        mass[3] = 0.0
        entries[pattern.index((3, 3))] += 20.0
    matrix = mass[:, None] * np.eye(size) * shift[:, None, None]
    for value, (i, j) in zip(entries, pattern, strict=True):
        matrix[:, i, j] -= value
    return mass, pattern, entries, shift, rng.normal(size=(size, LANES)), matrix


@pytest.mark.parametrize("kind", ["levels", "sparse", "dense"])
def test_solutions(case, kind: str) -> None:
    mass, pattern, entries, shift, right, matrix = case
    with twin.float64():
        linear = of_kind(kind, mass, pattern)
        given = jnp.asarray(entries), jnp.asarray(shift)
        factors = linear.factorise(*given)
        x, transposed = linear.solve(factors, jnp.asarray(right)), linear.solve_transposed(factors, jnp.asarray(right))
        product = linear.product(*given, jnp.asarray(right))
    np.testing.assert_allclose(x, np.linalg.solve(matrix, right.T[..., None])[..., 0].T, rtol=1e-10, atol=1e-14)
    by_numpy = np.linalg.solve(matrix.swapaxes(1, 2), right.T[..., None])[..., 0].T
    np.testing.assert_allclose(transposed, by_numpy, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(product, (matrix @ right.T[..., None])[..., 0].T, rtol=1e-12, atol=1e-13)


def test_derivatives_in_the_matrix(case) -> None:
    mass, pattern, entries, shift, right, matrix = case
    with twin.float64():
        linear = of_kind("levels", mass, pattern)

        def of_entries(entries: jax.Array) -> jax.Array:
            factors = linear.factorise(jax.lax.stop_gradient(entries), jnp.asarray(shift))
            solve = differentiable_solver(linear, factors, entries, jnp.asarray(shift))
            return jnp.sum(jnp.sin(solve(jnp.asarray(right))))

        gradient = jax.grad(of_entries)(jnp.asarray(entries))
    x = np.linalg.solve(matrix, right.T[..., None])[..., 0]
    adjoint = np.linalg.solve(matrix.swapaxes(1, 2), np.cos(x)[..., None])[..., 0]
    expected = [adjoint[:, i] * x[:, j] for i, j in pattern]  # W = shift M - J
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-14)


def test_what_is_taken_for_which_system() -> None:
    few = linear_system(np.ones(9), chain(9))
    many = linear_system(np.ones(60), hubs(60, 14))
    without_diagonal = linear_system(np.array([1.0, 0.0]), [(0, 1), (1, 0)])
    assert [type(each) for each in (few, many, without_diagonal)] == [Sparse, Levelled, Dense]
    assert len(many.levels.tail) == 14  # type: ignore[attr-defined]
