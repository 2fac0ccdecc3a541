"""What is trained cannot depend on held-out readings: garbage in their place gives the same numbers, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.problem import Problem
from calibration.sim2real.baselines import predict_baselines
from calibration.sim2real.fold import run_fold
from calibration.sim2real.splits import make_split
from twin.study import Estimate, Noise, Prior

SAMPLING = {"chains": 2, "warmup": 20, "draws": 10}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["time", "subject"])
def test_garbage_in_held_out_readings_changes_nothing_that_is_trained(decay, table_of_rows, kind: str) -> None:
    rng = np.random.default_rng(5)
    rows = [
        ("arm", str(subject), "y", float(time), float(2.0 * np.exp(-0.5 * time) + 0.05 * rng.standard_normal()))
        for subject in (1, 2, 3)
        for time in range(6)
    ]
    table = table_of_rows(rows)
    fold = make_split(table, kind).folds[0]
    garbage = table.copy()
    garbage.loc[fold.test, "value"] = 1e6 * rng.standard_normal(int(fold.test.sum()))
    estimates = [
        Estimate("k", 0.05, 5.0, per="subject", between=Prior("half_normal", scale=0.3)),
        Estimate("sd", 0.01, 1.0, nominal=0.1),
    ]
    results = []
    for readings in (table, garbage):
        problem = Problem(decay, readings, estimates, Noise("normal", "sd"))
        limits = np.full(len(table), -np.inf)
        results.append(run_fold(problem, fold, limits, seed=3, sampling=SAMPLING, starts=3, quiet=True))
    true, false = results
    np.testing.assert_array_equal(true.fit.theta, false.fit.theta)
    np.testing.assert_array_equal(true.theta, false.theta)
    np.testing.assert_array_equal(true.predicted.value, false.predicted.value)
    np.testing.assert_array_equal(true.predicted.reading, false.predicted.reading)
    assert not np.array_equal(true.scores["crps"], false.scores["crps"])  # the garbage did reach the scores
    blank = table.assign(value=table["value"].where(fold.train))
    for name, made in predict_baselines(table, fold.train, fold.test, seed=3).items():
        np.testing.assert_array_equal(
            made.draws, predict_baselines(blank, fold.train, fold.test, seed=3, limits=limits)[name].draws
        )
