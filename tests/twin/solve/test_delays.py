"""Delay differential equations: closed forms by the method of steps, histories, derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import twin
from twin import Model, Parameter, State
from twin.compile.system import compile_model
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.precision import float64
from twin.solve import Tolerance, integrate, method_named

pytestmark = pytest.mark.xdist_group("gradients")


def test_method_of_steps() -> None:
    """x' = -x(t - 1), x = 1 before 0: polynomials between whole times."""
    model = Model("steps", [State("x", 1.0)], odes={"x": "-delay(x, 1)"})
    t = np.linspace(0, 2, 21)
    expected = np.where(t < 1, 1 - t, 1 - t + (t - 1) ** 2 / 2)
    np.testing.assert_allclose(twin.simulate(model, t).x, expected, rtol=1e-8, atol=1e-9)


def test_outputs_that_look_back() -> None:
    model = Model(
        "looking back",
        [State("x", 0.0, history="sin(time)")],
        [Parameter("lag", 0.5)],
        odes={"x": "cos(time)"},
        assignments=[twin.Assignment("twice", "delay(delay(x, lag), lag)")],
    )
    t = np.linspace(0, 3, 13)
    ds = twin.simulate(model, t, variables=["delay(x, lag)", "twice", "delay(time^2, lag)", "delay(x, time / 2)"])
    np.testing.assert_allclose(ds["delay(x, lag)"], np.sin(t - 0.5), atol=1e-8)
    np.testing.assert_allclose(ds["twice"], np.sin(t - 1.0), atol=1e-8)
    np.testing.assert_allclose(ds["delay(time^2, lag)"], (t - 0.5) ** 2, atol=1e-12)
    np.testing.assert_allclose(ds["delay(x, time / 2)"], np.sin(t / 2), atol=1e-8)


def test_derivatives_in_the_lag_and_the_history() -> None:
    """Growth with a delayed brake (Hutchinson), both modes against differences."""
    model = Model(
        "hutchinson",
        [State("x", "x0", history="x0 * (1 + slope * time)")],
        [Parameter("r", 1.4), Parameter("lag", 0.8), Parameter("x0", 0.3), Parameter("slope", 0.2)],
        odes={"x": "r * x * (1 - delay(x, lag))"},
    )
    ts = np.array([0.5, 1.7, 3.1, 5.0])
    system = compile_model(model)
    actions = collect_actions(system, [twin.Experiment()], [ts[-1]])
    p = np.array(list(model.default_parameters.values()))

    def states(p: Array, mode: str) -> Array:
        schedule = make_schedule(system, actions, p[:, None, :])
        exact, at = Tolerance(1e-9, 1e-11, 2048), jnp.tile(ts[:, None], p.shape[1])
        return integrate(system, schedule, method_named("rodas5p"), exact, at, mode).y

    weights = np.random.default_rng(7).normal(size=(1, len(ts)))
    step = 1e-4
    with float64():
        shifts = step * np.array([-2.0, -1.0, 1.0, 2.0])
        draws = p[:, None, None] + np.eye(len(p))[:, :, None] * shifts
        y = np.asarray(jax.jit(lambda v: states(v, "reverse"))(draws.reshape(len(p), -1)))
        y = y.reshape(1, len(ts), len(p), 4)
        expected = y @ np.array([1.0, -8.0, 8.0, -1.0]) / (12 * step)
        forward = jax.jit(jax.jacfwd(lambda v: states(v[:, None], "forward")[..., 0]))(p)
        gradient = jax.jit(jax.grad(lambda v: jnp.sum(weights * states(v[:, None], "reverse")[..., 0])))(p)
    assert (np.abs(expected).max(axis=(0, 1)) > 1e-3).all()
    # Steps that come to be taken or not as a parameter moves leave noise of the tolerance over the step.
    scale = np.abs(expected).max()
    np.testing.assert_allclose(forward, expected, rtol=1e-4, atol=1e-5 * scale)
    np.testing.assert_allclose(np.asarray(gradient), np.einsum("st,stp->p", weights, np.asarray(forward)), rtol=1e-6)


def test_derivatives_are_refused_where_the_past_jumps() -> None:
    """A jump comes back after the lag, at a moment that moves: not differentiated, so not silently wrong."""
    model = Model("dosed", [State("x", 1.0)], [Parameter("k", 1.0)], odes={"x": "-k * delay(x, 1)"})
    system = compile_model(model)
    actions = collect_actions(system, [twin.Experiment([twin.Bolus("x", 1.0, 0.5)])], [2.0])

    def final(p: Array, mode: str) -> Array:
        schedule = make_schedule(system, actions, p[:, None, None])
        return integrate(system, schedule, method_named("rodas5p"), Tolerance(), jnp.full((1, 1), 2.0), mode).y.sum()

    with float64():
        assert np.isfinite(final(np.ones(1), "reverse"))
        for mode, derivative in (("reverse", jax.grad), ("forward", jax.jacfwd)):
            with pytest.raises(twin.errors.UnsupportedModelError, match="the past jumps"):
                derivative(lambda p, mode=mode: final(p, mode))(np.ones(1))


def test_steady_states_of_delayed_systems_are_refused() -> None:
    model = Model("loop", [State("x", 0.5)], odes={"x": "1 - delay(x, 1)"})
    with pytest.raises(twin.errors.UnsupportedModelError, match="look back in time"):
        twin.simulate(model, [1.0], experiment=twin.Experiment(equilibrate=twin.Equilibration()))
