"""Derivatives of steady states by the implicit function theorem, and along the steps where it has no say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import twin
from twin.compile.system import compile_model
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.precision import float64
from twin.solve import Tolerance, integrate, method_named
from twin.solve.blocks import lanes_in_turn
from twin.solve.rest import SteadyStates
from twin.solve.segments import at_segment

pytestmark = pytest.mark.xdist_group("rest")

TOLERANCE = Tolerance(1e-10, 1e-12, 4096)
TS = np.array([0.0, 0.3, 1.0, np.inf])

# A and B turn into each other across the wall of a cell; C has no say in that.
CYCLE = twin.Model(
    "cycle",
    [twin.State("A", 1.0), twin.State("B", "b0", compartment="cell"), twin.State("C", 0.5)],
    [
        twin.Parameter("f", 0.7),
        twin.Parameter("r", 0.3),
        twin.Parameter("b0", 0.2),
        twin.Parameter("cell", 1.7),
        twin.Parameter("make", 1.1),
        twin.Parameter("loss", 0.4),
        twin.Parameter("dose", 0.9),
    ],
    [
        twin.Reaction("go", "A -> B", "f * A"),
        twin.Reaction("back", "B -> A", "r * B^2"),
        twin.Reaction("making", "-> C", "make * B"),
        twin.Reaction("losing", "C ->", "loss * C^1.5"),
    ],
)
DOSED = twin.Experiment([twin.Bolus("A", "dose", 0.4)], equilibrate=twin.Equilibration({"f": "0.5 * f"}))
PLAIN = twin.Experiment([twin.Bolus("A", "dose", 0.4)])
# Constraints are equations of the steady state, too.
BOUND = twin.Model(
    "bound",
    [twin.State("total", "t0"), twin.State("free", 0.3)],
    [twin.Parameter("t0", 0.8), twin.Parameter("make", 0.9), twin.Parameter("loss", 0.5), twin.Parameter("K", 0.4)],
    odes={"total": "make - loss * free"},
    constraints={"free": "free + free / (K + free) - total"},
)
# What A turned into depends on the whole way, and no linear law knows it.
BRANCHES = twin.Model(
    "branches",
    [twin.State("A", "a0"), twin.State("B", 0.0), twin.State("C", 0.0)],
    [twin.Parameter("a0", 2.0), twin.Parameter("k", 0.7), twin.Parameter("r", 0.4)],
    [twin.Reaction("left", "A -> B", "k * A"), twin.Reaction("right", "A -> C", "r * A")],
)
# The steady state of the slow state is far away, and the run ends on the way to it.
SLOW = twin.Model(
    "slow",
    [twin.State("X", "x0"), twin.State("Y", 0.0)],
    [twin.Parameter("x0", 2.0), twin.Parameter("k", 1e-18), twin.Parameter("make", 0.4)],
    odes={"X": "make * k - k * X", "Y": "X - Y"},
)


def states_of(
    model: twin.Model,
    experiments: Sequence[twin.Experiment],
    mode: str,
    settles: bool,
    tolerance: Tolerance = TOLERANCE,
) -> Callable[[Array], Array]:
    """From parameters to states [state, time, lane]."""
    system = compile_model(model)
    actions = collect_actions(system, experiments, [1.0] * len(experiments), [settles] * len(experiments))
    ts = TS if settles else TS[:-1]

    def function(p: Array) -> Array:
        wide = jnp.broadcast_to(p[:, None, None], (len(p), len(experiments), 1))
        schedule = make_schedule(system, actions, wide)
        samples = jnp.broadcast_to(ts[:, None], (len(ts), len(experiments)))
        return integrate(system, schedule, method_named("rodas5p"), tolerance, samples, mode).y

    return function


def defaults(model: twin.Model) -> np.ndarray:
    return np.array(list(model.default_parameters.values()))


def differences(function: Callable[[Array], Array], p: np.ndarray) -> np.ndarray:
    """Central differences of order 4."""
    function = jax.jit(function)
    columns = []
    for index in range(len(p)):
        h = np.zeros_like(p)
        h[index] = 2e-3 * p[index]
        moved = [np.asarray(function(p + k * h)) for k in (-2, -1, 1, 2)]
        columns.append((moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * h[index]))
    return np.stack(columns, axis=-1)


CASES = {
    "before_the_experiment": (CYCLE, [DOSED, PLAIN], False),
    "at_its_end": (CYCLE, [PLAIN], True),
    "both": (CYCLE, [DOSED, PLAIN], True),
    "with_a_constraint": (BOUND, [twin.Experiment(equilibrate=twin.Equilibration({"make": 0.3}))], True),
    "of_branches": (BRANCHES, [twin.Experiment(), twin.Experiment(parameters={"k": "2 * k"})], True),
}


@pytest.mark.parametrize("name", CASES)
def test_both_modes_equal_finite_differences(name: str) -> None:
    model, experiments, settles = CASES[name]
    p = defaults(model)
    with float64():
        expected = differences(states_of(model, experiments, "forward", settles), p)
        forward = jax.jit(jax.jacfwd(states_of(model, experiments, "forward", settles)))(p)
        weights = np.random.default_rng(1).normal(size=expected.shape[:-1])
        states = states_of(model, experiments, "reverse", settles)
        reverse = jax.jit(jax.grad(lambda p: jnp.sum(weights * states(p))))(p)
    assert np.abs(expected).max() > 0.1
    # Differences of order 4 in steps of 2e-3, and a tolerance of 1e-10 divided by these steps.
    np.testing.assert_allclose(forward, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(reverse, np.einsum("stl,stlp->p", weights, expected), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["both", "with_a_constraint"])
def test_second_derivatives(name: str) -> None:
    model, experiments, settles = CASES[name]
    p = defaults(model)
    states = states_of(model, experiments, "reverse", settles)
    with float64():
        weights = np.random.default_rng(2).normal(size=np.shape(states(jnp.asarray(p))))
        slope = jax.grad(lambda p: jnp.sum(weights * states(p)))
        actual = jax.jit(jax.jacfwd(slope))(p)
        expected = differences(slope, p)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(actual, actual.T, rtol=1e-6, atol=1e-6)


def test_many_lanes_that_take_turns() -> None:
    """Some run to steady state before, all at their end, some take many more steps than others."""
    experiments = [
        twin.Experiment(
            [twin.Bolus("A", "dose", 0.4)],
            parameters={"loss": f"{speed} * loss"},
            equilibrate=twin.Equilibration({"f": "0.5 * f"}) if index % 3 else None,
        )
        for index, speed in enumerate(np.geomspace(0.1, 100.0, 24).round(3))
    ]
    p = defaults(CYCLE)
    width, places = lanes_in_turn(compile_model(CYCLE), len(experiments), 1)
    assert places < width == len(experiments)
    with float64():
        forward = jax.jit(jax.jacfwd(states_of(CYCLE, experiments, "forward", True)))(p)
        weights = np.random.default_rng(3).normal(size=forward.shape[:-1])
        states = states_of(CYCLE, experiments, "reverse", True)
        reverse = jax.jit(jax.grad(lambda p: jnp.sum(weights * states(p))))(p)
    np.testing.assert_allclose(reverse, np.einsum("stl,stlp->p", weights, forward), rtol=1e-9, atol=1e-9)


def settled(model: twin.Model) -> SteadyStates:
    """The steady state at which the last segment of a plain experiment ends."""
    system = compile_model(model)
    actions = collect_actions(system, [twin.Experiment()], [1.0], [True])
    schedule = make_schedule(system, actions, jnp.asarray(defaults(model))[:, None, None])
    ts = jnp.array([[1.0], [jnp.inf]])
    begun, end = jnp.moveaxis(integrate(system, schedule, method_named("rodas5p"), TOLERANCE, ts).y, 1, 0)
    segment, _, _ = at_segment(schedule, jnp.array([schedule.segments - 1]))
    return SteadyStates.reached(system, TOLERANCE, segment, begun, end)


@pytest.mark.parametrize(
    ("model", "expected"), [(CYCLE, True), (BOUND, True), (BRANCHES, False), (SLOW, False)], ids=lambda x: str(x)[:9]
)
def test_where_the_theorem_determines_derivatives(model: twin.Model, expected: bool) -> None:
    with float64():
        assert bool(settled(model).determined[0]) == expected


def test_a_run_that_ends_on_a_slow_way_has_derivatives_of_where_it_ended() -> None:
    """By the equations at rest X would not depend on where it began; it has hardly moved from there."""
    for mode in ("forward", "reverse"):
        with float64():
            slope = jax.jacfwd if mode == "forward" else jax.jacrev
            actual = jax.jit(slope(states_of(SLOW, [twin.Experiment()], mode, True)))(defaults(SLOW))
        np.testing.assert_allclose(actual[:, -1, 0, 0], 1.0, rtol=1e-6)


def test_steps_to_a_steady_state_are_left_out() -> None:
    """Derivatives of the run are then those of where it ended: a coarse tolerance does not show in them."""
    p, coarse = defaults(CYCLE), Tolerance(1e-4, 1e-6, 4096)
    with float64():
        exact = jax.jit(jax.jacfwd(states_of(CYCLE, [PLAIN], "forward", True)))(p)[:, -1]
        for mode, slope in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
            actual = jax.jit(slope(states_of(CYCLE, [PLAIN], mode, True, coarse)))(p)[:, -1]
            # The steady state is found to 1e-6 (the last steps move it by less), though each step may err by 1e-4.
            np.testing.assert_allclose(actual, exact, rtol=1e-6, atol=1e-6)
