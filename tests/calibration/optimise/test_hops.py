"""From the optimum where starts ended to a better one, which no slope and no straight line leads to."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import calibration
import twin
from calibration import Problem
from calibration.optimise import hops
from calibration.optimise.lanes import CONVERGED, HOPPED, RETIRED, RUNNING, STUCK, Rules
from calibration.optimise.objective import Evaluation, Look
from calibration.optimise.trust_region import TrustRegions, first_regions
from twin.errors import TwinWarning
from twin.progress import Progress

LINE = Progress("", 1, quiet=True)
fits = importlib.import_module("calibration.optimise.fit")  # the package's `fit` is the function


class Wells:
    """Two wells along a narrow winding valley: of depth -1 at a = 3, of depth 0 at a = -3; b = sin 3a in both."""

    names, lower, upper = ("a", "b"), np.array([-5.0, -2.0]), np.array([5.0, 2.0])

    def __init__(self) -> None:
        self.evaluated = 0

    def look(self, thetas: np.ndarray) -> Look:
        a, b = thetas.T
        value = 50 * (b - np.sin(3 * a)) ** 2 + (a**2 - 9) ** 2 / 20 - (a + 3) / 6
        return Look(value, np.zeros((len(thetas), 0)))

    def __call__(self, thetas: np.ndarray) -> Evaluation:
        count, (a, b) = len(thetas), thetas.T
        self.evaluated += count
        bend, off = 3 * np.cos(3 * a), b - np.sin(3 * a)
        gradient = np.stack([-100 * bend * off + a * (a**2 - 9) / 5 - 1 / 6, 100 * off], axis=1)
        curvature = np.empty((count, 2, 2))
        curvature[:, 0, 0] = 100 * bend**2 + np.maximum((3 * a**2 - 9) / 5, 0.5)
        curvature[:, 0, 1] = curvature[:, 1, 0] = -100 * bend
        curvature[:, 1, 1] = 100.0
        value, nothing = self.look(thetas).value, np.zeros((count, 0))
        return Evaluation(value, value, gradient, curvature, nothing, nothing, np.zeros((count, 0, 2)))


def _rules(objective: Wells, iterations: int = 100) -> Rules:
    return Rules(objective.lower, objective.upper, iterations, tolerance=1e-6)


def _ended(objective: Wells, places: list[float]) -> TrustRegions:
    """Starts that ended at these a, in the valley."""
    theta = np.stack([places, np.sin(3 * np.array(places))], axis=1)
    state = first_regions(theta, objective(theta))
    objective.evaluated = 0
    return replace(state, status=np.full(len(places), CONVERGED), evaluations=np.full(len(places), 1000))


def test_the_best_start_hops_to_a_better_optimum_and_then_no_more() -> None:
    objective = Wells()
    rules, state = _rules(objective), _ended(objective, [-2.9526, -2.0])
    after = hops.hopped(objective, state, rules, LINE)  # type: ignore[arg-type]
    assert after is not None
    assert after.theta[0, 0] == pytest.approx(3.0, abs=0.05) and after.value[0] == pytest.approx(-1.0, abs=0.01)
    assert after.theta[0, 1] == pytest.approx(np.sin(3 * after.theta[0, 0]), abs=1e-4)
    assert after.status[0] == HOPPED and after.hops[0]
    # All that was evaluated is counted, by the one that hopped.
    assert after.evaluations[0] - 1000 >= objective.evaluated > 50
    np.testing.assert_array_equal(after.theta[1], state.theta[1])
    assert after.evaluations[1] == 1000
    settled = hops.hopped(objective, after, rules, LINE)  # type: ignore[arg-type]
    assert settled is not None and not settled.hops[0]
    np.testing.assert_array_equal(settled.theta, after.theta)
    assert hops.hopped(objective, settled, rules, LINE) is None  # type: ignore[arg-type]


def test_who_hops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops, "NEAR", 0.5)
    objective = Wells()
    # The best; three at one optimum, one of them a little off; one alone; three that were retired.
    state = _ended(objective, [3.0453, -2.9526, -2.9525, -2.9526, -2.5, -2.2, -2.2, -2.2])
    status = np.array([CONVERGED, CONVERGED, STUCK, CONVERGED, CONVERGED, RETIRED, RETIRED, RETIRED])
    after = hops.hopped(objective, replace(state, status=status), _rules(objective), LINE)  # type: ignore[arg-type]
    assert after is not None
    np.testing.assert_allclose(after.theta[:4, 0], 3.0453, atol=1e-3)
    np.testing.assert_array_equal(after.theta[4:], state.theta[4:])
    assert after.hops.tolist() == [False, True, True, True, True, True, True, True]
    # The best of the three hopped for all.
    assert (after.evaluations > 1000).tolist() == [True, True, False, False, False, False, False, False]
    assert after.status[:4].tolist() == [CONVERGED, HOPPED, HOPPED, HOPPED] and RUNNING not in after.status
    # Where the way is not long enough to be called one, three starts are three optima, and nobody hops for them.
    apart = replace(state, curvature=1e12 * state.curvature, status=status)
    after = hops.hopped(objective, apart, _rules(objective), LINE)  # type: ignore[arg-type]
    assert after is not None and after.theta[2, 0] < 0


def test_who_may_not_hop() -> None:
    objective = Wells()
    state, rules = _ended(objective, [-2.9526]), _rules(objective)
    most = hops._most_evaluations(hops._Optimum(0, np.arange(1), np.arange(2)))
    few = replace(state, evaluations=np.array([-(-most // hops.MOST_SHARE) - 1]))
    assert hops.hopped(objective, few, rules, LINE) is None  # type: ignore[arg-type]
    assert hops.hopped(objective, replace(few, evaluations=few.evaluations + 1), rules, LINE) is not None  # type: ignore[arg-type]
    known = replace(rules, best=-1.0)  # an earlier fit has the better optimum already
    assert hops.hopped(objective, state, known, LINE) is None  # type: ignore[arg-type]
    free = replace(rules, lower=np.full(2, -np.inf), upper=np.full(2, np.inf))
    # There are no places where there is no range.
    assert hops.hopped(objective, state, free, LINE) is None  # type: ignore[arg-type]


class Island(Wells):
    """Nothing can be integrated but around a = -3."""

    def look(self, thetas: np.ndarray) -> Look:
        seen = super().look(thetas)
        return seen._replace(value=np.where(np.abs(thetas[:, 0] + 3) < 0.1, seen.value, np.inf))


def test_where_nothing_can_be_integrated_elsewhere_starts_stay() -> None:
    objective = Island()
    state = _ended(objective, [-2.9526])
    rules = replace(_rules(objective), lower=np.array([-5.0, -0.6]), upper=np.array([5.0, -0.5]))
    after = hops.hopped(objective, state, rules, LINE)  # type: ignore[arg-type]
    assert after is not None and not after.hops[0]
    np.testing.assert_array_equal(after.theta, state.theta)


TRUTH = {"frequency": 2.0, "height": 1.0}


@pytest.fixture(scope="module")
def problem() -> Problem:
    """An oscillator: from a wrong frequency the slope leads to small waves, which cost least where they do not fit."""
    model = twin.Model(
        "oscillator",
        [twin.State("place", "height"), twin.State("speed", 0.0)],
        [twin.Parameter(name, value) for name, value in TRUTH.items()],
        odes={"place": "speed", "speed": "-frequency ** 2 * place"},
        observables=[twin.Observable("level", "place")],
    )
    ts = np.arange(0.25, 5.1, 0.25)
    rows = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "level", "time": ts, "value": np.cos(2 * ts)})
    estimates = [twin.Estimate("frequency", 0.5, 20.0), twin.Estimate("height", 0.01, 10.0)]
    return Problem(model, rows.assign(noise=np.nan, censoring=""), estimates, twin.Noise("normal", 0.05))


STARTS = np.array([[frequency, height] for frequency in (0.8, 0.9, 1.0, 1.1, 1.2) for height in (-1.5, -0.5, 0.5)])
"""None of them near the frequency, which is 0.3."""


def _fit(problem: Problem, checkpoint: Path | None = None, hop: bool = True) -> calibration.Fit:
    return calibration.fit(problem, sampling=STARTS, checkpoint=checkpoint, hop=hop, quiet=True)


def test_a_fit_hops(problem: Problem) -> None:
    without, found = _fit(problem, hop=False), _fit(problem)
    assert found.objective[0] < without.objective[0] - 1.0
    np.testing.assert_allclose(found.theta[0], np.log10(list(TRUTH.values())), atol=1e-4)
    # A start by itself has no more than its slope.
    alone = calibration.fit(problem, sampling=STARTS[:1], quiet=True)
    assert alone.objective[0] > found.objective[0] + 1.0
    assert found.evaluations is not None and without.evaluations is not None
    assert found.evaluations[0] > without.evaluations[0]
    assert found.outcome[0] == "hopped" and found.converged[0] and "hopped" not in without.outcome
    assert found.settings["hop"] and not without.settings["hop"]


def test_an_interruption_between_hops_changes_nothing(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls, hop = _fit(problem), Counter(), fits.hopped

    def interrupted(*arguments: object) -> TrustRegions | None:
        calls["hops"] += 1
        if calls["hops"] == 2:
            raise KeyboardInterrupt
        return hop(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fits, "hopped", interrupted)
        with pytest.warns(TwinWarning, match="interrupted"):
            _fit(problem, tmp_path / "fit.nc")
    assert calls["hops"] == 2
    resumed = _fit(problem, tmp_path / "fit.nc")
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.evaluations, whole.evaluations)
