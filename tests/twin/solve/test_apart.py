"""Parts of a loop that are compiled by themselves: the same numbers, and XLA lets them be parts."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jaxtyping import Array
from test_relay import LANES, MODELS, of_parameters, parameters, taking_turns, value_and_gradient

from twin.precision import float64
from twin.solve import Tolerance, apart, rodas5p
from twin.solve.apart import apart_if_large


def _summed(x: Array) -> Array:
    """A loop whose every iteration has a part."""
    part = lambda x, count: (jnp.sin(x) * count, count + 1)  # noqa: E731

    def body(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, count, total = carry
        wave, count = apart_if_large(part, x, count, changing=total[0])
        return x + 0.1, count, total + wave

    return lax.while_loop(lambda carry: carry[1] < 5, body, (x, jnp.int32(0), jnp.zeros_like(x)))[2]


def _loops(function: Callable, *arguments: Array) -> int:
    """Loops in the machine code."""
    return jax.jit(function).lower(*arguments).compile().as_text().count(" while(")


def test_a_part_is_one_of_its_own_where_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    with float64():
        x = jnp.array([0.3, -1.0, np.nan])
        wanted = sum(count * np.sin(np.asarray(x) + 0.1 * count) for count in range(5))
        assert _loops(lambda x: _summed(x), x) == 1
        np.testing.assert_allclose(jax.jit(lambda x: _summed(x))(x), wanted, rtol=1e-14)
        monkeypatch.setattr(apart, "MOST_TOGETHER", 0)
        # XLA has not seen that the inner loop runs once, and has not compiled both as one function.
        assert _loops(lambda x: _summed(x), x) == 2
        np.testing.assert_allclose(jax.jit(lambda x: _summed(x))(x), wanted, rtol=1e-14)
        np.testing.assert_allclose(jax.jit(lambda x: _summed(x))(x[::-1]), wanted[::-1], rtol=1e-14)


def test_numbers_are_counted_in_what_loops_do_too() -> None:
    def code(x: Array) -> Array:
        return lax.fori_loop(0, 3, lambda _, x: 2.0 * x, x) + lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)

    traced = jax.make_jaxpr(code)(jnp.ones(7)).jaxpr
    assert apart._numbers_computed(traced) >= 7 * (1 + 1 + 1 + 1 + 1)  # product, loop, two branches, sum
    assert apart._numbers_computed(traced) < 7 * 12


@pytest.mark.parametrize(("name", "places"), [("oscillator", LANES), ("bouncing", 4)])
def test_the_adjoint_in_parts_is_the_adjoint(name: str, places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few places lanes take turns; with one for each they go side by side."""
    taking_turns(monkeypatch, places)
    tolerance, p = Tolerance(1e-8, 1e-10, 3000), parameters(name)
    (value, _), gradient = value_and_gradient(of_parameters(MODELS[name], tolerance), p)
    monkeypatch.setattr(apart, "MOST_TOGETHER", 0)
    monkeypatch.setattr(rodas5p, "MOST_WRITTEN_OUT", 0)
    (again, _), in_parts = value_and_gradient(of_parameters(MODELS[name], tolerance), p)
    assert float(again) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(in_parts, gradient, rtol=1e-9, atol=1e-11 * np.abs(gradient).max())
    total = lambda p: jnp.sum(of_parameters(MODELS[name], tolerance)(p).y ** 2)  # noqa: E731
    with float64():
        along = np.random.default_rng(2).normal(size=p.shape)
        _, curvature = jax.jit(lambda p: jax.jvp(jax.grad(total), (p,), (along,)))(p)
        monkeypatch.undo()
        _, wanted = jax.jit(lambda p: jax.jvp(jax.grad(total), (p,), (along,)))(p)
    np.testing.assert_allclose(curvature, wanted, rtol=1e-6, atol=1e-8 * np.abs(wanted).max())
