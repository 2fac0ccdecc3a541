"""The chemical Langevin equation: moments in closed form and of the jump process, convergence in the step, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from twin.errors import ExperimentError, SimulationError
from twin.model import Model, Parameter, Reaction, State
from twin.stochastic import simulate_jumps, simulate_langevin

RUNS = 4000
TIMES = np.array([0.0, 0.5, 2.0, 6.0])

pytestmark = pytest.mark.xdist_group("jumps")


@pytest.fixture(scope="module")
def immigration() -> Model:
    return Model(
        "immigration",
        [State("X", 0.0)],
        [Parameter("into", 400.0), Parameter("out", 0.5)],
        [Reaction("arrival", "-> X", "into"), Reaction("death", "X ->", "out * X")],
    )


def close_moments(found: np.ndarray, mean: float, variance: float, bias: float) -> None:
    """Mean and variance of normal runs within four standard errors, and the bias of the step."""
    assert found.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / RUNS) + bias * mean)
    assert found.var(ddof=1) == pytest.approx(variance, rel=4 * np.sqrt(2 / RUNS) + bias)


def test_immigration_and_death_at_many_molecules(immigration: Model) -> None:
    """Mean and variance of the linear process are those of Poisson's law, in both descriptions."""
    found = simulate_langevin(immigration, TIMES, runs=RUNS, seed=1)
    assert found["X"].dims == ("run", "time") and found.attrs["failed"] == 0
    assert found.attrs["dt"] == pytest.approx(0.04)
    for time in TIMES[1:]:
        mean = 800 * (1 - np.exp(-0.5 * time))
        close_moments(found["X"].sel(time=time).to_numpy(), mean, mean, 0.01)


@pytest.mark.slow
def test_dimerisation_as_the_jump_process_at_many_molecules() -> None:
    model = Model(
        "dimers",
        [State("A", 1000.0), State("B", 0.0)],
        [Parameter("on", 1e-3), Parameter("off", 0.3)],
        [Reaction("bind", "2 A -> B", "on * A * (A - 1) / 2"), Reaction("part", "B -> 2 A", "off * B")],
    )
    runs = RUNS // 2  # one by one, the reactions of all molecules take their time
    exact = simulate_jumps(model, TIMES, runs=runs, seed=2)["B"]
    found = simulate_langevin(model, TIMES, runs=runs, seed=3)
    np.testing.assert_allclose((found["A"] + 2 * found["B"])[:, 2:], 1000)
    for time in TIMES[1:]:
        law, seen = exact.sel(time=time).to_numpy(), found["B"].sel(time=time).to_numpy()
        assert seen.mean() == pytest.approx(law.mean(), abs=4 * np.sqrt(2 * law.var() / runs) + 0.01 * law.mean())
        assert seen.var() == pytest.approx(law.var(), rel=4 * np.sqrt(4 / runs) + 0.02)


@pytest.mark.slow
def test_steps_converge_on_the_same_paths(immigration: Model) -> None:
    """Noise that depends on the state: strong order a half or better, seen as differences that shrink."""
    ends = [
        simulate_langevin(immigration, [2.0], runs=100, seed=4, dt=dt, resolution=1 / 256)["X"].to_numpy()
        for dt in (1 / 4, 1 / 16, 1 / 64)
    ]
    coarse, fine = (np.sqrt(np.mean((end - ends[2]) ** 2)) for end in ends[:2])
    assert fine < coarse / 1.9


def test_few_molecules_stay_above_zero() -> None:
    model = Model(
        "death", [State("X", 5.0)], [Parameter("out", 1.0)], [Reaction("death", "2 X ->", "out * X * (X - 1) / 2")]
    )
    found = simulate_langevin(model, [1.0, 5.0], runs=200, seed=5)["X"].to_numpy()
    assert (found >= 0).all() and np.isfinite(found).all()


def test_a_compartment_scales_the_noise() -> None:
    model = Model(
        "cell",
        [State("X", 500.0, compartment="V")],
        [Parameter("V", 2.0), Parameter("out", 0.5)],
        [Reaction("death", "X ->", "out * X * V")],
    )
    items = simulate_langevin(model, [2.0], variables=["X * V"], runs=RUNS, seed=6)["X * V"].to_numpy()
    share = np.exp(-1.0)
    close_moments(items[:, 0], 1000 * share, 1000 * share * (1 - share), 0.02)


def test_seeds_decide_everything(immigration: Model) -> None:
    first, again, other = (simulate_langevin(immigration, [1.0], runs=5, seed=s)["X"].to_numpy() for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_what_is_refused(immigration: Model) -> None:
    with pytest.raises(ExperimentError, match="all sample times are the beginning"):
        simulate_langevin(immigration, [0.0])
    with pytest.raises(ExperimentError, match="at most 1000000 steps"):
        simulate_langevin(immigration, [1.0], dt=1e-7)
    with pytest.raises(ExperimentError, match="not below the shortest step"):
        simulate_langevin(immigration, [1.0], dt=0.1, resolution=0.5)
    net = Model("net", [State("X", 5.0)], [Parameter("k", 1.0)], [Reaction("both", "-> X", "k * (X - 9)")])
    with pytest.raises(SimulationError, match="all 20 runs failed: 20 with states that are not finite"):
        simulate_langevin(net, [1.0], runs=20)
