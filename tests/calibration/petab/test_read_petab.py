"""What PEtab's tables say, against the closed-form solution of a decaying amount."""

from __future__ import annotations

import numpy as np
import pytest
from petab_files import SBML, VERSION_1, VERSION_2, Writer
from scipy import stats

from calibration.petab import UnsupportedPetabError, read_petab
from calibration.problem import Problem
from twin.errors import TwinWarning
from twin.precision import float64

K, SD = 0.5, 0.1


def simulated(problem: Problem) -> np.ndarray:
    return np.asarray(problem.simulate(problem.nominal))


def decay(times: list[float], start: float = 2.0, rate: float = K) -> np.ndarray:
    return start * np.exp(-rate * np.array(times))


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_give_the_same_likelihood(version: int, version_1: Writer, version_2: Writer) -> None:
    problem = read_petab((version_1 if version == 1 else version_2)())
    assert problem.names == ("k", "sd")
    assert problem.nominal == pytest.approx([np.log10(K) if version == 1 else K, SD])
    expected = stats.norm(decay([0, 1, 2]), SD).logpdf([2.1, 1.2, 0.8])
    np.testing.assert_allclose(simulated(problem), decay([0, 1, 2]), rtol=1e-7)
    assert float(problem.log_likelihood(problem.nominal)) == pytest.approx(expected.sum(), rel=1e-7)
    residuals = (decay([0, 1, 2]) - [2.1, 1.2, 0.8]) / SD
    np.testing.assert_allclose(problem.residuals(problem.nominal), residuals, rtol=1e-6)


def test_rows_keep_the_order_of_the_file_and_replicates_stay_apart(version_1: Writer) -> None:
    rows = [VERSION_1["measurements"][0], "y c 2 0.7", "y c 0 2.0", "y c 2 0.7", "y c 1 1.3"]
    problem = read_petab(version_1(measurements=rows))
    np.testing.assert_allclose(simulated(problem), decay([2, 0, 2, 1]), rtol=1e-7)
    assert problem.measurements.table["value"].tolist() == [0.7, 2.0, 0.7, 1.3]


def test_readings_replace_placeholders_by_numbers_and_parameters(version_1: Writer) -> None:
    problem = read_petab(
        version_1(
            parameters=[*VERSION_1["parameters"], "gain log10 0.1 10 3 1", "offset lin - - 0.25 0"],
            observables=[
                VERSION_1["observables"][0],
                "y observableParameter1_y*A+observableParameter2_y noiseParameter1_y*(1+y)",
            ],
            measurements=[
                VERSION_1["measurements"][0] + " observableParameters noiseParameters",
                "y c 0 2.1 1;0 sd",
                "y c 1 1.2 gain;0 0.2",
                "y c 2 0.8 gain;offset k",
                "y c 2 0.8 7;offset sd",
            ],
        )
    )
    expected = np.array([1, 3, 3, 7]) * decay([0, 1, 2, 2]) + [0, 0, 0.25, 0.25]
    scale = np.array([SD, 0.2, K, SD]) * (1 + expected)
    np.testing.assert_allclose(simulated(problem), expected, rtol=1e-7)
    llh = stats.norm(expected, scale).logpdf([2.1, 1.2, 0.8, 0.8]).sum()
    assert float(problem.log_likelihood(problem.nominal)) == pytest.approx(llh, rel=1e-7)


