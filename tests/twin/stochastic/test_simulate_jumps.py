"""Jump processes against laws in closed form and the master equation; failures and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm

from twin.errors import ExperimentError, SimulationError, TwinWarning, UnsupportedModelError
from twin.model import Event, Model, Parameter, Reaction, State
from twin.stochastic import simulate_jumps

RUNS = 4000
TIMES = np.array([0.0, 0.5, 2.0, 6.0])

pytestmark = pytest.mark.xdist_group("jumps")


@pytest.fixture(scope="module")
def immigration() -> Model:
    """Poisson at all times if it begins with nothing."""
    return Model(
        "immigration",
        [State("X", 0.0)],
        [Parameter("into", 4.0), Parameter("out", 0.5)],
        [Reaction("arrival", "-> X", "into"), Reaction("death", "X ->", "out * X")],
    )


def test_immigration_and_death_are_poisson(immigration: Model) -> None:
    found = simulate_jumps(immigration, TIMES, runs=RUNS, seed=1)
    assert found["X"].dims == ("run", "time")
    assert found.attrs["failed"] == 0
    assert (found["X"].sel(time=0.0) == 0).all()
    for time in TIMES[1:]:
        mean = 8.0 * (1 - np.exp(-0.5 * time))
        counts = found["X"].sel(time=time).to_numpy()
        most = int(mean + 3 * np.sqrt(mean))
        seen = np.array([*(np.sum(counts == k) for k in range(most)), np.sum(counts >= most)])
        law = stats.poisson(mean)
        expected = RUNS * np.array([*law.pmf(np.arange(most)), law.sf(most - 1)])
        big = expected > 5
        if not big.all():
            seen, expected = np.append(seen[big], seen[~big].sum()), np.append(expected[big], expected[~big].sum())
        assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-3


def test_dimerisation_against_the_master_equation() -> None:
    """2 A <-> B from 9 A: ten numbers of B, whose law is an exponential of a matrix."""
    model = Model(
        "dimers",
        [State("A", 9.0), State("B", 0.0)],
        [Parameter("on", 0.05), Parameter("off", 0.3)],
        [Reaction("bind", "2 A -> B", "on * A * (A - 1) / 2"), Reaction("part", "B -> 2 A", "off * B")],
    )
    generator = np.zeros((5, 5))
    for b in range(5):
        a = 9 - 2 * b
        rates = {b + 1: 0.05 * a * (a - 1) / 2, b - 1: 0.3 * b}
        for to, rate in rates.items():
            if 0 <= to < 5:
                generator[b, to] += rate
                generator[b, b] -= rate
    found = simulate_jumps(model, TIMES, runs=RUNS, seed=2)
    assert (found["A"] + 2 * found["B"] == 9).all()
    for time in TIMES[1:]:
        law = expm(generator * time)[0]
        seen = np.bincount(found["B"].sel(time=time).to_numpy().astype(int), minlength=5)
        assert stats.chisquare(seen, RUNS * law).pvalue > 1e-3


def test_a_compartment_scales_the_jump() -> None:
    """100 items in 2 l are 50 per litre, and one death takes half an item per litre."""
    model = Model(
        "cell",
        [State("X", 50.0, compartment="V")],
        [Parameter("V", 2.0), Parameter("out", 0.5)],
        [Reaction("death", "X ->", "out * X * V")],
    )
    items = simulate_jumps(model, TIMES, variables=["X * V"], runs=500, seed=3)["X * V"].to_numpy()
    np.testing.assert_allclose(items, items.round(), atol=1e-9)
    assert items[:, 2].mean() == pytest.approx(100 * np.exp(-1.0), abs=4 * np.sqrt(100 * 0.37 * 0.63 / 500))


def test_seeds_decide_everything(immigration: Model) -> None:
    first, again, other = (simulate_jumps(immigration, TIMES, runs=50, seed=seed)["X"].to_numpy() for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_runs_that_fail_are_counted(immigration: Model) -> None:
    with pytest.warns(TwinWarning, match="runs failed: .* with more reactions than max_events"):
        found = simulate_jumps(immigration, TIMES, runs=200, seed=7, max_events=40)
    failed = np.isnan(found["X"].to_numpy()).all(axis=1)
    assert found.attrs["failed"] == failed.sum() > 0
    net = Model("net", [State("X", 1.0)], [Parameter("k", 1.0)], [Reaction("both", "-> X", "k * (X - 2)")])
    with pytest.raises(SimulationError, match="all 20 runs failed: 20 with a rate below zero"):
        simulate_jumps(net, TIMES, runs=20)


def test_what_is_refused(immigration: Model) -> None:
    rate = Model("rate", [State("X", 1.0)], [Parameter("k", 1.0)], odes={"X": "-k * X"})
    with pytest.raises(UnsupportedModelError, match="there are no reactions"):
        simulate_jumps(rate, TIMES)
    clock = Model("clock", [State("X", 1.0)], [], [Reaction("r", "-> X", "1 + sin(time)")])
    with pytest.raises(UnsupportedModelError, match="the rate of 'r' depends on time"):
        simulate_jumps(clock, TIMES)
    event = Model(
        "event",
        [State("X", 1.0)],
        [Parameter("k", 1.0)],
        [Reaction("r", "-> X", "k")],
        events=[Event("reset", "X > 10", {"X": "0"})],
    )
    with pytest.raises(UnsupportedModelError, match="it has events: reset"):
        simulate_jumps(event, TIMES)
    with pytest.raises(ExperimentError, match="a parameter is an array"):
        simulate_jumps(immigration, TIMES, {"into": np.array([1.0, 2.0])})
