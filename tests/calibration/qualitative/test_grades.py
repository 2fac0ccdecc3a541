"""Grades: their probabilities in closed form, the recovery of a rate from grades alone, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import calibration
from calibration.problem import Problem
from calibration.qualitative.grades import Grades, ordinal
from twin.errors import ProblemError
from twin.measurements import Measurements
from twin.model import Model
from twin.precision import float64
from twin.study import Estimate, Noise

THRESHOLDS = np.array([0.5, 1.0, 1.6])
SD = 0.25
TRUE_K = 0.5


def graded_table(seed: int, copies: int = 12) -> pd.DataFrame:
    """Grades 1 to 4 of y = 2 exp(-k t), and three readings of another kind."""
    times = np.repeat(np.linspace(0.0, 5.0, 11), copies)
    latent = 2.0 * np.exp(-TRUE_K * times) + SD * np.random.default_rng(seed).normal(size=len(times))
    table = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "y", "time": times})
    table["value"] = 1.0 + np.searchsorted(THRESHOLDS, latent)
    table["noise"] = np.nan
    return table.assign(censoring="").astype({"experiment": "str", "subject": "str", "observable": "str"})


def made(decay: Model, table: pd.DataFrame, **options) -> tuple[Grades, Problem]:
    given = {"within": (0.1, 3.0), "noise": Noise("normal", SD)} | options
    grades = ordinal(decay, table, "y", **given)
    estimates = [Estimate("k", 0.05, 5.0, nominal=1.0), *grades.estimates]
    return grades, Problem(grades.model, grades.measurements, estimates, grades.noise, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def both(decay: Model) -> tuple[Grades, Problem]:
    return made(decay, graded_table(0))


def theta_of(problem: Problem, k: float, thresholds: np.ndarray) -> np.ndarray:
    values = {"k": np.log10(k), "y_threshold_1": thresholds[0]}
    values |= {f"y_step_{i + 2}": np.log10(step) for i, step in enumerate(np.diff(thresholds))}
    return np.array([values[name] for name in problem.names])


def test_likelihood_and_probabilities_in_closed_form(both: tuple[Grades, Problem]) -> None:
    grades, problem = both
    theta = theta_of(problem, 0.8, np.array([0.4, 1.1, 1.7]))
    table = graded_table(0)
    edges = np.array([-np.inf, 0.4, 1.1, 1.7, np.inf])
    y, grade = 2.0 * np.exp(-0.8 * table["time"].to_numpy()), table["value"].to_numpy(dtype=int)
    expected = np.log(stats.norm.cdf((edges[grade] - y) / SD) - stats.norm.cdf((edges[grade - 1] - y) / SD))
    with float64():
        np.testing.assert_allclose(np.asarray(problem.pointwise_many(theta[None]))[0], expected, rtol=1e-5)
        rows, probability = grades.probabilities(problem, theta)
    at = 2.0 * np.exp(-0.8 * rows["time"].to_numpy())
    by_hand = np.diff(stats.norm.cdf((edges[:, None] - at) / SD), axis=0).T
    np.testing.assert_allclose(probability[0], by_hand, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(probability.sum(axis=-1), 1.0, rtol=1e-12)


@pytest.mark.slow
def test_a_rate_from_grades_alone(decay: Model) -> None:
    """Rate and thresholds of grades of one simulated table lie within four standard errors of the truth."""
    _, problem = made(decay, graded_table(3, copies=60))
    found = calibration.fit(problem, starts=2, seed=0, quiet=True).best
    information = calibration.fisher_information(problem, found)
    error = np.asarray(information.standard_errors)
    assert np.isfinite(error).all()
    assert (np.abs(found - theta_of(problem, TRUE_K, THRESHOLDS)) < 4 * error).all()
    assert (error < 0.1).all()


def test_other_readings_stay_what_they_are(oral: Model) -> None:
    table = graded_table(0).assign(observable="amount")
    other = table.iloc[:2].assign(observable="concentration", value=[0.3, 0.4])
    grades = ordinal(oral, pd.concat([other, table], ignore_index=True), "amount", within=(0, 9), noise=Noise(scale=1))
    found = grades.measurements.table
    assert list(found["value"][:2]) == [0.3, 0.4]
    assert set(found["observable"]) == {"concentration", *(f"amount_grade_{i}" for i in (1, 2, 3, 4))}
    assert list(found["time"]) == [*other["time"], *table["time"]]


def test_two_grades_have_one_threshold(decay: Model) -> None:
    table = graded_table(0)
    grades = ordinal(
        decay, table.assign(value=np.minimum(table["value"], 2.0)), "y", within=(0, 3), noise=Noise(scale=1)
    )
    assert [each.name for each in grades.estimates] == ["y_threshold_1"]
    assert set(grades.measurements.table["censoring"]) == {"left", "right"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": Noise("log_normal", 0.3)}, "the noise is log_normal"),
        ({"noise": Noise("normal")}, "the scale of the noise is None"),
        ({"noise": Noise("normal", "0.1 * y")}, r"the scale of the noise is '0\.1 \* y'"),
        ({"within": (2.0, 1.0)}, r"within is \(2\.0, 1\.0\)"),
    ],
)
def test_what_cannot_be_graded(decay: Model, options: dict, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        ordinal(decay, graded_table(0), "y", **({"within": (0.1, 3.0), "noise": Noise("normal", SD)} | options))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(value=t["value"].replace(2.0, 3.0)), r"no reading has grade 2\n.*\n.*number the grades"),
        (lambda t: t.assign(value=t["value"].replace(2.0, 2.5)), r"readings of 'y': row \d+ has the value 2\.5"),
        (lambda t: t.assign(value=t["value"] - 1), "has the value 0"),
        (lambda t: t.assign(value=1.0), "all readings have grade 1"),
        (lambda t: t.assign(censoring="left"), "row 0 has left"),
        (lambda t: t.assign(observable="other"), "there are none"),
    ],
)
def test_bad_grades(decay: Model, change, message: str) -> None:
    table = Measurements(change(graded_table(0)), source="lab.csv")
    with pytest.raises(ProblemError, match=message) as caught:
        ordinal(decay, table, "y", within=(0.1, 3.0), noise=Noise("normal", SD))
    assert "lab.csv" in str(caught.value)


def test_an_unknown_observable(decay: Model) -> None:
    with pytest.raises(ProblemError, match="the model has no observable 'z'"):
        ordinal(decay, graded_table(0), "z", within=(0, 1), noise=Noise(scale=1.0))
