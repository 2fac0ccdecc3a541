"""Functions of many vectors compile once, and changed copies of a problem do not inherit them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.compiled import compiled
from calibration.problem import Problem
from twin.solve import Tolerance


class Owner:
    """Counts how often its method is traced."""

    def __init__(self) -> None:
        self.traced = 0
        self.programs = {}

    @compiled
    def twice(self, x: jax.Array) -> jax.Array:
        self.traced += 1
        return 2.0 * x


def test_each_shape_is_traced_once() -> None:
    owner = Owner()
    for shape in ((3,), (3,), (2, 2), (3,)):
        assert owner.twice(np.ones(shape)).dtype == jnp.float64
    assert owner.traced == 2
    assert Owner().twice(np.ones(3)).shape == (3,)


def test_jax_traces_through() -> None:
    """Inside a compiled function the method is part of it; derivatives pass."""
    owner = Owner()
    with jax.enable_x64(True):
        slope = jax.grad(lambda x: jnp.sum(owner.twice(x)))(jnp.ones(3))
    np.testing.assert_array_equal(slope, 2.0)
    assert not owner.programs


def test_changed_copies_have_their_own(theophylline: Problem) -> None:
    """A looser copy gives its own value, not that of what the first one compiled."""

    def value(problem: Problem) -> float:
        return np.asarray(problem.log_likelihood_many(problem.nominal[None])).item()

    first = value(theophylline)
    loose = theophylline.with_tolerance(Tolerance(1e-2, 1e-2, 1000))
    half = theophylline.with_rows(np.arange(len(theophylline.measurements)) % 2 == 0)
    assert abs(value(loose) - first) > 1e-8
    assert abs(value(half) - first) > 1.0
    assert value(theophylline) == first


@pytest.fixture(scope="module")
def theophylline() -> Problem:
    """The library's study."""
    return Problem.from_study("theophylline")
