"""A problem's functions under JAX's transformations: the numbers of a loop, the slopes of finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from calibration import Problem
from twin import Bolus, Experiment
from twin.model import Model
from twin.precision import float64
from twin.study import Estimate, Noise, Prior

THETA = np.array([0.1, -0.6, 0.2, -0.4])
MANY = THETA + 0.1 * np.random.default_rng(0).normal(size=(3, 4))


@pytest.fixture
def double_precision() -> Iterator[None]:
    with float64():
        yield


@pytest.fixture(scope="module")
def problem(oral: Model, table_of_rows: Callable[..., pd.DataFrame]) -> Problem:
    rows = [("e", s, "concentration", t, v) for s in "ab" for t, v in ((0.5, 3.0), (3.0, 5.0), (9.0, 2.5), (20.0, 0.4))]
    return Problem(
        oral,
        table_of_rows(rows, below=0.5),
        [
            Estimate("ka", 0.1, 10.0, prior=Prior("normal", 0.0, 0.5)),
            Estimate("ke", 0.01, 2.0, per="subject"),
            Estimate("sd", 0.01, 2.0, nominal=0.3),
        ],
        Noise("normal", "sd + 0.1 * concentration"),
        experiments={"e": Experiment(doses=(Bolus("gut", 60.0, every=8.0, count=2),))},
        rtol=1e-9,
        atol=1e-11,
    )


def differences(function: Callable, theta: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences, the parameter last."""
    shifts = step * np.eye(len(theta))
    columns = [(np.asarray(function(theta + d)) - np.asarray(function(theta - d))) / (2 * step) for d in shifts]
    return np.stack(columns, axis=-1)


@pytest.mark.slow
@pytest.mark.usefixtures("double_precision")
def test_derivatives_are_the_slopes(problem: Problem) -> None:
    for function in (problem.log_likelihood, problem.log_posterior):
        np.testing.assert_allclose(jax.grad(function)(THETA), differences(function, THETA), rtol=1e-5)
    for function in (problem.residuals, problem.simulate):
        expected = differences(function, THETA)
        for mode in (jax.jacfwd, jax.jacrev):
            np.testing.assert_allclose(mode(function)(THETA), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("double_precision")
def test_transformed_values_are_those_of_a_loop(problem: Problem) -> None:
    looped = np.array([problem.log_posterior(theta) for theta in MANY])
    assert len(set(looped)) == len(MANY)
    np.testing.assert_allclose(jax.jit(problem.log_posterior)(MANY[0]), looped[0], rtol=1e-10)
    np.testing.assert_allclose(jax.vmap(problem.log_posterior)(MANY), looped, rtol=1e-10)
    nested = jax.jit(jax.vmap(jax.vmap(problem.log_posterior)))(np.stack([MANY, MANY[::-1]]))
    np.testing.assert_allclose(nested, np.stack([looped, looped[::-1]]), rtol=1e-10)
    for function in (problem.residuals, problem.simulate):
        np.testing.assert_allclose(jax.vmap(function)(MANY)[1], function(MANY[1]), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("double_precision")
def test_transformed_derivatives_are_those_of_a_loop(problem: Problem) -> None:
    gradient = jax.jit(jax.grad(problem.log_likelihood))
    looped = np.stack([gradient(theta) for theta in MANY])
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(problem.log_likelihood)))(MANY), looped, rtol=1e-9)
    value, many = problem.log_likelihood_and_gradient_many(jnp.asarray(MANY))
    np.testing.assert_allclose(many, looped, rtol=1e-9)
    np.testing.assert_allclose(value, problem.log_likelihood_many(jnp.asarray(MANY)), rtol=1e-12)
    jacobian = jax.jit(jax.vmap(jax.jacrev(problem.residuals)))(MANY)
    np.testing.assert_allclose(jacobian[2], jax.jacfwd(problem.residuals)(MANY[2]), rtol=1e-9, atol=1e-12)


def test_works_where_the_precision_switch_is_off(problem: Problem) -> None:
    """Values are computed in float64; what JAX hands over from outside is float32 there."""
    assert not jax.config.jax_enable_x64
    with float64():
        expected, slope = float(problem.log_posterior(THETA)), np.asarray(jax.grad(problem.log_posterior)(THETA))
    value = problem.log_posterior(THETA)
    assert value.dtype == np.float64
    assert float(value) == pytest.approx(expected, rel=1e-12)
    assert float(jax.jit(problem.log_posterior)(THETA)) == pytest.approx(expected, rel=1e-5)
    near = {"rtol": 1e-5, "atol": 1e-5 * np.abs(slope).max()}
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(problem.log_posterior)))(THETA[None])[0], slope, **near)
    assert problem.simulate(THETA).dtype == problem.residuals(THETA).dtype == np.float64


@pytest.mark.usefixtures("double_precision")
def test_a_failed_integration_is_improbable_and_flat(
    explosion: Model, table_of_rows: Callable[..., pd.DataFrame]
) -> None:
    """x = 1 / (1 - k t) does not reach t = 2 for k > 0.5; its neighbours in the batch do not notice."""
    table = table_of_rows([("e", "1", "y", 1.0, 1.3), ("e", "1", "y", 2.0, 1.7)])
    problem = Problem(explosion, table, [Estimate("k", 0.01, 10.0)], Noise("normal", 0.2), max_steps=300)
    k = np.array([0.2, 0.8, 0.3, 5.0])
    thetas = np.log10(k)[:, None]
    value, gradient = problem.log_likelihood_and_gradient_many(jnp.asarray(thetas))
    np.testing.assert_array_equal(np.isfinite(value), k < 0.5)
    assert (np.asarray(value)[k > 0.5] == -np.inf).all()
    assert (np.asarray(gradient)[k > 0.5] == 0.0).all()
    mapped = jax.vmap(jax.grad(problem.log_likelihood))(thetas)
    np.testing.assert_allclose(mapped, gradient, rtol=1e-10)
    # d/d(log10 k) of the log-likelihood of x = 1 / (1 - k t)
    for index in (0, 2):
        x = 1 / (1 - k[index] * np.array([1.0, 2.0]))
        slope = np.sum((np.array([1.3, 1.7]) - x) / 0.2**2 * x**2 * np.array([1.0, 2.0])) * k[index] * np.log(10)
        assert float(gradient[index, 0]) == pytest.approx(slope, rel=1e-4)
    assert float(problem.log_posterior(thetas[1])) == -np.inf
    assert np.isfinite(float(jax.grad(problem.log_posterior)(thetas[1])[0]))
    pointwise = np.asarray(problem.pointwise_many(jnp.asarray(thetas)))
    assert not np.isnan(pointwise).any()
