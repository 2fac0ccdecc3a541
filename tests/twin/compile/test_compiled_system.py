"""Symbolic derivatives, switch times, measured inputs and the `System` made of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy.interpolate import CubicSpline

import twin
from twin.compile.inputs import input_curve
from twin.compile.switches import TIME, decide_by_segment, expose_switches, switch_times
from twin.compile.system import System, compile_model
from twin.model.derivative import derivatives
from twin.precision import float64

X, Y, N, ON = sp.symbols("x y n on", real=True)
FROZEN = frozenset({TIME, N, ON})


@pytest.mark.parametrize(
    "expression",
    [
        (X / Y) ** N / (1 + (X / Y) ** N),
        sp.Abs(X**N - 1) * Y,
        sp.Max(X**N, Y, X * Y),
        sp.Min(sp.log(X), Y) + sp.Abs(sp.log(X)),
        sp.floor(X) * X + sp.sign(X - Y) * Y**2 + sp.ceiling(Y) * X,
        sp.Piecewise((X**2.5, X < Y), (X * sp.exp(Y), True)),
        sp.sech(X) + sp.coth(Y) + sp.acot(X),
        sp.sqrt(X * Y) + (X + Y) ** -1.5,
    ],
    ids=str,
)
def test_derivatives_equal_finite_differences(expression: sp.Expr) -> None:
    function = sp.lambdify([X, Y, N], expression, "mpmath")
    at = (1.3, 0.7, 1.6)
    for position, derivative in enumerate(derivatives(expression, [X, Y])):
        value = float(sp.lambdify([X, Y, N], derivative, "mpmath")(*at))
        h = 1e-5
        ahead, behind = (function(*(a + s * h * (i == position) for i, a in enumerate(at))) for s in (1, -1))
        # Truncation h**2 and rounding eps/h.
        np.testing.assert_allclose(value, float(ahead - behind) / (2 * h), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("expression", [X**N, (X / Y) ** N, (X / Y) ** 2.5, (X * Y) ** 1.5])
def test_derivative_of_a_power_is_finite_at_zero(expression: sp.Expr) -> None:
    (derivative,) = derivatives(expression, [X])
    assert derivative.subs({X: 0, Y: 2.0, N: 1.5}) == 0


def test_switch_times_are_solved() -> None:
    expression = sp.Piecewise((1, sp.And(TIME >= ON, TIME < ON + 2 * N)), (0, True)) * X
    expression += sp.Piecewise((X, X > 1), (0, True))
    assert set(switch_times([expression], FROZEN)) == {ON, ON + 2 * N}


def test_every_pair_of_a_maximum_can_switch() -> None:
    exposed = expose_switches(sp.Max(TIME - 3, 1 - TIME, 0), FROZEN)
    assert not exposed.has(sp.Max)
    assert {2, 1, 3} == set(switch_times([exposed], FROZEN))
    for time, value in ((0.0, 1.0), (2.0, 0.0), (4.5, 1.5)):
        assert float(exposed.subs(TIME, time)) == value


@pytest.mark.parametrize("node", [sp.Abs(TIME - ON), sp.sign(TIME - ON), sp.Min(TIME, ON), sp.Heaviside(TIME - ON)])
def test_exposed_switches_keep_their_value(node: sp.Expr) -> None:
    exposed = expose_switches(node, FROZEN)
    assert exposed.has(sp.Piecewise)
    for time in (1.0, 2.0, 3.0):
        at = {TIME: time, ON: 2.0}
        assert float(exposed.subs(at)) == float(node.subs(at))


@pytest.mark.parametrize("node", [sp.Max(0, sp.sin(TIME)), sp.Abs(X - TIME), sp.Max(N, ON)])
def test_kinks_that_cannot_be_solved_are_left(node: sp.Expr) -> None:
    assert expose_switches(node, FROZEN) == node
    assert switch_times([node], FROZEN) == ()


@pytest.mark.parametrize("edge", [sp.sin(TIME), TIME**2 - N])
def test_jump_at_a_time_that_cannot_be_solved_is_left_to_the_step_control(edge: sp.Expr) -> None:
    jump = sp.Piecewise((1, edge > 0), (0, True))
    assert switch_times([jump], FROZEN) == ()
    assert decide_by_segment(jump, FROZEN) == jump


KNOTS = np.array([0.0, 1.0, 2.5, 4.0, 7.0])
VALUES = np.array([0.0, 2.0, 1.0, 3.0, 0.5])


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_input_equals_scipy(interpolation: str) -> None:
    t = np.array([-1.0, 0.0, 0.4, 1.0, 3.3, 6.999, 7.0, 9.0])
    with float64():
        values = jnp.broadcast_to(VALUES[:, None], (5, len(t)))
        value, slope = map(np.asarray, input_curve(KNOTS, interpolation)(jnp.asarray(t), jnp.asarray(t), values))
    inside = np.clip(t, 0.0, 7.0)
    if interpolation == "linear":
        expected = np.interp(inside, KNOTS, VALUES)
    else:
        spline = CubicSpline(KNOTS, VALUES, bc_type="natural")
        expected = spline(inside)
        np.testing.assert_allclose(slope[1:-1], spline(t[1:-1], 1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-14)
    assert slope[0] == slope[-1] == 0.0


def test_input_is_one_polynomial_within_a_segment() -> None:
    """At the end of a segment the interval is still that of the segment's midpoint."""
    with float64():
        curve = input_curve(KNOTS, "linear")
        values = jnp.asarray(VALUES)[:, None]
        slope = np.asarray(curve(jnp.array([1.0]), jnp.array([0.5]), values)[1])
    assert slope[0] == 2.0


