"""Starts that end where readings do not feel a parameter go on from where they feel it again."""

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
from calibration.optimise import plateaus
from calibration.optimise.lanes import CONVERGED, RETIRED, RUNNING, Rules, _ended
from calibration.optimise.objective import Evaluation, Look
from calibration.optimise.trust_region import TrustRegions, first_regions
from twin.errors import TwinWarning

fits = importlib.import_module("calibration.optimise.fit")  # the package's `fit` is the function

TRUTH = {"k_in": 0.5, "k_out": 0.2}
STARTS = np.array([[-0.2, -0.6], [4.0, -0.5], [3.5, 0.5], [0.3, -1.0]])
"""The second and third begin where all has come in long before the first reading, however fast."""


@pytest.fixture(scope="module")
def problem() -> Problem:
    model = twin.Model(
        "absorption",
        [twin.State("gut", 1.0), twin.State("blood", 0.0)],
        [twin.Parameter(name, value) for name, value in TRUTH.items()],
        odes={"gut": "-k_in * gut", "blood": "k_in * gut - k_out * blood"},
        observables=[twin.Observable("level", "blood")],
    )
    ts = np.arange(1.0, 11.0)
    k_in, k_out = TRUTH.values()
    level = k_in / (k_in - k_out) * (np.exp(-k_out * ts) - np.exp(-k_in * ts))
    rows = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "level", "time": ts, "value": level})
    estimates = [twin.Estimate(name, 1e-3, 1e5) for name in TRUTH]
    return Problem(model, rows.assign(noise=np.nan, censoring=""), estimates, twin.Noise("normal", 0.02))


def test_a_plateau_is_left_where_it_ends(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _fit(problem)
    np.testing.assert_allclose(found.theta, np.log10(list(TRUTH.values())) * np.ones((4, 1)), atol=1e-4)
    assert found.hits == 4
    monkeypatch.setattr(fits, "walked", lambda *_: None)
    without = _fit(problem)
    assert without.hits == 2
    assert (without.theta[2:, 0] > 2.0).all()  # on the plateau, from which the slope leads nowhere
    assert (without.objective[2:] > without.objective[0] + 10).all()
    assert set(without.outcome[2:]) <= {"converged", "stuck"}


def _fit(problem: Problem, checkpoint: Path | None = None) -> calibration.Fit:
    return calibration.fit(problem, len(STARTS), sampling=STARTS, checkpoint=checkpoint, quiet=True)


def test_an_interruption_after_a_walk_changes_nothing(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = _fit(problem), Counter()
    walk, step = fits.walked, fits.region_step

    def walked(*arguments: object) -> TrustRegions | None:
        calls["walks"] += 1
        return walk(*arguments)

    def interrupted(*arguments: object) -> TrustRegions:
        calls["steps after"] += calls["walks"] > 0
        if calls["steps after"] == 4:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fits, "walked", walked)
        patch.setattr(fits, "region_step", interrupted)
        with pytest.warns(TwinWarning, match="interrupted"):
            partly = _fit(problem, tmp_path / "fit.nc")
    assert calls["walks"] == 1 and "interrupted" in partly.outcome
    resumed = _fit(problem, tmp_path / "fit.nc")
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.evaluations, whole.evaluations)


class Valleys:
    """Two parameters: the first has a step at 3, beyond which all is lower; the second is a parabola."""

    names, lower, upper = ("a", "b"), np.array([-10.0, -10.0]), np.array([10.0, 10.0])

    def __init__(self, depth: float) -> None:
        self.depth, self.looks = depth, 0

    def look(self, thetas: np.ndarray) -> Look:
        self.looks += len(thetas)
        value = thetas[:, 1] ** 2 - self.depth * (thetas[:, 0] > 3.0)
        return Look(value, np.zeros((len(thetas), 0)))

    def __call__(self, thetas: np.ndarray) -> Evaluation:
        count, value = len(thetas), self.look(thetas).value
        self.looks -= count
        slope = np.stack([np.zeros(count), 2 * thetas[:, 1]], axis=1)
        curvature = np.tile(np.diag([0.0, 2.0]), (count, 1, 1))
        nothing = np.zeros((count, 0))
        return Evaluation(value, value, slope, curvature, nothing, nothing, np.zeros((count, 0, 2)))


def test_who_walks_and_how_far() -> None:
    objective = Valleys(depth=5.0)
    rules = Rules(objective.lower, objective.upper, iterations=100, tolerance=1e-4)
    theta = np.array([[5.0, 0.0], [-5.0, 0.0], [-5.0, 0.0], [-5.0, 0.0], [-5.0, 0.0], [4.0, 1.0]])
    state = first_regions(theta, objective(theta))
    status = np.array([CONVERGED, CONVERGED, RETIRED, CONVERGED, CONVERGED, CONVERGED])
    state = replace(state, status=status, evaluations=np.array([9, 9, 9, 100, 9, 9]))
    settled = np.array([False, False, False, False, True, False])
    after = plateaus.walked(objective, state, rules, settled)  # type: ignore[arg-type]
    # The best and the one near it, the retired, the spent and the settled one stay where they are.
    assert after is not None
    assert (after.status == RUNNING).tolist() == [False, True, False, False, False, False]
    assert after.theta[1, 0] > 3.0 and after.value[1] == pytest.approx(-5.0, abs=1e-6)
    assert after.evaluations[1] == 10 and not settled[1] and settled[4]
    assert objective.looks == 2 * plateaus.LOOKS  # one flat direction, two ways
    np.testing.assert_array_equal(np.delete(after.theta, 1, axis=0), np.delete(theta, 1, axis=0))
    # It is not retired before its pace is known.
    late = replace(after, evaluations=np.where(after.status == RUNNING, 99, after.evaluations))
    assert _ended(late, rules)[1] == RUNNING


@pytest.mark.parametrize("depth", [-5.0, 0.0])
def test_where_nothing_is_gained_starts_are_settled(depth: float) -> None:
    objective = Valleys(depth)
    rules = Rules(objective.lower, objective.upper, iterations=100, tolerance=1e-4, best=-9.0)
    theta = np.array([[-5.0, 0.0], [5.0, np.nan]])
    state = first_regions(theta, objective(theta))
    state = replace(state, status=np.array([CONVERGED, CONVERGED]), value=np.array([0.0, 3.0]))
    state.curvature[1] = np.nan
    settled = np.zeros(2, dtype=bool)
    assert plateaus.walked(objective, state, rules, settled) is None  # type: ignore[arg-type]
    assert settled.all()
