"""Problems from wishes: what is filled in, what replaces what a study says."""

from __future__ import annotations

import pandas as pd
import pytest

from calibration.setup import Wishes, default_estimates, setup_from_study, setup_from_table
from twin import library
from twin.errors import ProblemError
from twin.experiment import Bolus, Experiment
from twin.measurements import Measurements
from twin.model import Model, Observable, Parameter, State
from twin.study import Estimate, Noise

MODEL = Model(
    "two_readings",
    [State("A", "A0")],
    [
        Parameter("A0", 2.0),
        Parameter("k", 0.5),
        Parameter("gain", 3.0),
        Parameter("offset", 0.0),
        Parameter("idle", 1.0),
    ],
    odes={"A": "-k*A"},
    observables=[Observable("x", "A + offset"), Observable("y", "gain*A")],
)


def readings(*observables: str, noise: float | None = None) -> Measurements:
    """Five readings of each observable."""
    frame = pd.DataFrame([(name, t, 2.0 - 0.2 * t) for name in observables for t in range(5)])
    frame.columns = ["observable", "time", "value"]
    if noise is not None:
        frame["noise"] = noise
    return Measurements.from_table(frame, MODEL)


def test_defaults_are_what_the_readings_depend_on():
    setup = setup_from_table(MODEL, readings("x"))
    assert setup.problem.names == ("A0", "k", "sd_x")
    estimate = setup.problem.estimates[1]
    assert (estimate.lower, estimate.upper) == pytest.approx((0.005, 50.0))
    assert estimate.scale == "log10"
    assert any("not positive: offset" in text for text in setup.remarks)
    assert setup_from_table(MODEL, readings("x", "y")).problem.names == ("A0", "k", "gain", "sd_x", "sd_y")


def test_what_is_fixed_or_set_by_the_experiment_is_not_estimated():
    estimates, _ = default_estimates(MODEL, ["x"], {"k": 1.0}, Experiment())
    assert [estimate.name for estimate in estimates] == ["A0"]
    estimates, _ = default_estimates(MODEL, ["x"], {}, Experiment(parameters={"A0": 1.0}))
    assert [estimate.name for estimate in estimates] == ["k"]
    with pytest.raises(ProblemError, match="no parameter is left"):
        default_estimates(MODEL, ["x"], {"k": 1.0, "A0": 1.0}, Experiment())


def test_full_noise_column_is_used():
    setup = setup_from_table(MODEL, readings("x", noise=0.3))
    assert setup.problem.names == ("A0", "k")
    assert setup.problem.noise["x"].scale is None
    assert "the noise of x is taken from the table" in setup.remarks


def test_log_normal_noise_is_scored_on_log10():
    wishes = Wishes(estimates=[Estimate("k", 0.1, 1.0)], noise={"": Noise("log_normal"), "y": Noise("normal", 0.2)})
    problem = setup_from_table(MODEL, readings("x", "y"), wishes).problem
    assert problem.names == ("k", "sd_x")
    assert problem.score_scale == {"x": "log10", "y": "lin"}
    assert problem.noise["y"].scale == 0.2


def test_experiment_applies_to_all():
    dose = Experiment(doses=(Bolus("A", 1.0),))
    frame = pd.DataFrame({"experiment": ["one", "two"] * 3, "time": [1, 1, 2, 2, 3, 3], "x": [1.0, 2, 3, 4, 5, 6]})
    problem = setup_from_table(MODEL, Measurements.from_table(frame, MODEL), Wishes(experiment=dose)).problem
    assert problem.experiments == {"one": dose, "two": dose}


def test_study_as_it_is():
    setup = setup_from_study("theophylline")
    assert setup.problem.study == library.study("theophylline")
    assert setup.remarks == ()


def test_wishes_replace_what_a_study_says():
    ka = Estimate("ka", 0.5, 5.0)
    wishes = Wishes(estimates=[ka], fixed={"V": 0.5}, noise={"concentration": Noise("student_t")})
    setup = setup_from_study("theophylline", None, wishes)
    names = {estimate.name: estimate for estimate in setup.problem.estimates}
    assert set(names) == {"ka", "CL", "sd_concentration"}
    assert names["ka"] == ka
    assert setup.problem.fixed == {"V": 0.5}
    assert setup.problem.noise["concentration"] == Noise("student_t", "sd_concentration")


def test_study_with_other_data():
    model = library.load_model("theophylline")
    frame = pd.DataFrame({"experiment": "oral_4", "time": range(1, 25), "value": [5.0 - 0.1 * t for t in range(24)]})
    other = Measurements.from_table(frame, model, source="mine.csv")
    problem = setup_from_study("theophylline", other).problem
    assert len(problem.measurements) == 24
    assert problem.study is not None
    assert problem.study.dataset == "mine.csv"


def test_a_study_has_its_own_experiments():
    with pytest.raises(ProblemError, match="says what is done"):
        setup_from_study("theophylline", None, Wishes(experiment=Experiment()))


def test_unknown_names_are_refused():
    with pytest.raises(ProblemError, match="no observable 'z'"):
        setup_from_table(MODEL, readings("x"), Wishes(noise={"z": Noise()}))
    with pytest.raises(ProblemError, match="both estimated and fixed"):
        setup_from_table(MODEL, readings("x"), Wishes(estimates=[Estimate("k", 0.1, 1.0)], fixed={"k": 1.0}))