@pytest.mark.slow
def test_gradients_reach_placeholders_in_both_modes(version_1: Writer) -> None:
    problem = read_petab(
        version_1(
            parameters=[*VERSION_1["parameters"], "gain log10 0.1 10 3 1"],
            observables=[VERSION_1["observables"][0], "y observableParameter1_y*A noiseParameter1_y"],
            measurements=[
                VERSION_1["measurements"][0] + " observableParameters noiseParameters",
                "y c 0 2.1 1 sd",
                "y c 1 1.2 gain 0.2",
                "y c 2 0.8 k gain",
            ],
        )
    )
    theta = problem.nominal + np.array([0.05, 0.02, -0.03])

    def total(x: np.ndarray) -> float:
        return float(problem.log_likelihood(x))

    steps = 1e-5 * np.eye(3)
    slope = np.array([(total(theta + h) - total(theta - h)) / 2e-5 for h in steps])
    _, gradient = problem.log_likelihood_and_gradient_many(theta[None])
    np.testing.assert_allclose(np.asarray(gradient)[0], slope, rtol=1e-6)
    simulate = np.array([(simulated_at(problem, theta + h) - simulated_at(problem, theta - h)) / 2e-5 for h in steps])
    with float64():
        line = problem.predictor.linearise(theta[None])
    np.testing.assert_allclose(np.asarray(line.d_value)[0].T, simulate, rtol=1e-5, atol=1e-8)
    scale = np.array([problem.predict_many((theta + h)[None]).scale[0] for h in steps])
    scale -= np.array([problem.predict_many((theta - h)[None]).scale[0] for h in steps])
    np.testing.assert_allclose(np.asarray(line.d_scale)[0].T, scale / 2e-5, rtol=1e-5, atol=1e-8)


def simulated_at(problem: Problem, theta: np.ndarray) -> np.ndarray:
    return np.asarray(problem.simulate(theta))


