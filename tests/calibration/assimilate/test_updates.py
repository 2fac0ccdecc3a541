"""What an update refuses, what it remembers, and particles that cannot be integrated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import calibration
from twin.errors import MeasurementError, ProblemError, SimulationError, TwinWarning, UnitError
from twin.measurements import Measurements
from twin.study import Estimate, Noise

pytestmark = pytest.mark.xdist_group("assimilate")


def reading(**changes: object) -> pd.DataFrame:
    return pd.DataFrame([{"experiment": "e", "subject": "1", "observable": "y", "time": 8.0, "value": 0.1, **changes}])


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"time": 6.9}, MeasurementError, "made at 6.9, and the twin stands at 7"),
        ({"observable": "z"}, MeasurementError, "z"),
        ({"experiment": "f"}, MeasurementError, "knows no experiment 'f' with subject '1'"),
        ({"subject": "2"}, MeasurementError, "knows no experiment 'e' with subject '2'"),
        ({"value": np.nan}, MeasurementError, "value"),
        ({"value": -1.0}, MeasurementError, "positive readings, since the noise is log_normal"),
        ({"time": np.inf}, MeasurementError, "time"),
        ({"time": np.nan}, MeasurementError, "time"),
    ],
)
def test_readings_that_cannot_be_taken_in(updated, changes, error, says) -> None:
    with pytest.raises(error, match=says):
        updated[-1].update(reading(**changes))


def test_a_reading_in_another_unit(updated) -> None:
    table = Measurements.from_table(reading(), value_units="kilogram", time_unit="dimensionless")
    with pytest.raises(UnitError, match="kilogram"):
        updated[-1].update(table)


def test_methods(updated) -> None:
    with pytest.raises(ProblemError, match="the method is 'enkv'"):
        updated[-1].update(reading(), "enkv")
    with pytest.raises(ProblemError, match="deterministic given its parameters"):
        updated[-1].update(reading(), "particle")
    with pytest.raises(ProblemError, match="reading 1 of 'y' is censored"):
        updated[-1].update(reading(censoring="left"), "enkf")
    with pytest.raises(ProblemError, match="the option 'treshold' is given"):
        updated[-1].update(reading(), treshold=1)
    with pytest.raises(ProblemError, match="threshold is 2"):
        updated[-1].update(reading(), threshold=2)


def test_names_of_the_series_may_be_left_out(updated) -> None:
    short = updated[-1].update(pd.DataFrame({"time": [8.0], "value": [0.05]}))
    assert short.readings.iloc[-1][["experiment", "subject"]].tolist() == ["e", "1"]
    assert short.time() == 8.0 and updated[-1].time() == 7.0


def test_the_same_seed_gives_the_same_twin(linear) -> None:
    one, other = (linear.twin.update(linear.table.iloc[:5], seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.ensemble.theta, other.ensemble.theta)
    third = linear.twin.update(linear.table.iloc[:5], seed=4)
    assert not np.array_equal(one.ensemble.theta, third.ensemble.theta)


def test_weights_that_cannot_be_trusted(linear) -> None:
    with pytest.warns(TwinWarning, match="Pareto k of the weights"):
        live = linear.twin.update(linear.table, threshold=0.0)
    assert live.log[-1]["pareto_k"] > 0.7 and live.log[-1]["moves"] == 0
    assert live.ess < 100


@pytest.mark.slow
def test_censored_readings_count(updated, linear) -> None:
    above = updated[-1].update(reading(value=0.2, censoring="right"))
    # That it was more than expected says that the decay is slower.
    assert above.summary().loc["k", "mean"] < updated[-1].summary().loc["k", "mean"]
    assert above.readings.iloc[-1]["censoring"] == "right"


def test_particles_that_cannot_be_integrated(explosion) -> None:
    """x = 1 / (1 - k t): above k = 1/2 there is no solution at t = 2; half the prior has weight 0."""
    table = pd.DataFrame(
        {"experiment": "e", "subject": "1", "observable": "y", "time": [2.0], "value": [1.7], "noise": np.nan,
         "censoring": ""}
    )  # fmt: skip
    problem = calibration.Problem(
        explosion, table, [Estimate("k", 0.0, 1.0, scale="lin", nominal=0.2)], Noise("normal", 0.2), max_steps=200
    )
    start = calibration.twin_of(problem, particles=400, seed=2)
    with pytest.warns(TwinWarning, match="could not be integrated up to the new readings"):
        live = start.update(table)
    failed = live.log[-1]["failed"]
    assert failed == int(np.sum(start.ensemble.theta[:, 0] >= 0.5))
    # Quadrature of the posterior of k.
    k = np.linspace(0.0, 0.5, 20_001)[:-1] + 1.25e-5
    weight = np.exp(-0.5 * ((1 / (1 - 2 * k) - 1.7) / 0.2) ** 2)
    mean = float((weight * k).sum() / weight.sum())
    sd = float(np.sqrt((weight * (k - mean) ** 2).sum() / weight.sum()))
    assert live.summary().loc["k", "mean"] == pytest.approx(mean, abs=4.5 * sd / np.sqrt(live.log[-1]["distinct"] / 3))
    with pytest.warns(TwinWarning, match="others replace them"):
        approximate = start.update(table, "enkf")
    assert approximate.log[-1]["failed"] == failed
    fast = start.ensemble.theta[:, 0] > 0.5
    hopeless = replace(start, ensemble=replace(start.ensemble, log_weights=np.where(fast, 0.0, -np.inf)))
    with pytest.raises(SimulationError, match=f"no particle can explain the readings \\({failed} of {failed}"):
        hopeless.update(table)


def test_a_twin_of_a_posterior(decay, table_of_rows) -> None:
    table = table_of_rows([("e", "1", "y", 1.0, 1.0), ("e", "1", "y", 2.0, 0.5)])
    estimates = [Estimate("k", 0.1, 2.0), Estimate("A0", 0.1, 10.0)]
    problem = calibration.Problem(decay, table, estimates, Noise("log_normal", 0.3))
    tree = tree_of(problem)
    live = calibration.twin_of(problem, tree, particles=30)
    given = tree["posterior"]["theta"].to_numpy().reshape(-1, 2)
    assert len(live) == 30 and {tuple(each) for each in live.ensemble.theta} <= {tuple(each) for each in given}
    np.testing.assert_allclose(live.ensemble.values["k"][0], live.ensemble.linear[:, 0], rtol=1e-12)
    assert len(live.readings) == 2 and live.time() == 2.0  # it knows what the posterior was given
    assert live.log[0]["from"] == "posterior" and live.log[0]["data"]["sha256"] == problem.measurements.sha256
    assert len(calibration.twin_of(problem, tree, particles=1000)) == 40


def test_twins_of_problems_that_have_none(linear) -> None:
    problem = calibration.Problem(
        linear.twin.model, linear.table, linear.twin.basis.estimates, linear.twin.basis.noise, name="linear"
    )
    with pytest.raises(ProblemError, match="particles is 1"):
        calibration.twin_of(problem, particles=1)
    with pytest.raises(ProblemError, match="the posterior is a dict"):
        calibration.twin_of(problem, {})


@pytest.mark.slow
def test_two_series_have_clocks_of_their_own(decay, table_of_rows) -> None:
    table = table_of_rows([(e, s, "y", t, 1.0) for e, s, t in (("e", "1", 0.5), ("e", "2", 0.5), ("f", "1", 1.0))])
    estimates = [
        Estimate("k", 0.05, 5.0, per="subject", nominal=0.5),
        Estimate("A0", 0.1, 10.0, per="experiment", nominal=2.0),
    ]
    with pytest.warns(TwinWarning, match="3 readings for 4 estimated numbers"):
        problem = calibration.Problem(decay, table, estimates, Noise("log_normal", 0.2))
    start = calibration.twin_of(problem, particles=300)
    assert start.names == problem.names == ("k[1]", "k[2]", "A0[e]", "A0[f]")
    live = start.update(reading(time=3.0, value=0.5)).update(reading(time=1.0, value=0.8, experiment="f"))
    assert live.times == {("e", "1"): 3.0, ("e", "2"): 0.0, ("f", "1"): 1.0}
    with pytest.raises(MeasurementError, match="stands at 3"):
        live.update(reading(time=1.0))
    # What was read of subject 1 says nothing of subject 2's rate.
    before, after = start.summary()["sd"], live.summary()["sd"]
    assert after["k[1]"] < 0.8 * before["k[1]"]
    assert after["k[2]"] == pytest.approx(before["k[2]"], rel=4.5 / np.sqrt(2 * live.ess))
    with pytest.raises(ProblemError, match="other readings"):
        calibration.twin_of(replace_readings(problem), tree_of(problem))


def replace_readings(problem: calibration.Problem) -> calibration.Problem:
    return problem.at(problem.measurements.table.assign(value=2.0))


def tree_of(problem: calibration.Problem):
    from calibration.predict import draws_to_tree

    draws = problem.prior.draw(np.random.default_rng(0), 40).reshape(2, 20, -1)
    return draws_to_tree(problem, draws, seed=0, predictive=False)


def test_a_twin_never_changes(updated) -> None:
    with pytest.raises(AttributeError, match="cannot assign"):
        updated[-1].log = ()
    with pytest.raises(ValueError, match="read-only"):
        updated[-1].ensemble.theta[0, 0] = 1.0
    assert replace(updated[-1], log=()).log == ()
