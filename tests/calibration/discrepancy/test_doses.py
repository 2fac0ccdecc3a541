"""A discrepancy over time and dose: its kernel in NumPy, where it is found and where not, what it goes along."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import calibration
import twin
from calibration.discrepancy import discrepancy_figure, sample_discrepancy
from calibration.discrepancy.along import along_readings
from calibration.discrepancy.kernel import interpolation, reach_prior
from calibration.discrepancy.likelihood import MarginalLikelihood
from calibration.discrepancy.posterior import Discrepancy
from calibration.discrepancy.prediction import predict_with_discrepancy
from twin.errors import ProblemError

pytestmark = pytest.mark.xdist_group("discrepancy")

TIMES = np.linspace(0.25, 10.0, 14)
DOSES = {"low": 1.0, "middle": 2.0, "high": 3.0}
NOISE, SUBJECTS = 0.1, 2


def dosed(wave: float, seed: int = 0, subjects: int = SUBJECTS, times: np.ndarray = TIMES) -> calibration.Problem:
    """A dose that decays, read in some subjects each; at the high one a sine of `wave` noise scales is added."""
    model = twin.Model(
        "dosed",
        [twin.State("A", 1.0)],
        parameters=[twin.Parameter("k", 0.2)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    rng, parts = np.random.default_rng(seed), []
    for experiment, dose in DOSES.items():
        for subject in range(subjects):
            away = wave * np.sin(1.2 * times) * (experiment == "high") + rng.normal(size=len(times))
            part = pd.DataFrame({"time": times, "value": dose * np.exp(-0.2 * times) + NOISE * away})
            parts.append(part.assign(experiment=experiment, subject=f"{experiment} {subject}"))
    table = pd.concat(parts, ignore_index=True).assign(observable="y", noise=np.nan, censoring="")
    estimates = [twin.Estimate("k", 0.02, 2.0), twin.Estimate("sd", 0.01, 2.0, nominal=NOISE)]
    experiments = {name: twin.Experiment(initial={"A": dose}) for name, dose in DOSES.items()}
    weights = {f"{name} {n}": {"weight": 10 * dose} for name, dose in DOSES.items() for n in range(subjects)}
    return calibration.Problem(
        model, table, estimates, twin.Noise("normal", "sd"), experiments=experiments, covariates=weights
    )


def kernel(distance: np.ndarray, length: float) -> np.ndarray:
    x = np.sqrt(5) * distance / length
    return (1 + x + x**2 / 3) * np.exp(-x)


AMPLITUDES, LENGTH, REACH = np.array([0.5, 1.0, 3.0]), 1.3, 0.8


def in_numpy(time: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """Covariance of the process at these times and doses."""
    amplitude = np.interp(dose, [1.0, 2.0, 3.0], AMPLITUDES)
    apart = kernel(np.abs(time[:, None] - time), LENGTH) * kernel(np.abs(dose[:, None] - dose), REACH)
    return amplitude[:, None] * amplitude * apart


def test_its_likelihood_is_the_normal_density_with_the_product_of_two_kernels():
    problem = dosed(2.0, subjects=1, times=TIMES[::3])
    table = problem.measurements.table
    time, dose = table["time"].to_numpy(), table["experiment"].map(DOSES).to_numpy()
    with jax.enable_x64(True):
        found = MarginalLikelihood(problem, along="A")(
            problem.nominal, AMPLITUDES[None], np.array([LENGTH]), np.array([REACH])
        )
        mean = np.asarray(problem.simulate(problem.nominal))
    covariance = NOISE**2 * (np.eye(len(time)) + in_numpy(time, dose))
    assert float(found) == pytest.approx(multivariate_normal.logpdf(problem.bindings.value, mean, covariance), rel=1e-7)


def known(problem: calibration.Problem, draws: int) -> Discrepancy:
    """A posterior that knows everything: all draws are the same."""
    theta = np.broadcast_to(np.log10([0.2, NOISE]), (1, draws, 2))
    one = np.ones((1, draws, 1))
    at_dose = np.broadcast_to(AMPLITUDES, (1, draws, 1, 3))
    like = MarginalLikelihood(problem, along="A")
    return Discrepancy(like, theta, 2 * one, LENGTH * one, 0, REACH * one, at_dose)


@pytest.mark.slow
def test_courses_and_predictions_at_a_dose_are_those_of_the_same_algebra():
    problem, draws = dosed(3.0, subjects=1), 4000
    table = problem.measurements.table
    time, dose = table["time"].to_numpy(), table["experiment"].map(DOSES).to_numpy()
    away = (table["value"].to_numpy() - dose * np.exp(-0.2 * time)) / NOISE

    def expected(read: np.ndarray, at: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = in_numpy(np.concatenate([time[read], at]), np.concatenate([dose[read], of]))
        n = int(read.sum())
        gain = np.linalg.solve(both[:n, :n] + np.eye(n), both[:n, n:]).T
        return gain @ away[read], np.diag(both[n:, n:] - gain @ both[:n, n:])

    at, everything = np.array([1.0, 4.4]), np.ones(len(time), dtype=bool)
    for of in (1.0, 2.5):  # one that was read and one between two
        drawn = known(problem, draws).course(at, "y", dose=of, draws=draws)
        mean, variance = expected(everything, at, np.full(2, of))
        np.testing.assert_allclose((drawn.mean(axis=0) - mean) / np.sqrt(variance), 0, atol=5 / np.sqrt(draws))
        np.testing.assert_allclose(drawn.var(axis=0) / variance, 1, atol=5 * np.sqrt(2 / draws))
    train = ~((dose == 3.0) & (time > 5))
    predicted = predict_with_discrepancy(known(problem.with_rows(train), draws), problem, train, seed=1)
    mean, variance = expected(train, time[~train], dose[~train])
    standard = (predicted.reading[:, ~train] - dose[~train] * np.exp(-0.2 * time[~train])) / NOISE
    np.testing.assert_allclose((standard.mean(axis=0) - mean) / np.sqrt(1 + variance), 0, atol=5 / np.sqrt(draws))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_wrong_at_the_high_dose_only_is_found_there_and_not_at_the_low_one(seed):
    found = sample_discrepancy(dosed(5.0, seed), along="A", starts=4, chains=2, warmup=150, draws=200, quiet=True)
    sizes = found.by_dose().set_index("dose")
    assert list(sizes["flagged"]) == [False, False, True]
    # The root mean square of the sine at the times of readings.
    truth = 5 * np.sqrt(np.mean(np.sin(1.2 * TIMES) ** 2))
    assert sizes.loc[3.0, "lower"] < truth < sizes.loc[3.0, "upper"]
    assert sizes.loc[1.0, "median"] < 1 and sizes.loc[1.0, "practical"] < 0.8
    high = found.course(TIMES, "y", dose=3.0).mean(axis=0)
    low = found.course(TIMES, "y", dose=1.0).mean(axis=0)
    assert np.corrcoef(high, np.sin(1.2 * TIMES))[0, 1] > 0.9
    assert np.abs(low).max() < 1 < np.abs(high).max()
    assert found.table()["flagged"].item()
    assert len(discrepancy_figure(found, draws=10).axes) == 2


def test_amplitudes_are_interpolated_and_the_ends_held():
    weights = interpolation(np.array([0.0, 1.0, 1.25, 9.0]), np.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(weights, [[1, 0, 0], [1, 0, 0], [0.75, 0.25, 0], [0, 0, 1]])


def test_the_prior_of_the_reach_goes_from_doses_by_themselves_to_all_alike():
    centre, spread = reach_prior(np.array([1.0, 2.0, 2.0, 5.0]))
    np.testing.assert_allclose(np.exp(centre + 1.96 * spread * np.array([-1, 1])), [0.5 * 2.0, 3 * 4.0])
    with pytest.raises(ProblemError, match="one dose only"):
        reach_prior(np.ones(4))


def test_which_numbers_it_goes_along():
    problem = dosed(0.0)
    dose = problem.measurements.table["experiment"].map(DOSES).to_numpy()
    np.testing.assert_array_equal(along_readings(problem, "A"), dose)
    np.testing.assert_array_equal(along_readings(problem, {name: 7 * x for name, x in DOSES.items()}), 7 * dose)
    np.testing.assert_allclose(along_readings(problem, "log(weight)"), np.log(10 * dose))
    theophylline = calibration.Problem.from_study("theophylline")
    names = theophylline.measurements.table["experiment"]
    wanted = [theophylline.study.covariate[name] for name in names]  # type: ignore[union-attr]
    np.testing.assert_array_equal(along_readings(theophylline, "study"), wanted)


@pytest.mark.parametrize(
    ("along", "match"),
    [
        ({"low": 1.0, "middle": 2.0}, "'high' has no number"),
        ({"low": 1.0, "middle": 2.0, "high": np.nan}, "not finite"),
        ("study", "gives its experiments no number"),
        ("age", "'age' is no covariate"),
    ],
)
def test_numbers_that_are_not_known_are_refused(along, match):
    with pytest.raises(ProblemError, match=match):
        along_readings(dosed(0.0), along)


def test_a_name_that_nothing_has_is_refused():
    bare = dosed(0.0).rebuilt(covariates=None)
    with pytest.raises(ProblemError, match="no number of the experiments is called 'B'"):
        along_readings(bare, "B")


def test_what_goes_along_no_dose_has_no_size_by_dose():
    problem, draws = dosed(0.0), np.ones((1, 2, 1))
    without = Discrepancy(MarginalLikelihood(problem), np.ones((1, 2, 2)), draws, draws, 0)
    with pytest.raises(ProblemError, match="goes along no dose"):
        without.by_dose()
    with pytest.raises(ProblemError, match="it goes along no dose"):
        without.course(TIMES, "y", dose=1.0)
    with pytest.raises(ProblemError, match="none is named"):
        known(problem, 2).course(TIMES, "y")
    with pytest.raises(ProblemError, match="a discrepancy of its own"):
        MarginalLikelihood(problem, shared=False, along="A")