@pytest.mark.parametrize(
    ("transformation", "distribution", "density"),
    [
        ("lin", "normal", lambda y, f: stats.norm(f, SD).logpdf(y)),
        ("lin", "laplace", lambda y, f: stats.laplace(f, SD).logpdf(y)),
        ("log", "normal", lambda y, f: stats.lognorm(SD, scale=f).logpdf(y)),
        ("log10", "normal", lambda y, f: stats.lognorm(SD * np.log(10), scale=f).logpdf(y)),
        ("log10", "laplace", lambda y, f: stats.loglaplace(1 / (SD * np.log(10)), scale=f).logpdf(y)),
    ],
)
def test_noise_of_version_1(version_1: Writer, transformation: str, distribution: str, density) -> None:
    head, row = VERSION_1["observables"]
    problem = read_petab(
        version_1(
            observables=[
                f"{head} observableTransformation noiseDistribution",
                f"{row} {transformation} {distribution}",
            ]
        )
    )
    expected = density(np.array([2.1, 1.2, 0.8]), decay([0, 1, 2])).sum()
    assert float(problem.log_likelihood(problem.nominal)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("distribution", ["normal", "laplace", "log-normal", "log-laplace"])
def test_noise_of_version_2(version_2: Writer, distribution: str) -> None:
    head, row = VERSION_2["observables"]
    problem = read_petab(version_2(observables=[f"{head} noiseDistribution", f"{row} {distribution}"]))
    y, f = np.array([2.1, 1.2, 0.8]), decay([0, 1, 2])
    family = stats.norm if distribution.endswith("normal") else stats.laplace
    expected = family(np.log(f), SD).logpdf(np.log(y)) - np.log(y) if "log" in distribution else family(f, SD).logpdf(y)
    assert float(problem.log_likelihood(problem.nominal)) == pytest.approx(expected.sum(), rel=1e-7)


def test_conditions_of_version_1_set_parameters_states_and_start_from_a_steady_state(version_1: Writer) -> None:
    problem = read_petab(
        version_1(
            parameters=[*VERSION_1["parameters"], "start log10 1 10 4 1"],
            conditions=["conditionId inflow A B", "rest 3 1 5", "fresh 0 start NaN", "wash 0 NaN NaN"],
            measurements=[
                "observableId preequilibrationConditionId simulationConditionId time measurement",
                "y - fresh 1 1.0",
                "y rest wash 1 1.0",
                "y rest fresh 1 1.0",
            ],
        )
    )
    # At rest A = inflow / k = 6, and B grows without end; it is not reset.
    assert simulated(problem)[0] == pytest.approx(decay([1], 4)[0], rel=1e-6)


def test_steady_states_before_and_after(version_1: Writer) -> None:
    # B would grow without end at rest: it is a boundary here.
    model = _closed()
    problem = read_petab(
        version_1(
            model,
            conditions=["conditionId inflow A", "rest 3 1", "fresh 0 4", "wash 0 NaN", "on 2 NaN"],
            measurements=[
                "observableId preequilibrationConditionId simulationConditionId time measurement",
                "y rest wash 1 1.0",
                "y rest fresh 1 1.0",
                "y - on inf 1.0",
                "y rest on inf 1.0",
                "y rest on 0 1.0",
            ],
        )
    )
    expected = [decay([1], 6)[0], decay([1], 4)[0], 4.0, 4.0, 6.0]
    np.testing.assert_allclose(simulated(problem), expected, rtol=1e-6)
    # The steady state inflow / k moves with k.
    with float64():
        slope = np.asarray(problem.predictor.linearise(problem.nominal[None]).d_value)[0, 2, 0]
    assert slope == pytest.approx(-4.0 * np.log(10), rel=1e-5)


def _closed() -> str:
    return SBML.replace(
        '<listOfProducts><speciesReference species="B" stoichiometry="1" constant="true"/></listOfProducts>', ""
    )


def test_periods_of_version_2(version_2: Writer) -> None:
    problem = read_petab(
        version_2(
            _closed(),
            parameters=[*VERSION_2["parameters"], "dose 0 10 5 true", "k_rest 0 10 0.25 false"],
            conditions=[
                "conditionId targetId targetValue",
                "rest inflow 1.5",
                "rest rate 2*k_rest",
                "stop inflow 0",
                "add A A+dose",
                "off rate 0",
            ],
            mapping=["petabEntityId modelEntityId", "rate k"],
            experiments=[
                "experimentId time conditionId",
                "e -inf rest",
                "e 5 stop",
                "e 6 add",
                "e 6 off",
                "f 0 -",
                "f 1 add",
            ],
            measurements=[
                "observableId experimentId time measurement",
                "y e 5 1",
                "y e 5.5 1",
                "y e 6 1",
                "y e 9 1",
                "y f 0.5 1",
                "y f 1 1",
                "y f 2 1",
            ],
        )
    )
    at_6 = 3 * np.exp(-0.5) + 5
    at_1 = 2 * np.exp(-0.5) + 5
    expected = [3, 3 * np.exp(-0.25), at_6, at_6, 2 * np.exp(-0.25), at_1, at_1 * np.exp(-0.5)]
    np.testing.assert_allclose(simulated(problem), expected, rtol=1e-6)


def test_a_nominal_value_outside_its_bounds_is_kept_with_a_warning(version_2: Writer) -> None:
    rows = [VERSION_2["parameters"][0], "k 1 10 0.5 true", "sd 0.001 10 0.1 true"]
    with pytest.warns(TwinWarning, match="the nominal values of k lie outside"):
        problem = read_petab(version_2(parameters=rows))
    assert problem.nominal == pytest.approx([K, SD])
    assert float(problem.log_prior(problem.nominal)) == -np.inf
    np.testing.assert_allclose(simulated(problem), decay([0, 1, 2]), rtol=1e-7)


def test_predictions_at_other_times_take_the_values_of_the_nearest_reading(version_1: Writer) -> None:
    problem = read_petab(
        version_1(
            observables=[VERSION_1["observables"][0], "y observableParameter1_y*A sd"],
            measurements=[
                VERSION_1["measurements"][0] + " observableParameters",
                "y c 0 2.1 1",
                "y c 1 1.2 3",
                "y c 2 0.8 3",
            ],
        )
    )
    table = problem.measurements.table
    table["time"] = [0.25, 0.75, 4.0]
    other = problem.at(table)
    np.testing.assert_allclose(simulated(other), np.array([1, 3, 3]) * decay([0.25, 0.75, 4.0]), rtol=1e-7)
    part = problem.with_rows(np.array([False, True, True]))
    np.testing.assert_allclose(simulated(part), 3 * decay([1, 2]), rtol=1e-7)


def test_the_model_in_another_language_is_refused(version_2: Writer) -> None:
    path = version_2()
    path.write_text(path.read_text().replace("language: sbml", "language: pysb"))
    with pytest.raises(UnsupportedPetabError, match="is written in 'pysb'"):
        read_petab(path)
