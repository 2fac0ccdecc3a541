"""Vector fields that jump where a comparison of states changes: exact values, exact derivatives."""

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

MODEL = Model(
    "two speeds",
    [State("x", 0.0), State("w", 0.0)],
    [Parameter("a", 1.0), Parameter("fast", 2.0), Parameter("slow", 0.5), Parameter("phase", 0.3)],
    odes={"x": "piecewise(fast, x < a, slow)", "w": "piecewise(1, sin(time + phase) > 0, 0)"},
)


def closed_form(t: np.ndarray, p: Array) -> Array:
    a, fast, slow, phase = p
    moment = a / fast
    x = jnp.where(t < moment, fast * t, a + slow * (t - moment))
    # sin is positive up to pi - phase and again from 2 pi - phase on.
    w = jnp.minimum(t, jnp.pi - phase) + jnp.maximum(t - (2 * jnp.pi - phase), 0.0)
    return jnp.stack([x, w])


def test_values_and_derivatives() -> None:
    ts = np.array([0.2, 1.0, 3.0, 7.0])
    system = compile_model(MODEL)
    actions = collect_actions(system, [twin.Experiment()], [ts[-1]])
    p = np.array(list(MODEL.default_parameters.values()))

    def states(p: Array, mode: str) -> Array:
        schedule = make_schedule(system, actions, p[:, None, None])
        return integrate(system, schedule, method_named("rodas5p"), Tolerance(), jnp.asarray(ts[:, None]), mode).y[
            ..., 0
        ]

    weights = np.random.default_rng(8).normal(size=(2, len(ts)))
    with float64():
        expected = np.asarray(jax.jacfwd(lambda p: closed_form(ts, p))(p))
        np.testing.assert_allclose(
            jax.jit(lambda p: states(p, "reverse"))(p), closed_form(ts, p), rtol=1e-10, atol=1e-12
        )
        forward = jax.jit(jax.jacfwd(lambda p: states(p, "forward")))(p)
        gradient = jax.jit(jax.grad(lambda p: jnp.sum(weights * states(p, "reverse"))))(p)
    np.testing.assert_allclose(forward, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(gradient, np.einsum("st,stp->p", weights, expected), rtol=1e-9, atol=1e-9)


def test_switch_and_event_at_one_moment() -> None:
    """The rate ends and an event fires when x reaches 3, each by its own comparison."""
    model = Model(
        "filled",
        [State("x", 0.0)],
        odes={"x": "piecewise(1, x < 3, 0)"},
        events=[twin.Event("full", "x >= 3", {"x": "x + 10"})],
    )
    np.testing.assert_allclose(twin.simulate(model, [2.0, 2.9, 3.5, 9.0]).x, [2.0, 2.9, 13.0, 13.0], atol=1e-10)
