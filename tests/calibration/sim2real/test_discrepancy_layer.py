"""Layer L6: its rows, its score beside the baselines and not among them, what it refuses before it computes."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import calibration
import twin
from calibration.discrepancy.likelihood import MarginalLikelihood
from calibration.discrepancy.posterior import Discrepancy
from calibration.sim2real import discrepancy_layer as layer
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.fold import FoldResult
from calibration.sim2real.splits import Fold, Split
from twin.errors import ProblemError

pytestmark = pytest.mark.xdist_group("discrepancy")

TIMES = np.linspace(0.0, 10.0, 12)
SIGMA, WAVE, DRAWS = 0.1, 6.0, 400


@pytest.fixture(scope="module")
def problem() -> calibration.Problem:
    """Two subjects that decay and wave in the same way, by a sine of six noise scales."""
    model = twin.Model(
        "decay",
        [twin.State("A", 3.0)],
        parameters=[twin.Parameter("k", 0.2)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    rng = np.random.default_rng(3)
    value = np.tile(3 * np.exp(-0.2 * TIMES) + SIGMA * WAVE * np.sin(TIMES), 2) + SIGMA * rng.normal(size=24)
    table = pd.DataFrame({"time": np.tile(TIMES, 2), "value": value, "subject": np.repeat(["1", "2"], 12)})
    table = table.assign(experiment="e", observable="y", noise=SIGMA, censoring="")
    return calibration.Problem(model, table, [twin.Estimate("k", 0.02, 2.0)], twin.Noise("normal", None))


def test_layer_size_course_and_score(problem, monkeypatch):
    def known(train, *, shared, **_):
        shape = (2, DRAWS // 2, 1)
        amplitude = 4.0 * np.exp(0.1 * np.random.default_rng(0).normal(size=shape))
        theta = np.full(shape, np.log10(0.2))
        return Discrepancy(MarginalLikelihood(train, shared=shared), theta, amplitude, np.full(shape, 2.0), 0)

    monkeypatch.setattr(layer, "sample_discrepancy", known)
    first = (problem.measurements.table["subject"] == "1").to_numpy()
    fold = Fold("subject 2", first, ~first)
    alone = pd.DataFrame({"crps": np.full(12, 0.4), "crps spline": 0.3, "floor": 0.05})
    result = FoldResult(fold, problem.with_rows(first), None, None, None, None, 0, alone, {}, {})
    blank = dict.fromkeys((f.name for f in fields(Assessment)), None)
    before = pd.DataFrame([{"forecaster": "twin", "crps": 0.4}, {"forecaster": "spline", "crps": 0.3}])
    given = Assessment(
        **(blank | {"scores": alone, "by_forecaster": before, "layers": {"L0": None}, "diagnostics": {}})
    )
    made = layer.add_discrepancy(
        given, problem, [result], np.full(24, -np.inf), processes="shared", sampling={}, seed=0, quiet=True
    )
    assert list(made.by_forecaster["forecaster"]) == ["twin", layer.FORECASTER, "spline"]
    # What is taken for baselines are the columns with this prefix.
    assert [c for c in made.scores if c.startswith("crps ")] == ["crps spline"]
    checks = made.layers["L6 discrepancy"].set_index("check")
    assert checks.loc["discrepancy size y", "passed"] is False
    assert "flagged, above 0.95" in checks.loc["discrepancy size y", "note"]
    row = made.discrepancy.iloc[0]
    assert row["unit"] == "noise scales"
    assert row["low"] < row["size"] < row["high"]
    # Both subjects wave alike, so what the first one shows predicts the second: close to the floor, sigma / sqrt(pi).
    assert made.scores["discrepancy_crps"].mean() < 2 * SIGMA / np.sqrt(np.pi)
    course = made.discrepancy_course
    assert np.corrcoef(course["q50"], np.sin(course["time"]))[0, 1] > 0.95
    left = made.discrepancy_residuals
    assert np.sqrt(np.mean(left["remaining"] ** 2)) < 1.5 < np.sqrt(np.mean(left["residual"] ** 2))


def test_a_fold_with_too_few_times_is_refused_before_anything_is_computed(problem):
    early = (problem.measurements.table["time"] < 1.5).to_numpy()
    with pytest.raises(ProblemError, match="read at 2 distinct times"):
        calibration.assess(problem, split=Split("own", (Fold("late", early, ~early),)), discrepancy=True)
