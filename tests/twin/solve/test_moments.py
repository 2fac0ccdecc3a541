"""Functions whose value is known: computed as cheaply, with all derivatives of the formula."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from twin.precision import float64
from twin.solve.moments import valued_as

type _Point = tuple[Array, Array]


def _value(point: _Point, shift: Array, kind: Array) -> Array:
    return 1.0 * point[0]


def _formula(point: _Point, shift: Array, kind: Array) -> Array:
    """As a course followed for a while; the shift is zero in value."""
    y, rate = point
    return jnp.where(kind > 0, y + shift * rate * jnp.sin(y) + (shift * rate) ** 2 * y, y)


def _moved(function, x: Array) -> Array:
    """Of all that moves with x, a moment among it."""
    shift = x**2 - lax.stop_gradient(x**2)
    return function((jnp.stack([x, 2.0 * x]), jnp.array([3.0, 0.5])), shift, jnp.array([1, 0]))


def _refused(*arguments) -> Array:
    raise AssertionError("the formula is not needed for the value")


def test_the_value_asks_for_no_formula() -> None:
    with float64():
        x = jnp.asarray(0.7)
        found = jax.jit(lambda x: _moved(valued_as(_value, _refused), x))(x)
        np.testing.assert_array_equal(found, [0.7, 1.4])


def test_derivatives_of_every_order_and_mode_are_those_of_the_formula() -> None:
    known = lambda x: _moved(valued_as(_value, _formula), x)  # noqa: E731
    whole = lambda x: _moved(_formula, x)  # noqa: E731
    modes = (
        jax.jacfwd,
        jax.jacrev,
        lambda f: jax.jacfwd(jax.jacfwd(f)),
        lambda f: jax.jacfwd(jax.jacrev(f)),
        lambda f: jax.jacrev(jax.jacrev(f)),
    )
    with float64():
        x = jnp.asarray(0.7)
        for mode in modes:
            found, wanted = jax.jit(mode(known))(x), mode(whole)(x)
            np.testing.assert_allclose(found, wanted, rtol=1e-14)
        first, second = jax.jacfwd(known)(x), jax.jacfwd(jax.jacfwd(known))(x)
        # By hand: the shift moves by 2 x dx + dx^2, and only the first entry follows it.
        np.testing.assert_allclose(first, [1.0 + 1.4 * 3.0 * np.sin(0.7), 2.0], rtol=1e-14)
        by_hand = 2 * 3.0 * np.sin(0.7) + 2 * 1.4 * 3.0 * np.cos(0.7) + 2 * (1.4 * 3.0) ** 2 * 0.7
        np.testing.assert_allclose(second, [by_hand, 0.0], rtol=1e-14)


def test_it_can_be_mapped_and_put_into_loops() -> None:
    known = lambda x: _moved(valued_as(_value, _formula), x)  # noqa: E731

    def summed(x: Array) -> Array:
        return lax.scan(lambda total, _: (total + jnp.sum(known(x + total)), None), 0.0, jnp.arange(3))[0]

    def summed_whole(x: Array) -> Array:
        total = 0.0
        for _ in range(3):
            total = total + jnp.sum(_moved(_formula, x + total))
        return total

    with float64():
        xs = jnp.linspace(0.1, 0.4, 4)
        np.testing.assert_allclose(jax.vmap(jax.grad(summed))(xs), jax.vmap(jax.grad(summed_whole))(xs), rtol=1e-12)
