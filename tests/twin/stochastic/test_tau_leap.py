"""Tau-leaping against laws in closed form and the exact method, at many molecules and near extinction; refusals."""

from __future__ import annotations

import numpy as np
import pytest

from twin.errors import ExperimentError, SimulationError
from twin.model import Model, Parameter, Reaction, State
from twin.stochastic import simulate_jumps

RUNS = 2000
TIMES = np.array([0.5, 2.0, 6.0])

pytestmark = pytest.mark.xdist_group("jumps")


@pytest.fixture(scope="module")
def dimers() -> Model:
    return Model(
        "dimers",
        [State("A", 20000.0), State("B", 0.0)],
        [Parameter("on", 5e-5), Parameter("off", 0.3)],
        [Reaction("bind", "2 A -> B", "on * A * (A - 1) / 2"), Reaction("part", "B -> 2 A", "off * B")],
    )


def test_death_of_many_and_of_the_last() -> None:
    """Independent deaths are binomial at all times; the last molecules are critical and die one by one."""
    model = Model("death", [State("X", 10000.0)], [Parameter("out", 1.0)], [Reaction("death", "X ->", "out * X")])
    found = simulate_jumps(model, [1.0, 3.0, 9.0], runs=RUNS, seed=1, method="tau_leap")
    assert found.attrs["failed"] == 0
    counts = found["X"].to_numpy()
    assert (counts >= 0).all() and (counts == counts.round()).all()
    for time, seen in zip((1.0, 3.0, 9.0), counts.T, strict=True):
        share = np.exp(-time)
        mean, variance = 10000 * share, 10000 * share * (1 - share)
        # Explicit steps of length epsilon lag behind exponential decay by a share of epsilon t / 2.
        lag = 0.03 * time / 2
        assert seen.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / RUNS) + lag * mean)
        assert seen.var(ddof=1) == pytest.approx(variance, rel=4 * np.sqrt((2 + 1 / variance) / RUNS) + lag)


@pytest.mark.slow
def test_leaps_are_few_and_right(dimers: Model) -> None:
    found = simulate_jumps(dimers, TIMES, runs=RUNS, seed=2, method="tau_leap")
    assert (found["A"] + 2 * found["B"] == 20000).all()
    exact = simulate_jumps(dimers, TIMES, runs=200, seed=3)["B"].to_numpy()
    leaps = found["B"].to_numpy()
    for law, seen in zip(exact.T, leaps.T, strict=True):
        assert seen.mean() == pytest.approx(law.mean(), abs=4 * np.sqrt(law.var() / 200) + 0.002 * law.mean())
        assert seen.var() == pytest.approx(law.var(), rel=4 * np.sqrt(2 / 200))


def test_steepness_is_that_of_the_paper(dimers: Model) -> None:
    """Two molecules of one kind: g = 2 + 1 / (x - 1); one: 1 (Cao, Gillespie & Petzold 2006)."""
    import jax.numpy as jnp

    from twin.precision import float64
    from twin.stochastic.jump_process import JumpProcess

    process = JumpProcess(dimers)
    with float64():
        p = jnp.array([[5e-5, 5e-5], [0.3, 0.3]])
        rates, g = process.rates_and_steepness(jnp.array([[7.0, 100.0], [4.0, 0.0]]), p)
    np.testing.assert_allclose(g, [[2 + 1 / 6, 2 + 1 / 99], [1.0, 1.0]])
    np.testing.assert_allclose(rates[1], [1.2, 0.0])


def test_what_is_refused_or_fails(dimers: Model) -> None:
    with pytest.raises(ExperimentError, match="the method is 'tau'"):
        simulate_jumps(dimers, TIMES, method="tau")
    with pytest.raises(ExperimentError, match="epsilon is 2"):
        simulate_jumps(dimers, TIMES, method="tau_leap", epsilon=2)
    with pytest.raises(SimulationError, match="all 20 runs failed: 20 with more reactions than max_events"):
        simulate_jumps(dimers, TIMES, runs=20, seed=7, method="tau_leap", max_events=100)
