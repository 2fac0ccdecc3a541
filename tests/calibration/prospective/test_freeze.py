"""Freezing: the training readings alone decide, and the design is checked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calibration.prospective.design import check_design, read_design, with_design
from calibration.prospective.freeze import freeze
from calibration.prospective.score import score
from twin.errors import MeasurementError, ProblemError
from twin.experiment import Experiment

ASKED = pd.DataFrame({"experiment": ["e", "e", "f"], "time": [4.0, 5.0, 1.0]})
NEW = {"f": Experiment()}


@pytest.mark.slow
def test_predictions_of_what_comes(decaying) -> None:
    frozen = freeze(
        decaying,
        ASKED,
        experiments=NEW,
        seed=1,
        starts=4,
        chains=2,
        warmup=100,
        draws=200,
        question="later?",
        quiet=True,
    )
    assert list(frozen.design["observable"]) == ["y"] * 3
    median = np.median(frozen.value, axis=0)
    # Least squares of eight readings with sd 0.1 knows the curve to about 0.05.
    np.testing.assert_allclose(median, 2.0 * np.exp(-0.5 * ASKED["time"]), atol=0.1)
    np.testing.assert_allclose(frozen.scale, 0.1)
    assert frozen.about["question"] == "later?"
    assert frozen.about["training"]["readings"] == 8
    assert set(frozen.baselines) | set(frozen.about["undefined baselines"]) >= {"mean", "spline"}
    assert frozen.about["worst_r_hat"] < 1.1
    readings = frozen.design.assign(value=[0.3, 0.15, 1.2], noise=np.nan, censoring="")
    result = score(frozen, readings)
    assert np.isfinite(result.scores["crps"]).all()


def test_placeholders_are_not_calibrated_on(decaying) -> None:
    whole, asked = with_design(decaying, check_design(ASKED, decaying), NEW)
    theta = decaying.nominal
    alone = float(decaying.log_likelihood(theta))
    assert float(whole.with_rows(~asked).log_likelihood(theta)) == pytest.approx(alone, rel=1e-12)
    assert float(whole.log_likelihood(theta)) != pytest.approx(alone)


def test_a_value_column_is_not_read(decaying, tmp_path) -> None:
    ASKED.assign(value=["secret", "", "1"]).to_csv(tmp_path / "d.csv", index=False)
    assert list(read_design(str(tmp_path / "d.csv"), decaying).columns) == [
        "experiment",
        "subject",
        "observable",
        "time",
    ]


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (ASKED.iloc[:0], "the design has no rows"),
        (ASKED.drop(columns="time"), "the design has no column 'time'"),
        (ASKED.assign(time=[1.0, np.nan, 2.0]), "design, row 2: the time is 'nan'"),
        (ASKED.assign(time=["1", "soon", "2"]), "design, row 2: the time is 'soon'"),
        (ASKED.assign(observable=["y", "y", "z"]), "design, row 3: the model has no observable 'z'"),
    ],
)
def test_a_design_that_cannot_be_used(decaying, design: pd.DataFrame, message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        check_design(design, decaying)


def test_a_file_that_is_not_there(decaying, tmp_path) -> None:
    with pytest.raises(MeasurementError, match="there is no such file"):
        read_design(str(tmp_path / "none.csv"), decaying)


def test_an_experiment_nobody_described(decaying) -> None:
    with pytest.raises(ProblemError, match="the experiment 'g', which is not described"):
        with_design(decaying, check_design(ASKED.assign(experiment="g"), decaying))
