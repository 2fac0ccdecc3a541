"""Hessians and their products with vectors, against closed forms, differences of the gradient, and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from calibration import Problem
from twin import Bolus, Event, Experiment
from twin.errors import ProblemError
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.precision import float64
from twin.study import Estimate, Noise, Prior

# An explicit method: few operations to compile. Its steps are exactly what is differentiated.
EXACT = {"solver": "tsit5", "rtol": 1e-9, "atol": 1e-11}
THETA = np.array([0.1, -0.6, -0.4])
MANY = THETA + 0.1 * np.random.default_rng(0).normal(size=(2, 3))
DIRECTIONS = np.random.default_rng(1).normal(size=(4, 3))
DECAY = np.array([0.5, 2.0])
TIMES, READINGS, SD = np.array([0.5, 1.0, 2.0, 4.0]), np.array([1.4, 1.3, 0.9, 0.2]), 0.3


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    with float64():
        yield


@pytest.fixture(scope="module")
def dosed(oral: Model, table_of_rows: Callable[..., pd.DataFrame]) -> Problem:
    rows = [("e", "a", "concentration", t, v) for t, v in ((0.5, 3.0), (3.0, 5.0), (9.0, 2.5), (20.0, 0.4))]
    return Problem(
        oral,
        table_of_rows(rows, below=0.5),
        [
            Estimate("ka", 0.1, 10.0, prior=Prior("normal", 0.0, 0.5)),
            Estimate("ke", 0.01, 2.0),
            Estimate("sd", 0.01, 2.0, nominal=0.3),
        ],
        Noise("normal", "sd + 0.1 * concentration"),
        experiments={"e": Experiment(doses=(Bolus("gut", 60.0, every=8.0, count=2),))},
        **EXACT,
    )


@pytest.fixture(scope="module")
def decaying(decay: Model, table_of_rows: Callable[..., pd.DataFrame]) -> Problem:
    rows = [("e", "1", "y", t, v) for t, v in zip(TIMES, READINGS, strict=True)]
    estimates = [Estimate(name, 0.01, 10.0, scale="lin") for name in ("k", "A0")]
    return Problem(decay, table_of_rows(rows), estimates, Noise("normal", SD), **EXACT)


def along(function: Callable) -> Callable:
    """Gradient and Hessian-vector product."""
    return jax.jit(lambda theta, v: jax.jvp(jax.grad(function), (theta,), (v,)))


@pytest.fixture(scope="module")
def product(dosed: Problem) -> Callable:
    """Compiled once for all tests of this file."""
    return along(dosed.log_posterior)


@pytest.fixture(scope="module")
def hessian(dosed: Problem) -> np.ndarray:
    with float64():
        return np.asarray(jax.jit(jax.hessian(dosed.log_posterior))(THETA))


def test_hessian_of_a_decay_is_that_of_its_closed_form(decaying: Problem) -> None:
    """With A0 alone it is that of a linear Gaussian problem: -sum exp(-2 k t) / sd^2."""
    rate, start = DECAY
    decayed = np.exp(-rate * TIMES)
    slope = np.stack([-TIMES * start * decayed, decayed])
    curve = np.array([[TIMES**2 * start * decayed, -TIMES * decayed], [-TIMES * decayed, 0 * TIMES]])
    expected = ((READINGS - start * decayed) * curve - slope[:, None] * slope).sum(axis=-1) / SD**2
    actual = jax.jit(jax.hessian(decaying.log_likelihood))(DECAY)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert expected[1, 1] == pytest.approx(-np.sum(decayed**2) / SD**2)


def test_product_is_the_slope_of_the_gradient(product: Callable) -> None:
    step = 1e-4
    for v in DIRECTIONS[:2]:
        gradients = [np.asarray(product(THETA + shift * v, v)[0]) for shift in step * np.array([-2, -1, 1, 2])]
        slope = np.array([1, -8, 8, -1]) @ gradients / (12 * step)
        actual = np.asarray(product(THETA, v)[1])
        # Steps are held fixed in the derivative, not in the difference: what is left is of the order of rtol / step.
        np.testing.assert_allclose(actual, slope, atol=1e-5 * np.abs(slope).max())


def test_hessian_is_symmetric_and_gives_the_products(hessian: np.ndarray, product: Callable) -> None:
    # Steps are the same in both derivatives, so round-off is all that tells the halves apart.
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12 * np.abs(hessian).max())
    for v in DIRECTIONS:
        np.testing.assert_allclose(product(THETA, v)[1], hessian @ v, rtol=1e-9)


@pytest.mark.slow
def test_mapped_products_are_those_of_a_loop(dosed: Problem, product: Callable) -> None:
    """Over directions and, nested, over vectors: lanes of one solve."""
    lanes = []

    def recorded(thetas):
        lanes.append(thetas.shape[0])
        return original(thetas)

    looped = np.array([[product(theta, v)[1] for v in DIRECTIONS] for theta in MANY])
    over = jax.vmap(along(dosed.log_posterior).__wrapped__, in_axes=(None, 0))
    both = jax.jit(jax.vmap(over, in_axes=(0, None)))
    original = dosed.predict_many
    dosed.predict_many = recorded  # type: ignore[method-assign]
    try:
        np.testing.assert_allclose(both(MANY, DIRECTIONS)[1], looped, rtol=1e-8)
    finally:
        del dosed.predict_many
    assert max(lanes) == MANY.shape[0] * DIRECTIONS.shape[0]


def test_reverse_over_reverse_and_third_derivatives_are_refused(dosed: Problem) -> None:
    v = DIRECTIONS[0]
    with pytest.raises(NotImplementedError, match="custom_vmap"):
        jax.eval_shape(jax.grad(lambda theta: jax.grad(dosed.log_likelihood)(theta) @ v), THETA)
    with pytest.raises(ProblemError, match="third derivative"):
        jax.eval_shape(jax.jacfwd(jax.hessian(dosed.log_likelihood)), THETA)


def test_sums_of_squares_of_residuals_have_the_hessian_of_the_likelihood(decaying: Problem) -> None:
    """Forward over forward mode through residuals, forward over reverse mode through the likelihood."""
    table = decaying.measurements.table
    # Implicit steps, and coarse ones: the Hessian is exactly that of the discrete solution all the same.
    problem = Problem(decaying.model, table, decaying.estimates, decaying.noise, solver="rodas5p", rtol=1e-4, atol=1e-6)
    squares = jax.jit(jax.jacfwd(jax.jacrev(lambda theta: -0.5 * jnp.sum(problem.residuals(theta) ** 2))))(DECAY)
    hessian = np.asarray(jax.jit(jax.hessian(problem.log_likelihood))(DECAY))
    np.testing.assert_allclose(hessian, squares, atol=1e-11 * np.abs(hessian).max())
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12 * np.abs(hessian).max())


@pytest.mark.slow
def test_through_moments_that_move(table_of_rows: Callable[..., pd.DataFrame]) -> None:
    """An event triggered by a state, executed after a delay that is estimated."""
    model = Model(
        "halved",
        [State("A", "A0")],
        [Parameter("k", 0.5), Parameter("A0", 2.0), Parameter("lag", 0.2)],
        odes={"A": "-k * A * (1 + 0.3 * A)"},
        observables=[Observable("y", "A")],
        events=[Event("halve", "A < 1.2", {"A": "A / 2 + 0.1 * time"}, delay="lag", from_trigger_time=False)],
    )
    table = table_of_rows([("e", "1", "y", t, v) for t, v in ((0.5, 1.9), (1.4, 0.9), (2.0, 0.8))])
    estimates = [Estimate(name, 0.01, 10.0, scale="lin") for name in ("k", "A0", "lag")]
    problem = Problem(model, table, estimates, Noise("normal", 0.2), **EXACT)
    theta = np.asarray(problem.nominal)
    gradient, step = jax.jit(jax.grad(problem.log_likelihood)), 1e-5
    slopes = [(gradient(theta + d) - gradient(theta - d)) / (2 * step) for d in step * np.eye(3)]
    hessian = np.asarray(jax.jit(jax.hessian(problem.log_likelihood))(theta))
    np.testing.assert_allclose(hessian, slopes, atol=1e-6 * np.abs(hessian).max())
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9 * np.abs(hessian).max())
