"""Derivatives of outputs in every kind of parameter: forward and reverse mode against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import twin
from twin.compile.system import System, compile_model
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.precision import float64
from twin.solve import Tolerance, integrate, method_named

pytestmark = pytest.mark.xdist_group("gradients")

TS = np.array([0.0, 0.5, 1.3, 2.2, 3.0, 4.1, 5.0])
TOLERANCE = Tolerance(1e-9, 1e-12, 2048)

MODEL = twin.Model(
    "everything",
    [twin.State("D", 0.0), twin.State("R", "r0"), twin.State("S", 0.1)],
    [
        twin.Parameter("ke", 0.6),
        twin.Parameter("n", 1.5),
        twin.Parameter("half", 0.8),
        twin.Parameter("make", 1.2),
        twin.Parameter("loss", 0.9),
        twin.Parameter("r0", 0.5),
        twin.Parameter("dose", 2.0),
        twin.Parameter("lag", 0.7),
        twin.Parameter("span", 1.1),
        twin.Parameter("on", 2.6),
        twin.Parameter("bright", 0.8),
        twin.Parameter("block", 0.4),
        twin.Parameter("wash", 3.4),
    ],
    odes={
        "D": "-ke * D",
        "R": "make - loss * R * (1 + D^n / (half^n + D^n)) + light * R",
        "S": "R - S * piecewise(1, time < on, 2) + max(0, on - time) * 0.3 * D",
    },
    inputs=[twin.Input("light", [1.0, 2.0, 4.5], [0.0, "bright", "0.5 * bright"])],
)
# From a steady state on: a bolus with lag, an infusion whose length is a parameter, a blocked loss, a wash-out.
EXPERIMENT = twin.Experiment(
    doses=[twin.Bolus("D", "dose", "lag"), twin.Infusion("D", "2 * dose", 1.6, "span")],
    changes=[twin.Change("loss", "loss * (1 - block)", "on + 0.3")],
    resets=[twin.Reset("D", "0.1 * dose", "wash")],
    equilibrate=twin.Equilibration({"make": "2 * make"}, horizon=1e4),
)


def outputs(
    system: System, experiment: twin.Experiment, mode: str, method: str = "rodas5p"
) -> Callable[[Array], Array]:
    """From parameters [parameter, draw] to states [state, time, draw]."""
    actions = collect_actions(system, [experiment], [TS[-1]])

    def function(p: Array) -> Array:
        schedule = make_schedule(system, actions, p[:, None, :])
        ts = jnp.broadcast_to(TS[:, None], (len(TS), p.shape[1]))
        return integrate(system, schedule, method_named(method), TOLERANCE, ts, mode).y

    return function


def finite_differences(function: Callable[[Array], Array], p: np.ndarray, step: float = 5e-3) -> np.ndarray:
    """Central differences of order 4, all in one batch; shape [state, time, parameter]."""
    h = step * np.abs(p)
    shifts = np.array([-2.0, -1.0, 1.0, 2.0])
    draws = p[:, None, None] + np.eye(len(p))[:, :, None] * h[:, None, None] * shifts
    y = np.asarray(jax.jit(function)(draws.reshape(len(p), -1)))
    y = y.reshape(*y.shape[:2], len(p), 4)
    return y @ np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * h[:, None])[:, 0]


@pytest.fixture(scope="module")
def system() -> System:
    return compile_model(MODEL)


@pytest.fixture(scope="module")
def expected(system: System) -> np.ndarray:
    p = np.array(list(MODEL.default_parameters.values()))
    with float64():
        return finite_differences(outputs(system, EXPERIMENT, "reverse"), p)


def check(actual: np.ndarray, expected: np.ndarray) -> None:
    # Truncation (5e-3)**4 and the solver's 1e-9 divided by 5e-3, both relative to the derivatives' size.
    assert np.isfinite(actual).all()
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())


def test_every_parameter_matters(expected: np.ndarray) -> None:
    for name, sensitivity in zip(MODEL.parameter_names, np.abs(expected).max(axis=(0, 1)), strict=True):
        # Only the start of the equilibration depends on r0.
        assert (sensitivity > 1e-2) == (name != "r0"), name


def test_reverse_mode_equals_finite_differences(system: System, expected: np.ndarray) -> None:
    p = np.array(list(MODEL.default_parameters.values()))
    weights = np.random.default_rng(3).normal(size=expected.shape[:2])
    with float64():
        function = outputs(system, EXPERIMENT, "reverse")
        actual = jax.jit(jax.grad(lambda v: jnp.sum(weights * function(v[:, None])[..., 0])))(p)
    check(np.asarray(actual), np.einsum("st,stp->p", weights, expected))


def test_forward_mode_equals_finite_differences(system: System, expected: np.ndarray) -> None:
    """Along a random direction, which sees every parameter."""
    p = np.array(list(MODEL.default_parameters.values()))
    direction = np.random.default_rng(4).normal(size=p.shape)
    with float64():
        function = outputs(system, EXPERIMENT, "forward")
        _, actual = jax.jit(lambda v, d: jax.jvp(lambda u: function(u[:, None])[..., 0], (v,), (d,)))(p, direction)
    check(np.asarray(actual), expected @ direction)


DECAY = twin.Model(
    "infused",
    [twin.State("A", 0.0)],
    [twin.Parameter("k", 0.5), twin.Parameter("span", 2.0), twin.Parameter("amount", 3.0)],
    odes={"A": "-k * A"},
)


TIMES = np.array([1.0, 2.0, 3.5, 5.0])


def infused(p: Array, mode: str, method: str) -> Array:
    """Amounts [time, draw] for parameters [parameter, draw]."""
    system = compile_model(DECAY)
    experiment = twin.Experiment([twin.Infusion("A", "amount", 0.0, "span")])
    schedule = make_schedule(system, collect_actions(system, [experiment], [TIMES[-1]]), p[:, None, :])
    ts = jnp.broadcast_to(TIMES[:, None], (len(TIMES), p.shape[1]))
    return integrate(system, schedule, method_named(method), TOLERANCE, ts, mode).y[0]


def infused_exactly(p: Array) -> Array:
    k, span, amount = p
    t = jnp.asarray(TIMES)[:, None]
    ended = amount / (k * span) * (jnp.exp(-k * (t - span)) - jnp.exp(-k * t))
    return jnp.where(t < span, amount / (k * span) * (1 - jnp.exp(-k * t)), ended)


DRAWS = np.array([[0.5, 0.5, 0.9], [2.0, 0.4, 4.0], [3.0, 2.0, 1.0]])
WEIGHTS = np.array([1.0, -2.0, 0.5, 3.0])[:, None]


@pytest.mark.parametrize("method", ["rodas5p", "tsit5"])
def test_reverse_mode_of_draws_together_and_under_vmap(method: str) -> None:
    """Also where a sample falls on the end of the infusion (draw 0): the derivative of what has just ended."""
    with float64():
        expected = jax.grad(lambda v: jnp.sum(WEIGHTS * infused_exactly(v)))(jnp.asarray(DRAWS))
        together = jax.jit(jax.grad(lambda v: jnp.sum(WEIGHTS * infused(v, "reverse", method))))(DRAWS)
        np.testing.assert_allclose(np.asarray(together), np.asarray(expected), rtol=1e-7, atol=1e-7)
        if method == "rodas5p":
            alone = jax.grad(lambda v: jnp.sum(WEIGHTS * infused(v[:, None], "reverse", method)))
            mapped = jax.jit(jax.vmap(alone, 1, 1))(DRAWS)
            np.testing.assert_allclose(np.asarray(mapped), np.asarray(together), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", ["rodas5p", "tsit5"])
def test_forward_mode_of_draws_together(method: str) -> None:
    direction = np.random.default_rng(5).normal(size=DRAWS.shape)
    with float64():
        _, expected = jax.jvp(infused_exactly, (jnp.asarray(DRAWS),), (jnp.asarray(direction),))
        solved = lambda v, d: jax.jvp(lambda u: infused(u, "forward", method), (v,), (d,))  # noqa: E731
        _, actual = jax.jit(solved)(DRAWS, direction)
        np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=1e-7, atol=1e-7)


def test_power_of_a_state_that_starts_at_zero() -> None:
    """The Jacobian of D**1.5 has an infinite derivative at D = 0, which must not spoil the gradient."""
    model = twin.Model(
        "hill",
        [twin.State("D", 0.0), twin.State("R", 0.0)],
        [twin.Parameter("n", 1.5), twin.Parameter("k", 0.7)],
        odes={"D": "k - k * D", "R": "(D / 2)^n"},
    )
    function = outputs(compile_model(model), twin.Experiment(), "reverse")
    p = np.array([1.5, 0.7])
    with float64():
        actual = jax.jit(jax.grad(lambda v: jnp.sum(function(v[:, None]))))(p)
        expected = finite_differences(function, p).sum(axis=(0, 1))
    check(np.asarray(actual), expected)


def test_cubic_input_values_are_differentiable() -> None:
    model = twin.Model(
        "driven",
        [twin.State("A", 0.0)],
        [twin.Parameter("peak", 2.0)],
        odes={"A": "u - A"},
        inputs=[twin.Input("u", [0.0, 1.0, 2.0, 4.0], [0.0, "peak", "peak / 2", 0.0], "cubic")],
    )
    function = outputs(compile_model(model), twin.Experiment(), "reverse")
    with float64():
        # Linear in the peak: the derivative is the solution for a peak of 1.
        total = jax.jit(jax.grad(lambda v: jnp.sum(function(v[:, None]))))(np.array([2.0]))
        unit = jax.jit(function)(np.array([[1.0]]))
        np.testing.assert_allclose(np.asarray(total)[0], np.asarray(unit).sum(), rtol=1e-7)
