"""Arithmetic by primitives: the operators' values and programs, with operators where something must be converted."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import twin
from twin.compile import arithmetic

BINARY = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
}
LANES = jnp.array([0.5, -2.0, 3.0], jnp.float32)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param(LANES, LANES[::-1], id="arrays"),
        pytest.param(LANES, 2.5, id="array-number"),
        pytest.param(2.5, LANES, id="number-array"),
        pytest.param(1.5, 2.5, id="numbers"),
        pytest.param(LANES, LANES[0], id="scalar-array"),
        pytest.param(LANES, LANES[None], id="broadcast"),
        pytest.param(LANES, jnp.arange(1, 4), id="integers"),
        pytest.param(jnp.arange(1, 4), 2.5, id="integers-number"),
        pytest.param(LANES > 0, LANES, id="booleans"),
    ],
)
def test_operators_results(name, a, b):
    expected = BINARY[name](a, b)
    found = getattr(arithmetic, name)(a, b)
    assert jnp.result_type(found) == jnp.result_type(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", BINARY)
def test_operators_programs(name):
    ours, theirs = getattr(arithmetic, name), BINARY[name]
    with twin.float64():
        x, y = jnp.arange(1.0, 4.0), jnp.arange(2.0, 5.0)
        for other in (y, 2.5):
            assert str(jax.make_jaxpr(lambda a, b=other: ours(a, b))(x)) == str(
                jax.make_jaxpr(lambda a, b=other: theirs(a, b))(x)
            )
        pushed = [jax.jvp(jax.vmap(f), (x, y), (y, x)) for f in (ours, theirs)]
    np.testing.assert_array_equal(pushed[0], pushed[1])


def test_negative():
    np.testing.assert_array_equal(arithmetic.negative(LANES), -LANES)
    assert arithmetic.negative(1.5) == -1.5
