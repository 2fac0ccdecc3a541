"""Observables of one shape, evaluated together, give what each gives by itself."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import twin
from calibration import Problem
from calibration.readout import Trajectory
from twin.study import Estimate, Noise

OBSERVABLES = {
    "a_scaled": "k_a + gain * A / total",
    "b_scaled": "k_b + gain * B / total",
    "late": "A * piecewise(0, time < 2.5, 1)",
    "sum_of_both": "0.3 * A + 0.7 * B",
    "other_sum": "0.9 * A + 0.1 * B",
}


@pytest.fixture(scope="module")
def problem() -> Problem:
    model = twin.Model(
        name="two states",
        states=[twin.State("A", 1.0), twin.State("B", 0.0)],
        parameters=[twin.Parameter(name, 0.3) for name in ("k", "gain", "total", "k_a", "k_b")],
        reactions=[twin.Reaction("conversion", "A -> B", "k * A")],
        observables=[twin.Observable(name, formula) for name, formula in OBSERVABLES.items()],
    )
    times = [0.5, 2.0, 4.0]
    rows = [(name, time, 0.5 + 0.1 * index) for index, name in enumerate(OBSERVABLES) for time in times]
    table = pd.DataFrame(rows, columns=["observable", "time", "value"]).sample(frac=1.0, random_state=0)
    noise = {name: Noise("normal", "sd * (1 + 0.2 * a_scaled)" if name == "a_scaled" else "sd") for name in OBSERVABLES}
    estimates = [Estimate(name, 1e-3, 1e3, "log10", nominal=0.3) for name in ("k", "gain", "k_a", "sd")]
    return Problem(model, table.reset_index(drop=True), estimates, noise)


def _trajectory(problem: Problem, draws: int) -> Trajectory:
    rng, system = np.random.default_rng(1), problem.bindings.system
    readings = len(problem.bindings.lane)
    t = np.repeat(problem.measurements.table["time"].to_numpy()[:, None], draws, axis=1)
    states, parameters = (rng.uniform(0.5, 2.0, (len(n), readings, draws)) for n in (system.states, system.parameters))
    return Trajectory(jnp.asarray(t), jnp.asarray(states), jnp.asarray(parameters))


def test_shapes_are_shared(problem: Problem) -> None:
    alike = problem.predictor.readout._alike
    assert alike is not None
    # a_scaled has a noise scale of its own; the two sums differ in numbers only.
    assert len(alike._groups) == 4


def test_values_scales_and_derivatives_are_those_of_each_observable(problem: Problem) -> None:
    readout = problem.predictor.readout
    with twin.float64():
        trajectory = _trajectory(problem, 3)
        direct = jnp.asarray(np.random.default_rng(2).uniform(0.5, 2.0, (len(readout.names), len(trajectory.t), 3)))

        def total(trajectory: Trajectory, direct: jax.Array):
            value, scale = readout(trajectory, direct)
            return jnp.sum(jnp.sin(value)) + jnp.sum(jnp.cos(scale)), (value, scale)

        together, of_together = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(trajectory, direct)
        readout._alike, alike = None, readout._alike
        try:
            apart, of_apart = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(trajectory, direct)
        finally:
            readout._alike = alike
    for ours, theirs in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    for ours, theirs in zip(jax.tree.leaves(of_together), jax.tree.leaves(of_apart), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_values_are_the_formulas(problem: Problem) -> None:
    readout, table = problem.predictor.readout, problem.measurements.table
    with twin.float64():
        trajectory = _trajectory(problem, 1)
        direct = jnp.full((len(readout.names), len(table), 1), 0.7)
        value, scale = (np.asarray(x)[:, 0] for x in readout(trajectory, direct))
    system = problem.bindings.system
    a, b = (np.asarray(trajectory.y)[system.states.index(name), :, 0] for name in "AB")
    of = {name: np.asarray(trajectory.params)[i, :, 0] for i, name in enumerate(system.parameters)}
    of |= dict.fromkeys(readout.names, np.full(len(table), 0.7))
    expected = {
        "a_scaled": of["k_a"] + of["gain"] * a / of["total"],
        "b_scaled": of["k_b"] + of["gain"] * b / of["total"],
        "late": np.where(table["time"] < 2.5, 0.0, a),
        "sum_of_both": 0.3 * a + 0.7 * b,
        "other_sum": 0.9 * a + 0.1 * b,
    }
    for row, name in enumerate(table["observable"]):
        assert value[row] == pytest.approx(expected[name][row], rel=1e-13)
        spread = 0.7 * (1 + 0.2 * value[row]) if name == "a_scaled" else 0.7
        assert scale[row] == pytest.approx(spread, rel=1e-13)
