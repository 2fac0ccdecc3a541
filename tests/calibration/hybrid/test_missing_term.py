"""Growth whose limit the mechanism lacks: the learned term is the missing one, and new cultures are predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import calibration
import twin
from calibration.hybrid import Hybrid, NeuralTerm, TermInput, hybrid_figure, train_hybrid
from calibration.hybrid.figure import at_readings
from calibration.hybrid.problem import hybrid_problem, share_likelihood
from calibration.hybrid.train import held_out_crps
from calibration.sim2real.splits import split_experiment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hybrid")]

SD, LIMIT = 0.05, 2.0
STARTS = (0.02, 0.05, 0.1, 0.3, 0.8, 1.5, 3.0)
TERM = NeuralTerm("learned", {"N": "N"}, (TermInput("N", 0.0, 3.0, "1/milliliter"),), unit="1/hour", units=2)


def growth(limit: float | None) -> twin.Model:
    """Growth at rate 1; with a limit logistic, so that -N/limit is what the mechanism without one misses."""
    rate = "r * N" if limit is None else "(r - k * N) * N"
    return twin.Model(
        "growth",
        [twin.State("N", "N0", "1/milliliter")],
        [
            twin.Parameter("r", 1.0, "1/hour"),
            twin.Parameter("N0", 0.1, "1/milliliter"),
            twin.Parameter("k", 1.0 / (limit or 1.0), "milliliter/hour"),
        ],
        [twin.Reaction("growth", "-> N", rate)],
        observables=[twin.Observable("density", "N", "1/milliliter")],
        time_unit="hour",
    )


@pytest.fixture(scope="module")
def problem() -> calibration.Problem:
    rng, times = np.random.default_rng(3), np.linspace(0.5, 6.0, 12)
    experiments = {f"from {n:g}": twin.Experiment(parameters={"N0": n}) for n in STARTS}
    parts = []
    for name, experiment in experiments.items():
        true = twin.simulate(growth(LIMIT), times, experiment=experiment)["density"].to_numpy()
        value = true * np.exp(SD * rng.normal(size=len(times)))
        parts.append(pd.DataFrame({"experiment": name, "observable": "density", "time": times, "value": value}))
    noise, estimates = twin.Noise("log_normal", "sd"), [twin.Estimate("sd", 0.01, 10.0, nominal=0.3)]
    return calibration.Problem(growth(None), pd.concat(parts), estimates, noise, experiments=experiments)


@pytest.fixture(scope="module")
def found(problem: calibration.Problem) -> Hybrid:
    (fold,) = split_experiment(problem.measurements.table, ["from 0.05", "from 0.8"]).folds
    train = problem.with_rows(fold.train)
    return train_hybrid(train, TERM, widths=(0.3, 1.0), folds=2, starts=6, seed=0, quiet=True)


def test_the_missing_term_is_recovered(found: Hybrid) -> None:
    # Where there are readings: densities that a culture has only before its first one tell nothing.
    read = at_readings(found, found.course())
    grid = np.linspace(read.min(), read.max(), 50)
    # A tenth of the growth rate, where the term itself goes from 0 to -1.5 of it.
    np.testing.assert_allclose(found.values(grid), -grid / LIMIT, atol=0.1)


def test_the_gap_closes_on_held_out_cultures(problem: calibration.Problem, found: Hybrid) -> None:
    (fold,) = split_experiment(problem.measurements.table, ["from 0.05", "from 0.8"]).folds
    before = held_out_crps(problem, found.mechanism_fit, fold)
    after = held_out_crps(hybrid_problem(problem, TERM, found.width), found.fit, fold)
    # The CRPS of a perfect forecast is sigma / sqrt(pi) of the readings themselves.
    values = problem.measurements.table.loc[fold.test, "value"].to_numpy()
    floor = float(np.mean(SD * values) / np.sqrt(np.pi))
    assert found.helps
    assert (after - floor) / (before - floor) < 0.1


def test_the_size_is_that_of_the_missing_term(found: Hybrid) -> None:
    course = found.course()
    n = course.states[0]
    true = np.mean(n**2 / LIMIT / n.max(axis=1, keepdims=True)) / np.mean(n / n.max(axis=1, keepdims=True))
    assert found.size().loc["total", "ratio"] == pytest.approx(true, rel=0.1)


def test_the_picture_shows_the_function(found: Hybrid) -> None:
    left = hybrid_figure(found).axes[0]
    assert left.get_xlabel() == "N" and left.get_ylabel() == "learned [1/hour]"
    assert "learned, where trajectories went" in left.get_legend_handles_labels()[1]


def test_a_shared_likelihood_changes_nothing(found: Hybrid) -> None:
    own, shared = (hybrid_problem(found.mechanism, TERM, 0.5) for _ in range(2))
    share_likelihood(found.problem, shared)
    a, b = (calibration.fit(each, starts=2, seed=1, quiet=True) for each in (own, shared))
    np.testing.assert_allclose(a.objective, b.objective, rtol=1e-9)
