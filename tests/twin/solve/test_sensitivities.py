"""Tangents carried along accepted steps equal those that JAX derives from the whole loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import twin
from tests.twin.solve.test_gradients import EXPERIMENT, MODEL
from twin.compile.system import MOST_WRITTEN_OUT, compile_model
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.precision import float64
from twin.solve import Tolerance, method_named
from twin.solve.loop import Loop
from twin.solve.sensitivities import with_tangents

pytestmark = pytest.mark.xdist_group("gradients")

TS = np.array([0.0, 0.5, 1.3, 2.2, 3.0, 3.01, 3.02, 4.1, 5.0])
TOLERANCE = Tolerance(1e-8, 1e-10, 2048)

BALL = twin.Model(
    "ball",
    [twin.State("h", 1.0), twin.State("v", 0.0), twin.State("drag", 0.0)],
    [twin.Parameter("g", 9.81), twin.Parameter("bounce", 0.8), twin.Parameter("fast", 1.2)],
    odes={"h": "v", "v": "-g", "drag": "piecewise(v, v > fast, 0.1 * fast) - drag"},
    events=[twin.Event("bounces", "h < 0", {"v": "-bounce * v"}), twin.Event("late", "drag > 0.2", {"v": "v + 0.1"})],
)
CONSTRAINED = twin.Model(
    "constrained",
    [twin.State("a", 1.0), twin.State("b", 0.5), twin.State("q", 0.4)],
    [twin.Parameter("k", 0.7), twin.Parameter("extra", 0.5)],
    odes={"a": "-k * a * b + sin(time)", "b": "k * a^2 - q * b"},
    constraints={"q": "q^3 + q - a"},
)
SPIKES = twin.Model(
    "oscillator",
    [twin.State("x", 2.0), twin.State("y", 0.0)],
    [twin.Parameter("mu", 20.0), twin.Parameter("pull", 1.0)],
    odes={"x": "20 * y", "y": "20 * (mu * (1 - x^2) * y - pull * x)"},
)
LONG = MOST_WRITTEN_OUT + 3
CHAIN = twin.Model(
    "chain",
    [twin.State(f"x{i}", float(i == 0)) for i in range(LONG)],
    [twin.Parameter("k", 9.0), twin.Parameter("loss", 0.3)],
    odes={f"x{i}": (f"k * x{i - 1} - " if i else "-") + f"(k + loss * x{(i + 5) % LONG}) * x{i}" for i in range(LONG)},
)
CASES = {
    "everything": (MODEL, EXPERIMENT, "rodas5p"),
    # An explicit method does not come to steady states.
    "everything, explicit": (MODEL, dataclasses.replace(EXPERIMENT, equilibrate=None), "tsit5"),
    "events": (BALL, twin.Experiment(), "rodas5p"),
    "constraints": (CONSTRAINED, twin.Experiment([twin.Bolus("b", "extra", 2.0)]), "rodas5p"),
    "rejected steps": (SPIKES, twin.Experiment(), "rodas5p"),
    "large": (CHAIN, twin.Experiment(), "rodas5p"),
}


def solutions(case: str) -> tuple[Callable[[Array], tuple], Callable[[Array], tuple], np.ndarray]:
    """Samples and end for parameters [parameter, lane], by tangents along the steps and by the loop itself; and those
    parameters."""
    model, experiment, name = CASES[case]
    system, method = compile_model(model), method_named(name)
    actions = collect_actions(system, [experiment], [TS[-1]])

    def run(p: Array, by_hand: bool) -> tuple:
        schedule = make_schedule(system, actions, p[:, None, :])
        ts = jnp.broadcast_to(TS[:, None], (len(TS), p.shape[1]))
        if by_hand:
            ended = with_tangents(system, method, TOLERANCE, schedule, ts)
        else:
            ended = Loop(system, method, TOLERANCE, schedule, ts).run()
        return jnp.moveaxis(ended.passed.y, 0, -1)[:-1], ended.z

    p = np.array(list(model.default_parameters.values()))
    return lambda p: run(p, True), lambda p: run(p, False), p


def close(actual: tuple, expected: tuple) -> None:
    # Both differentiate the same steps: only rounding differs.
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert np.isfinite(other).all()
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8 * np.abs(other).max())


def pushed(solve: Callable[[Array], tuple], p: Array, directions: Array) -> tuple:
    """Values and derivatives along directions [direction, parameter, lane]."""
    return jax.vmap(lambda d: jax.jvp(solve, (p,), (d,)), out_axes=(None, 0))(directions)


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=pytest.mark.slow if name == "large" else ()) for name in CASES]
)
@pytest.mark.parametrize("lanes", [1, 3])
def test_tangents_are_those_of_the_loop(case: str, lanes: int) -> None:
    """Also where lanes wait, steps are rejected, several samples lie in one step and directions are filled up."""
    by_hand, derived, p = solutions(case)
    rng = np.random.default_rng(1)
    with float64():
        points = p[:, None] * (1.0 + 0.1 * np.arange(lanes))
        directions = rng.normal(size=(3, len(p), lanes)) * p[:, None]
        actual = jax.jit(lambda p, d: pushed(by_hand, p, d))(points, directions)
        expected = jax.jit(lambda p, d: pushed(derived, p, d))(points, directions)
    close(actual, expected)


def test_rejected_steps_are_among_the_cases() -> None:
    model, experiment, name = CASES["rejected steps"]
    system = compile_model(model)
    with float64():
        actions = collect_actions(system, [experiment], [TS[-1]])
        schedule = make_schedule(system, actions, jnp.array(list(model.default_parameters.values()))[:, None, None])
        loop = Loop(system, method_named(name), TOLERANCE, schedule, jnp.asarray(TS[:, None]))
        c = loop.first()
        _, nodes, count = jax.jit(lambda c: loop.page(c, loop.blank(c, 400), jnp.int32(400)))(c)
    lengths = np.asarray(nodes.length)[: int(count), 0]
    assert 5 < (lengths == 0).sum() < count / 2


def test_one_direction_without_a_map() -> None:
    by_hand, derived, p = solutions("constraints")
    with float64():
        push = lambda solve: jax.jit(lambda p: jax.jvp(solve, (p,), (p,)))(p[:, None])  # noqa: E731
        close(push(by_hand), push(derived))


def test_vectors_under_a_map_of_their_own() -> None:
    """A map over what is integrated, outside the map over directions and inside it."""
    by_hand, _, p = solutions("constraints")
    samples = lambda p: by_hand(p[:, None])[0][..., 0]  # noqa: E731
    with float64():
        points = p * np.array([1.0, 1.1, 1.3])[:, None]
        outside = jax.jit(jax.vmap(jax.jacfwd(samples)))(points)
        alone = jnp.stack([jax.jit(jax.jacfwd(samples))(point) for point in points])
        np.testing.assert_allclose(outside, alone, rtol=1e-10, atol=1e-12)
        inside = jax.jit(jax.jacfwd(jax.vmap(samples)))(points)
        diagonal = jnp.stack([inside[i, ..., i, :] for i in range(3)])
        np.testing.assert_allclose(diagonal, alone, rtol=1e-10, atol=1e-12)


def test_second_derivatives() -> None:
    by_hand, derived, p = solutions("constraints")
    with float64():
        second = lambda solve: jax.jit(jax.jacfwd(jax.jacfwd(lambda p: solve(p[:, None]))))(p)  # noqa: E731
        close(second(by_hand), second(derived))


def test_sample_times_that_move() -> None:
    system = compile_model(CONSTRAINED)
    actions = collect_actions(system, [twin.Experiment()], [TS[-1]])
    p = np.array(list(CONSTRAINED.default_parameters.values()))[:, None, None]

    def samples(ts: Array) -> Array:
        schedule = make_schedule(system, actions, p)
        return with_tangents(system, method_named("rodas5p"), TOLERANCE, schedule, ts[:, None]).passed.y[0, :, :2]

    with float64():
        ts = TS[1:-1]
        y, slopes = jax.jit(lambda ts: jax.jvp(samples, (ts,), (jnp.ones_like(ts),)))(ts)
        t, y = jnp.asarray(ts), y[: len(ts)]
        a, b = y.T
        expected = -0.7 * a * b + jnp.sin(t)
    # The interpolant is of order 4: its slope is less exact than its values.
    np.testing.assert_allclose(slopes[: len(ts), 0], expected, rtol=1e-4, atol=1e-4)
