"""An unknown monotone function of an observable: its values, what is solved inside, a rate recovered, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import calibration
from calibration.problem import Problem
from calibration.qualitative.monotone import MonotoneReadings, monotone
from twin.errors import ProblemError
from twin.experiment import Experiment
from twin.model import Model
from twin.precision import float64
from twin.study import Estimate, Noise

RATE, DOSES, SD = 0.4, (0.5, 1.0, 2.0), 0.02
KNOTS, HEIGHTS = np.array([0.0, 1.0, 2.0]), np.array([0.3, 0.5, 1.4])
TIMES = np.linspace(0.0, 6.0, 13)


def readings(falling: bool = False) -> pd.DataFrame:
    """The amount of three doses, read through a line with a kink."""
    rng, parts = np.random.default_rng(0), []
    for dose in DOSES:
        read = np.interp(dose * np.exp(-RATE * TIMES), KNOTS, HEIGHTS) * (-1 if falling else 1)
        value = read + SD * rng.normal(size=len(TIMES))
        parts.append(pd.DataFrame({"experiment": f"{dose}", "observable": "y", "time": TIMES, "value": value}))
    return pd.concat(parts, ignore_index=True)


def made(decay: Model, **options: Any) -> tuple[MonotoneReadings, Problem]:
    given = {"within": (0.0, 2.0), "pieces": 2, "noise": Noise("normal", "sd")} | options
    read = monotone(decay, readings(given.get("falling", False)), "y", **given)
    estimates = [Estimate("k", 0.05, 5.0, nominal=1.0), Estimate("sd", 1e-3, 1.0, nominal=0.1), *read.estimates]
    experiments = {f"{dose}": Experiment(initial={"A": dose}) for dose in DOSES}
    return read, Problem(read.model, read.measurements, estimates, read.noise, experiments=experiments, rtol=1e-9)


@pytest.fixture(scope="module")
def both(decay: Model) -> tuple[MonotoneReadings, Problem]:
    return made(decay)


def theta_of(problem: Problem, k: float) -> np.ndarray:
    values = {"k": np.log10(k), "sd": np.log10(SD), "y_read_0": HEIGHTS[0]}
    values |= {f"y_change_{i + 1}": rise for i, rise in enumerate(np.diff(HEIGHTS))}
    return np.array([values[name] for name in problem.names])


def test_predictions_are_the_function_of_the_observable(both: tuple[MonotoneReadings, Problem]) -> None:
    read, problem = both
    theta = theta_of(problem, 0.7)
    table = problem.measurements.table
    amount = table["experiment"].astype(float).to_numpy() * np.exp(-0.7 * table["time"].to_numpy())
    with float64():
        found = np.asarray(problem.predict_many(theta[None]).value)[0]
    np.testing.assert_allclose(found, np.interp(amount, KNOTS, HEIGHTS), rtol=1e-6)
    np.testing.assert_allclose(read.heights(problem, theta)[0], HEIGHTS)
    np.testing.assert_allclose(read.knots, KNOTS)


def test_all_but_the_mechanism_is_solved_inside(both: tuple[MonotoneReadings, Problem]) -> None:
    table = calibration.inner_parameters(both[1]).set_index("entry")
    assert table.loc["k", "role"] == "outer"
    assert set(table["role"].drop("k")) == {"offset", "scaling", "noise"}


@pytest.mark.slow
def test_a_rate_and_the_function_are_found(both: tuple[MonotoneReadings, Problem]) -> None:
    read, problem = both
    best = calibration.fit(problem, starts=3, seed=0, inner=True, quiet=True).best
    error = np.asarray(calibration.fisher_information(problem, best).standard_errors)
    assert (np.abs(best - theta_of(problem, RATE)) < 4 * error).all()
    assert (error[problem.names.index("k")] < 0.05).all()
    assert np.abs(read.heights(problem, best)[0] - HEIGHTS).max() < 0.05


def test_a_function_that_falls_has_changes_below_nought(decay: Model) -> None:
    read, problem = made(decay, falling=True)
    changes = [each for each in read.estimates if "change" in each.name]
    assert all(each.upper == 0.0 and each.lower < 0.0 for each in changes)
    heights = read.heights(problem, problem.nominal)[0]
    assert (np.diff(heights) < 0.0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": Noise("log_normal", 0.3)}, "the noise is log_normal"),
        ({"within": (2.0, 2.0)}, r"within is \(2\.0, 2\.0\)"),
        ({"pieces": 0}, "pieces is 0"),
    ],
)
def test_what_is_refused(decay: Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        made(decay, **options)


def test_unknown_observables_are_named(decay: Model) -> None:
    with pytest.raises(ProblemError, match="the model has no observable 'z'"):
        monotone(decay, readings(), "z", within=(0.0, 1.0), noise=Noise("normal", 1.0))
