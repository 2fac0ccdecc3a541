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


def decaying(wave: list[float], **columns: list[str]) -> calibration.Problem:
    """Two series that decay and wave, each by a sine of so many noise scales."""
    model = twin.Model(
        "decay",
        [twin.State("A", 3.0)],
        parameters=[twin.Parameter("k", 0.2)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    rng = np.random.default_rng(3)
    value = np.concatenate([3 * np.exp(-0.2 * TIMES) + SIGMA * w * np.sin(TIMES) for w in wave])
    named = {"subject": "1", "experiment": "e"} | {name: np.repeat(each, 12) for name, each in columns.items()}
    table = pd.DataFrame({"time": np.tile(TIMES, 2), "value": value + SIGMA * rng.normal(size=24), **named})
    table = table.assign(observable="y", noise=SIGMA, censoring="")
    return calibration.Problem(model, table, [twin.Estimate("k", 0.02, 2.0)], twin.Noise("normal", None))


@pytest.fixture(scope="module")
def problem() -> calibration.Problem:
    """Two subjects that wave in the same way."""
    return decaying([WAVE, WAVE], subject=["1", "2"])


def without_discrepancy(scores: pd.DataFrame) -> Assessment:
    """An assessment of which only the scores are known."""
    blank = dict.fromkeys((f.name for f in fields(Assessment)), None)
    before = pd.DataFrame([{"forecaster": "twin", "crps": 0.4}, {"forecaster": "spline", "crps": 0.3}])
    return Assessment(
        **(blank | {"scores": scores, "by_forecaster": before, "layers": {"L0": None}, "diagnostics": {}})
    )


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
    given = without_discrepancy(alone)
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


def test_along_a_dose_it_sits_where_the_mechanism_is_wrong(monkeypatch):
    problem = decaying([0.0, WAVE], experiment=["low", "high"])

    def known(train, *, shared, along, **_):
        shape, rng = (2, DRAWS // 2, 1), np.random.default_rng(0)
        at_dose = np.array([0.1, 4.0]) * np.exp(0.1 * rng.normal(size=(*shape, 2)))
        likelihood = MarginalLikelihood(train, shared=shared, along=along)
        scales = np.sqrt(np.mean(at_dose**2, axis=-1)), np.full(shape, 2.0)
        return Discrepancy(likelihood, np.full(shape, np.log10(0.2)), *scales, 0, np.full(shape, 1.0), at_dose)

    monkeypatch.setattr(layer, "sample_discrepancy", known)
    even = np.tile(np.arange(12) % 2 == 0, 2)
    alone = pd.DataFrame({"crps": np.full(12, 0.4), "crps spline": 0.3, "floor": 0.05})
    result = FoldResult(Fold("between", even, ~even), problem.with_rows(even), None, None, None, None, 0, alone, {}, {})
    made = layer.add_discrepancy(
        without_discrepancy(alone), problem, [result], np.full(24, -np.inf), processes="shared",
        along={"low": 1.0, "high": 8.0}, sampling={}, seed=0, quiet=True,
    )  # fmt: skip
    sizes = made.discrepancy_by_dose
    assert list(sizes["dose"]) == [1.0, 8.0] and list(sizes["flagged"]) == [False, True]
    checks = made.layers["L6 discrepancy"].set_index("key")
    assert checks.loc["discrepancy.y.1", "passed"] is True and checks.loc["discrepancy.y.8", "passed"] is False
    low, high = (made.discrepancy_course[made.discrepancy_course["dose"] == dose] for dose in (1.0, 8.0))
    assert np.abs(low["q50"]).max() < 0.3 and np.corrcoef(high["q50"], np.sin(high["time"]))[0, 1] > 0.95
    left = made.discrepancy_residuals
    assert len(left) == 12 and not left["remaining"].isna().any()
    assert made.by_forecaster.loc[1, "note"] == "a discrepancy per observable, along covariate of the experiment; " \
        "no baseline"  # fmt: skip


def test_a_fold_with_too_few_times_is_refused_before_anything_is_computed(problem):
    early = (problem.measurements.table["time"] < 1.5).to_numpy()
    with pytest.raises(ProblemError, match="read at 2 distinct times"):
        calibration.assess(problem, split=Split("own", (Fold("late", early, ~early),)), discrepancy=True)


def test_an_observable_at_one_dose_is_refused_before_anything_is_computed(problem):
    first = (problem.measurements.table["subject"] == "1").to_numpy()
    with pytest.raises(ProblemError, match="at one dose only"):
        calibration.assess(problem, split=Split("own", (Fold("subject 2", first, ~first),)), along={"e": 1.0})
