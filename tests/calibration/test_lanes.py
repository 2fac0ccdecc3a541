"""Functions written for many vectors behave under every transformation like the functions of one they stand for."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.lanes import batched, differentiable
from twin.precision import float64

THETA = np.array([0.3, -1.2, 0.7])
MANY = np.random.default_rng(0).normal(size=(4, 3))
MATRIX = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    with float64():
        yield


def plain(theta):
    """From [parameter] to [2]."""
    return jnp.sin(MATRIX @ theta)


def of_many(thetas):
    return jnp.sin(thetas @ MATRIX.T)


def with_jacobian(thetas):
    return of_many(thetas), jnp.cos(thetas @ MATRIX.T)[..., None] * MATRIX


function = differentiable(of_many, with_jacobian)


def test_called_with_numbers_it_is_one_program_which_is_kept() -> None:
    def steps(thetas):
        return jnp.sinc(jnp.tanh(thetas) ** 3) * jnp.cosh(thetas - 0.25)

    compiled: list[float] = []

    def record(event: str, seconds: float, **_: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(seconds)

    merged, given = batched(steps), jnp.asarray(MANY)
    jax.monitoring.register_event_duration_secs_listener(record)
    try:
        first = np.asarray(merged(given))
        assert len(compiled) == 1
        second = np.asarray(merged(given))
        assert len(compiled) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(record)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, np.sinc(np.tanh(MANY) ** 3) * np.cosh(MANY - 0.25), rtol=1e-12)


def test_mapped_axes_are_merged_into_one_call() -> None:
    shapes = []

    def record(thetas):
        shapes.append(thetas.shape)
        return {"sum": jnp.sum(thetas, axis=-1), "square": thetas**2}

    merged = batched(record)
    nested = np.random.default_rng(1).normal(size=(5, 4, 2, 3))
    result = jax.vmap(jax.vmap(merged))(nested)
    np.testing.assert_allclose(result["sum"], nested.sum(axis=-1))
    np.testing.assert_allclose(result["square"], nested**2)
    assert shapes[-1] == (40, 3)


def test_an_unmapped_argument_is_repeated() -> None:
    result = jax.vmap(lambda scale: scale * batched(of_many)(jnp.asarray(MANY)))(jnp.arange(3.0))
    np.testing.assert_allclose(result, np.arange(3.0)[:, None, None] * np.asarray(of_many(MANY)))


@pytest.mark.parametrize("jit", [False, True])
def test_values_and_derivatives_of_one_vector(jit: bool) -> None:
    wrap = jax.jit if jit else lambda f: f
    np.testing.assert_allclose(wrap(function)(THETA), plain(THETA), rtol=1e-14)
    expected = jax.jacfwd(plain)(THETA)
    np.testing.assert_allclose(wrap(jax.jacfwd(function))(THETA), expected, rtol=1e-12)
    np.testing.assert_allclose(wrap(jax.jacrev(function))(THETA), expected, rtol=1e-12)
    direction = np.array([1.0, -2.0, 0.5])
    value, tangent = jax.jvp(function, (THETA,), (direction,))
    np.testing.assert_allclose(value, plain(THETA), rtol=1e-14)
    np.testing.assert_allclose(tangent, expected @ direction, rtol=1e-12)


def test_mapped_derivatives_are_those_of_a_loop() -> None:
    def loss(f):
        return lambda theta: jnp.sum(f(theta) ** 2)

    expected = np.stack([jax.grad(loss(plain))(theta) for theta in MANY])
    np.testing.assert_allclose(jax.vmap(jax.grad(loss(function)))(MANY), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(loss(function))))(MANY), expected, rtol=1e-12)
    total = jax.grad(lambda thetas: jnp.sum(jax.vmap(loss(function))(thetas)))(MANY)
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    nested = jax.vmap(jax.vmap(jax.jacrev(function)))(np.stack([MANY, 2 * MANY]))
    np.testing.assert_allclose(nested[1, 2], jax.jacfwd(plain)(2 * MANY[2]), rtol=1e-12)


def test_loops_and_branches_inside_reach_the_lanes() -> None:
    """As a sampler does: the function inside a scan that is mapped over chains."""

    def descend(theta):
        def step(theta, _):
            return theta - 0.1 * jax.grad(lambda x: jnp.sum(function(x) ** 2))(theta), None

        return jax.lax.scan(step, theta, None, length=3)[0]

    expected = MANY.copy()
    for _ in range(3):
        expected = expected - 0.1 * np.stack([jax.grad(lambda x: jnp.sum(plain(x) ** 2))(t) for t in expected])
    np.testing.assert_allclose(jax.jit(jax.vmap(descend))(MANY), expected, rtol=1e-12)
