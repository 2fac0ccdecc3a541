"""What a problem refuses, and how it says so."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from calibration import Problem, fit, sample
from twin import Experiment
from twin.errors import MeasurementError, ProblemError, TwinWarning, UnitError
from twin.measurements import Measurements
from twin.model import Model
from twin.study import Estimate, Noise, Prior

K = Estimate("k", 0.01, 10.0)
NORMAL = Noise("normal", 0.1)


@pytest.fixture
def table(table_of_rows: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return table_of_rows([("e", "1", "y", float(t), 2.0 * 0.6**t) for t in range(4)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimates": []}, "nothing is to be estimated"),
        ({"estimates": K}, "expected: a sequence of Estimate"),
        ({"estimates": [Estimate("kk", 0.1, 1.0)]}, "'kk' is to be estimated but nothing depends on it"),
        ({"estimates": [K, Estimate("y", 0.1, 1.0)]}, "'y' is to be estimated, but it is computed by the model"),
        ({"estimates": [Estimate("k", 1.0, 10.0)]}, "nominal value 0.5 lies outside"),
        ({"estimates": [Estimate("k", 0.01, 10.0, prior=Prior("normal", 50.0))]}, "no probability between"),
        ({"noise": Noise("gauss", 0.1)}, "the noise family of 'y' is 'gauss'"),  # type: ignore[arg-type]
        ({"noise": {"y": Noise("gauss", 0.1)}}, "the noise family of 'y' is 'gauss'"),  # type: ignore[arg-type]
        ({"noise": Noise("student_t", 0.1, df=-1.0)}, "degrees of freedom of 'y' are -1"),
        ({"noise": 0.1}, "expected: a Noise"),
        ({"noise": {}}, "'y' is measured but has no noise model"),
        ({"noise": Noise("normal")}, "is to be taken from the table, where some readings have none"),
        ({"noise": Noise("normal", "s * y")}, "noise formula 's \\* y' uses s"),
        ({"noise": Noise("normal", -1.0)}, "noise scale of 'y' is -1"),
        ({"experiments": {"f": Experiment()}}, "readings of the experiment 'e', which is not described"),
        ({"experiments": {"e": Experiment(t0=1.0)}}, "a reading at 0 is earlier than the start"),
        ({"fixed": {"kk": 1.0}}, "'kk' is no parameter of the model"),
        ({"fixed": {"k": np.nan}}, "'k' is nan"),
        ({"rtol": 0.0}, "rtol is 0"),
        ({"atol": np.nan}, "atol is nan"),
        ({"max_steps": 0}, "max_steps is 0"),
    ],
)
def test_nonsense_is_refused(decay: Model, table: pd.DataFrame, changes: dict, message: str) -> None:
    arguments = {"estimates": [K], "noise": NORMAL} | changes
    with pytest.raises(ProblemError, match=message):
        Problem(decay, table, **arguments)


def test_tables_that_do_not_fit_are_refused(decay: Model, table: pd.DataFrame) -> None:
    with pytest.raises(MeasurementError, match="no observable 'z'"):
        Problem(decay, table.assign(observable="z"), [K], NORMAL)
    with pytest.raises(MeasurementError, match="no observable 'z'"):
        Problem(decay, Measurements(table.assign(observable="z")), [K], NORMAL)
    with pytest.raises(MeasurementError):
        Problem(decay, table.iloc[:0], [K], NORMAL)
    with pytest.raises(UnitError, match="'hour' cannot be converted"):
        Problem(decay, Measurements(table, time_unit="hour"), [K], NORMAL)
    with pytest.raises(ProblemError, match=r"a reading of 'y' is -1 \(subject 1, time 0\)"):
        Problem(decay, table.assign(value=-1.0), [K], Noise("log_normal", 0.1))


def test_readings_with_units_are_converted(table: pd.DataFrame) -> None:
    from twin.model.parts import Observable, Parameter, Reaction, State

    model = Model(
        "decay_in_hours",
        [State("A", 2.0, unit="gram")],
        [Parameter("k", 0.5, unit="1/hour")],
        [Reaction("loss", "A ->", "k * A")],
        observables=[Observable("y", "A", unit="gram")],
        time_unit="hour",
    )
    given = Measurements(table, time_unit="day", units={"y": "milligram"})
    bindings = Problem(model, given, [K], NORMAL).bindings
    np.testing.assert_allclose(bindings.times[:, 0], 24 * table["time"])
    np.testing.assert_allclose(bindings.value, 1e-3 * table["value"])


def test_fewer_readings_than_numbers_is_a_warning(decay: Model, table: pd.DataFrame) -> None:
    estimates = [K, Estimate("A0", 0.1, 10.0)]
    with pytest.warns(TwinWarning, match="1 readings for 2 estimated numbers"):
        Problem(decay, table.iloc[:1], estimates, NORMAL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Problem(decay, table.iloc[:2], estimates, NORMAL)


def test_vectors_of_the_wrong_shape_are_refused(decay: Model, table: pd.DataFrame) -> None:
    problem = Problem(decay, table, [K, Estimate("A0", 0.1, 10.0)], NORMAL)
    assert "4 readings in 1 series, 2 estimated numbers" in repr(problem)
    for function in (problem.log_likelihood, problem.log_prior, problem.residuals, problem.simulate):
        with pytest.raises(ProblemError, match=r"theta has shape \(3,\)\n  expected: \(2,\), the entries k, A0"):
            function(np.zeros(3))
        with pytest.raises(ProblemError, match=r"use jax\.vmap for many vectors"):
            function(np.zeros((5, 2)))


def test_fits_and_samples_refuse_counts_below_one(decay: Model, table: pd.DataFrame) -> None:
    problem = Problem(decay, table, [K], NORMAL)
    with pytest.raises(ProblemError, match="starts is 0"):
        fit(problem, starts=0)
    for name in ("chains", "draws", "warmup", "max_doublings"):
        with pytest.raises(ProblemError, match=f"{name} is 0"):
            sample(problem, **{name: 0})
