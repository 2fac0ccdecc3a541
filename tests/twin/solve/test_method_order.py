"""Every method converges with its order, and Robertson's stiff problem comes out to six digits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import twin
from twin.compile.system import compile_model
from twin.precision import float64
from twin.solve import METHODS, Segment, method_named
from twin.solve.method import interpolate

# y' = f(t, y) - f(t, x(t)) + x'(t) has the solution x(t), here (exp(sin t), 2 + cos 2t), whatever f is.
FORCED = twin.Model(
    "forced",
    [twin.State("x", 1.0), twin.State("y", 3.0)],
    [twin.Parameter("k", 0.3)],
    odes={
        "x": "-k * x^2 * y + k * exp(2 * sin(time)) * (2 + cos(2 * time)) + cos(time) * exp(sin(time))",
        "y": "k * (x^3 - exp(3 * sin(time))) - sin(time) * (y^2 - (2 + cos(2 * time))^2) - 2 * sin(2 * time)",
    },
)


def exact(t: float) -> np.ndarray:
    return np.array([np.exp(np.sin(t)), 2.0 + np.cos(2.0 * t)])


def largest_error(method: str, steps: int, end: float = 2.0) -> float:
    """Largest error along a trajectory of equal steps."""
    system = compile_model(FORCED)
    with float64():
        step = jax.jit(method_named(method).stepper(system))
        h = end / steps
        segment = Segment(jnp.full((1, 1), 0.3), jnp.zeros((2, 1)), jnp.full(1, end / 2), jnp.ones(1), jnp.zeros(1))
        y = jnp.asarray(exact(0.0))[:, None]
        errors = []
        for i in range(steps):
            y = step(segment, jnp.full(1, i * h), y, jnp.full(1, h)).y
            errors.append(np.abs(np.asarray(y)[:, 0] - exact((i + 1) * h)).max())
    return max(errors)


@pytest.mark.parametrize("method", list(METHODS))
def test_convergence_order(method: str) -> None:
    counts = np.array([40, 80, 160])
    errors = [largest_error(method, int(n)) for n in counts]
    orders = np.diff(np.log(errors)) / -np.diff(np.log(counts))
    assert METHODS[method].order == 5
    np.testing.assert_allclose(orders, 5.0, atol=0.3)


@pytest.mark.parametrize("method", list(METHODS))
def test_error_estimate_has_its_order(method: str) -> None:
    """The estimate is that of the embedded solution of order 4: locally h^5."""
    system = compile_model(FORCED)
    with float64():
        step = jax.jit(method_named(method).stepper(system))
        h = jnp.array([0.04, 0.02, 0.01])
        segment = Segment(jnp.full((1, 3), 0.3), jnp.zeros((2, 3)), jnp.full(3, 0.5), jnp.ones(3), jnp.zeros(3))
        error = step(segment, jnp.full(3, 0.3), jnp.broadcast_to(exact(0.3)[:, None], (2, 3)), h).error
    sizes = np.abs(np.asarray(error)).max(axis=0)
    np.testing.assert_allclose(np.diff(np.log2(sizes)), -5.0, atol=0.5)


@pytest.mark.parametrize("method", list(METHODS))
def test_interpolant_is_of_order_4(method: str) -> None:
    """Between the ends of a step the error is of order h^5, and at its end the interpolant is the step itself."""
    system = compile_model(FORCED)
    start, h = np.asarray(exact(0.3))[:, None], np.array([0.04, 0.02, 0.01])
    with float64():
        segment = Segment(jnp.full((1, 3), 0.3), jnp.zeros((2, 3)), jnp.full(3, 0.5), jnp.ones(3), jnp.zeros(3))
        y = jnp.broadcast_to(start, (2, 3))
        stepped = jax.jit(method_named(method).stepper(system))(segment, jnp.full(3, 0.3), y, h)
        inside = [np.asarray(interpolate(jnp.full(3, theta), y, stepped.course)) for theta in (0.2, 0.5, 0.8)]
        np.testing.assert_allclose(interpolate(jnp.ones(3), y, stepped.course), stepped.y, rtol=1e-12)
    truth = [np.stack([exact(0.3 + theta * each) for each in h], axis=1) for theta in (0.2, 0.5, 0.8)]
    errors = np.abs(np.array(inside) - np.array(truth)).max(axis=(0, 1))
    np.testing.assert_allclose(np.diff(np.log2(errors)), -5.0, atol=0.3)


@pytest.mark.parametrize(("method", "rtol"), [("rodas5p", 1e-5), ("rodas5p", 1e-9), ("tsit5", 1e-9)])
def test_adaptive_steps_follow_the_tolerance(method: str, rtol: float) -> None:
    ts = np.linspace(0.0, 3.0, 7)
    expected = np.array([exact(t) for t in ts]).T
    ds = twin.simulate(FORCED, ts, solver=method, rtol=rtol, atol=rtol)
    np.testing.assert_allclose([ds.x, ds.y], expected, rtol=20 * rtol, atol=20 * rtol)


ROBERTSON = twin.Model(
    "robertson",
    [twin.State("A", 1.0), twin.State("B", 0.0), twin.State("C", 0.0)],
    [twin.Parameter("k1", 0.04), twin.Parameter("k2", 3e7), twin.Parameter("k3", 1e4)],
    reactions=[
        twin.Reaction("r1", "A -> B", "k1 * A"),
        twin.Reaction("r2", "2 B -> B + C", "k2 * B^2"),
        twin.Reaction("r3", "B + C -> A + C", "k3 * B * C"),
    ],
    conserved=[twin.ConservedTotal("mass", "A + B + C")],
)


def test_robertson_to_six_digits() -> None:
    """H. H. Robertson (1966); in every state, by relative error, at each decade up to 1e5."""
    ts = np.array([0.0, *(4.0 * 10.0 ** np.arange(-1, 5)), 1e5])
    ds = twin.simulate(ROBERTSON, ts)
    actual = np.array([ds.A, ds.B, ds.C])

    def rhs(t: float, y: np.ndarray) -> list[float]:
        r1, r2, r3 = 0.04 * y[0], 3e7 * y[1] ** 2, 1e4 * y[1] * y[2]
        return [-r1 + r3, r1 - r2 - r3, r2]

    def jacobian(t: float, y: np.ndarray) -> list[list[float]]:
        quick = [0.04, -6e7 * y[1] - 1e4 * y[2], -1e4 * y[1]]
        return [[-0.04, 1e4 * y[2], 1e4 * y[1]], quick, [0.0, 6e7 * y[1], 0.0]]

    reference = solve_ivp(rhs, (0.0, 1e5), [1.0, 0, 0], "Radau", ts, rtol=1e-12, atol=1e-18, jac=jacobian)
    np.testing.assert_allclose(actual[:, 1:], reference.y[:, 1:], rtol=1e-6)
    # As SUNDIALS' example cvRoberts_dns prints it at t = 40, to four digits.
    np.testing.assert_allclose(actual[:, 3], [0.7158, 9.185e-6, 0.2842], rtol=5e-4)
    np.testing.assert_allclose(actual.sum(axis=0), 1.0, rtol=1e-12)