@pytest.fixture(scope="module")
def system() -> System:
    return compile_model(
        twin.Model(
            "mixed",
            [twin.State("A", "a0"), twin.State("B", 0.5), twin.State("C", 1.0)],
            [twin.Parameter("k", 0.7), twin.Parameter("n", 1.5), twin.Parameter("a0", 2.0)],
            reactions=[twin.Reaction("r", "A -> 2 B", "k * A * u")],
            odes={"B": "-B^n / (1 + B^n) + sin(time) * B"},
            inputs=[twin.Input("u", KNOTS.tolist(), [0.0, "k", 1.0, "2 * k", 0.5], "cubic")],
        )
    )


def test_repr_says_the_size(system: System) -> None:
    assert repr(system) == "System('mixed', 3 states, 3 parameters, 3 non-zeros in the Jacobian)"
    assert system.jacobian_pattern == ((0, 0), (1, 0), (1, 1))
    np.testing.assert_array_equal(system.knots, KNOTS)


def test_linearisation_equals_automatic_differentiation(system: System) -> None:
    with float64():
        t, mid = jnp.array([3.1]), jnp.array([3.0])
        y, p = jnp.array([[1.5], [0.4], [1.0]]), jnp.array([[0.7], [1.5], [2.0]])
        entries, by_time = system.linearise(t, mid, y, p)
        both = jax.jit(jax.jacfwd(system.vector_field, argnums=(0, 2)))(t, mid, y, p)
        slope, dense = (np.asarray(x) for x in both)
    assembled = np.zeros((3, 3))
    for position, value in zip(system.jacobian_pattern, entries, strict=True):
        assembled[position] = value[0]
    np.testing.assert_allclose(assembled, dense[:, 0, :, 0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(by_time[:, 0], slope[:, 0, 0], rtol=1e-12, atol=1e-14)


def test_initial_and_outputs(system: System) -> None:
    with float64():
        p = jnp.array([[0.7], [1.5], [4.0]])
        y = system.initial(p)
        np.testing.assert_array_equal(y[:, 0], [4.0, 0.5, 1.0])
        expressions = [system.model.expand(system.model.formula(text)) for text in ("A + B", "r", "u", "3")]
        t = jnp.array([1.0])
        outputs = system.outputs(expressions, t, t, y, p)
    np.testing.assert_allclose(outputs[:, 0], [4.5, 0.7 * 4.0 * 0.7, 0.7, 3.0], rtol=1e-14)


def test_equal_models_share_a_system(system: System) -> None:
    copy = system.model.with_parameters(k=0.7)
    assert compile_model(copy) is system
    assert compile_model(system.model.with_parameters(k=0.8)) is not system
