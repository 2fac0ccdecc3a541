"""Correlated deviations and covariates: closed forms of a linear model, recovery, what is refused."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

from calibration import Problem
from calibration.parameters import ParameterVector
from calibration.population import MarginalLikelihood, PopulationFit, fit_population, importance_sampling
from calibration.population.distribution import covariance_of
from calibration.priors import PriorDensity
from calibration.prospective.design import check_design, with_design
from twin.errors import ProblemError
from twin.model import Model, Observable, Parameter, State
from twin.precision import float64
from twin.study import Effect, Estimate, Noise, Prior

TIMES = np.array([0.5, 1.0, 2.0, 4.0])
DESIGN = np.stack([np.ones(4), TIMES], axis=1)  # reading = A + k t
HALF = Prior("half_normal", scale=1.0)
MEAN, SPREADS, CORRELATION, NOISE, EFFECT = np.array([2.0, 0.5]), np.array([0.6, 0.3]), -0.6, 0.2, 0.8

pytestmark = pytest.mark.xdist_group("population")


def estimates(**of_level: object) -> list[Estimate]:
    """A level and a slope, correlated; the level depends on a covariate."""
    wanted = {"effects": (Effect("log(WT / 70)", "A_WT"),), "block": "line"} | of_level
    return [
        Estimate("A", -10.0, 10.0, scale="lin", per="subject", between=HALF, nominal=1.0, **wanted),  # type: ignore[arg-type]
        Estimate("k", -5.0, 5.0, scale="lin", per="subject", between=HALF, nominal=0.3, block="line"),
        Estimate("sd", 0.01, 5.0, scale="log", nominal=0.3),
    ]


def line() -> Model:
    """x(0) = A, x' = k."""
    return Model(
        "line",
        [State("x", "A")],
        [Parameter("A", 1.0), Parameter("k", 0.5)],
        odes={"x": "k"},
        observables=[Observable("y", "x")],
    )


def study(subjects: int) -> tuple[pd.DataFrame, dict[str, dict[str, float]], np.ndarray]:
    """Readings of subjects with weights, as a table, the weights, and the readings [subject, time]."""
    rng = np.random.default_rng(8)
    weight = rng.uniform(50.0, 100.0, subjects)
    covariance = np.outer(SPREADS, SPREADS) * np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    of_subject = rng.multivariate_normal(MEAN, covariance, subjects)
    of_subject[:, 0] += EFFECT * np.log(weight / 70)
    values = of_subject @ DESIGN.T + NOISE * rng.normal(size=(subjects, 4))
    rows = [
        ("default", str(subject), "y", time, value, np.nan, "")
        for subject, row in enumerate(values, start=1)
        for time, value in zip(TIMES, row, strict=True)
    ]
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    table = pd.DataFrame(rows, columns=columns)
    return table, {str(i): {"WT": w} for i, w in enumerate(weight, start=1)}, values


def exact(values: np.ndarray, weights: np.ndarray, theta: np.ndarray) -> float:
    """Negative log of the marginal likelihood: readings of a subject are multivariate normal."""
    mean_a, effect, spread_a, mean_k, spread_k, z, log_sd = theta
    spreads = np.array([spread_a, spread_k])
    between = np.outer(spreads, spreads) * np.array([[1.0, np.tanh(z)], [np.tanh(z), 1.0]])
    covariance = DESIGN @ between @ DESIGN.T + np.exp(log_sd) ** 2 * np.eye(4)
    means = np.stack([mean_a + effect * np.log(weights / 70), np.full(len(weights), mean_k)], axis=1) @ DESIGN.T
    return -float(stats.multivariate_normal(np.zeros(4), covariance).logpdf(values - means).sum())


def test_correlated_deviations_and_a_covariate_have_their_closed_form() -> None:
    table, covariates, values = study(6)
    problem = Problem(line(), table, estimates(), Noise("normal", "sd"), covariates=covariates)
    likelihood = MarginalLikelihood(problem)
    assert likelihood.names == ("A", "A_WT", "A_between", "k", "k_between", "A_k_correlation", "sd")
    weights = np.array([row["WT"] for row in covariates.values()])
    for theta in ([2.0, 0.8, 0.6, 0.5, 0.3, -0.7, np.log(0.2)], [1.0, -0.3, 1.5, 0.2, 0.9, 1.8, np.log(0.5)]):
        with float64():
            value, gradient, modes = likelihood.value_and_gradient(np.array(theta), np.zeros(12))
        assert modes.found.all()
        assert value == pytest.approx(exact(values, weights, np.array(theta)), rel=1e-9)
        step = 1e-5 * np.eye(7)
        slope = [
            (exact(values, weights, theta + along) - exact(values, weights, theta - along)) / 2e-5 for along in step
        ]
        np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-3)


def test_a_problem_made_anew_keeps_its_arguments_and_one_with_a_design_its_covariates() -> None:
    table, covariates, _ = study(6)
    given = {"fixed": {}, "name": "lines", "score_scale": {"y": "lin"}, "rtol": 1e-7, "atol": 1e-9, "max_steps": 900}
    problem = Problem(
        line(), table, estimates(), Noise("normal", "sd"), solver="tsit5", gradient="reverse", covariates=covariates,
        **given,
    )  # fmt: skip
    again = problem.rebuilt(rtol=1e-8)
    assert again.tolerance == problem.tolerance._replace(rtol=1e-8)
    same = ("names", "name", "fixed", "score_scale", "noise", "method", "gradient", "experiments", "estimates")
    for name in same:
        assert getattr(again, name) == getattr(problem, name), name
    assert again.covariates.by_subject == covariates
    assert float(again.log_likelihood(problem.nominal)) == pytest.approx(float(problem.log_likelihood(problem.nominal)))
    asked = check_design(
        table[["experiment", "subject", "observable", "time"]].iloc[:2].assign(time=9.0), problem, "here"
    )
    whole, new = with_design(problem, asked)
    assert whole.names == problem.names
    assert new.sum() == 2


@pytest.fixture(scope="module")
def forty() -> tuple[Problem, np.ndarray, np.ndarray]:
    """A problem of 40 subjects, its readings and weights."""
    table, covariates, values = study(40)
    frame = pd.DataFrame.from_dict(covariates, orient="index")
    problem = Problem(line(), table, estimates(), Noise("normal", "sd"), covariates=frame)
    return problem, values, frame["WT"].to_numpy()


@pytest.mark.slow
def test_the_maximum_recovers_the_population(forty: tuple[Problem, np.ndarray, np.ndarray]) -> None:
    """40 subjects: every number within three standard errors of what simulated it."""
    problem, values, weights = forty
    found = fit_population(problem, starts=1, quiet=True)
    assert found.converged
    assert found.nllh[0] == pytest.approx(exact(values, weights, found.theta), rel=1e-9)
    truth = {"A": 2.0, "A_WT": EFFECT, "A_between": 0.6, "k": 0.5, "k_between": 0.3, "sd": NOISE}
    for name, value in truth.items():
        assert abs(found.table.loc[name, "estimate"] - value) < 3 * found.table.loc[name, "se"]
    parts = found.components.set_index(["kind", "first", "second"])
    correlation = parts.loc[("correlation", "A", "k")]
    assert abs(correlation["estimate"] - CORRELATION) < 3 * correlation["se"]
    # The delta method by hand: the variance of an estimated spread has the error 2 omega se.
    error = 2 * found.table.loc["A_between", "estimate"] * found.table.loc["A_between", "se"]
    assert parts.loc[("variance", "A", "A"), "se"] == pytest.approx(error, rel=1e-6)
    assert found.individuals["A"].corr(pd.Series(values[:, 0], index=found.individuals.index)) > 0.9


@pytest.mark.slow
def test_saem_finds_the_maximum(forty: tuple[Problem, np.ndarray, np.ndarray]) -> None:
    """The closed form's maximum, within a fifth of a standard error; its value by importance sampling."""
    problem, values, weights = forty
    found = fit_population(problem, method="saem", iterations=(60, 60), seed=1)
    best = minimize(lambda x: exact(values, weights, x), found.theta, method="L-BFGS-B").x
    assert found.converged
    assert (np.abs(found.theta - best) < 0.2 * np.sqrt(np.diag(found.covariance))).all()
    sampled = importance_sampling(found, draws=200)
    assert abs(sampled.objective - 2 * exact(values, weights, found.theta)) < 4 * sampled.error
    assert sampled.error < 1.0
    assert sampled.effective.min() > 50
    with pytest.raises(ProblemError, match="there are 10 draws"):
        importance_sampling(found, draws=10)


def test_methods_that_do_not_exist_are_refused(forty: tuple[Problem, np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ProblemError, match="the method is 'fo'"):
        fit_population(forty[0], method="fo")
    with pytest.raises(ProblemError, match="at least 10 of both kinds"):
        fit_population(forty[0], method="saem", iterations=(5, 100))


def test_any_partial_correlations_make_a_covariance() -> None:
    series = [("e", str(i)) for i in range(3)]
    of_block = [Estimate(n, 0.1, 10.0, scale="log", per="subject", between=HALF, block="b") for n in "xyz"]
    vector = ParameterVector(of_block, series, {})
    assert [e.name for e in vector.entries if e.role == "correlation"] == [
        "x_y_correlation",
        "x_z_correlation",
        "y_z_partial",
    ]
    rng = np.random.default_rng(0)
    with float64():
        for theta in rng.uniform(vector.lower, vector.upper, (5, len(vector))):
            matrix = np.asarray(covariance_of(vector, jnp.asarray(theta)))
            spreads = np.array([theta[vector.names.index(f"{n}_between")] for n in "xyz"])
            partial = np.tanh([theta[i] for i, e in enumerate(vector.entries) if e.role == "correlation"])
            corr = matrix / np.outer(spreads, spreads)
            np.testing.assert_allclose(np.diag(corr), 1.0)
            np.testing.assert_allclose([corr[0, 1], corr[0, 2]], partial[:2])
            left = np.sqrt((1 - corr[0, 1] ** 2) * (1 - corr[0, 2] ** 2))
            assert (corr[1, 2] - corr[0, 1] * corr[0, 2]) / left == pytest.approx(partial[2])
            # Values of the subjects are those of the Cholesky factor.
            z = np.array([[theta[vector.names.index(f"{n}_eta[{i}]")] for i in range(3)] for n in "xyz"])
            typical = np.array([theta[vector.names.index(n)] for n in "xyz"])
            expected = np.exp(typical[:, None] + np.linalg.cholesky(matrix) @ z)
            given = vector.values(jnp.asarray(theta)[:, None], np.arange(3))
            np.testing.assert_allclose([np.asarray(given[n])[:, 0] for n in "xyz"], expected)


def test_fractions_have_a_logit() -> None:
    series = [("e", "1"), ("e", "2")]
    share = Estimate("F", 0.01, 0.99, scale="logit", per="subject", between=HALF, nominal=0.7)
    vector = ParameterVector([share], series, {})
    assert vector.nominal[0] == pytest.approx(np.log(0.7 / 0.3))
    with float64():
        theta = jnp.array([vector.nominal[0], 0.5, 1.0, -2.0])
        given = np.asarray(vector.values(theta[:, None], np.arange(2))["F"])[:, 0]
    expected = 1 / (1 + np.exp(-(vector.nominal[0] + 0.5 * np.array([1.0, -2.0]))))
    np.testing.assert_allclose(given, expected)
    assert vector.linear(np.asarray(theta))[0] == pytest.approx(0.7)
    with pytest.raises(ProblemError, match="the upper bound is 1 on a logit scale"):
        ParameterVector([Estimate("F", 0.1, 1.0, scale="logit")], series, {})


@pytest.mark.parametrize(("scale", "ends"), [("logit", (-4.0, 3.0)), ("atanh", (-2.0, 3.0))])
def test_a_prior_on_a_fraction_or_correlation_is_a_density_of_its_place(scale, ends) -> None:
    grid = np.linspace(*ends, 20001)
    for prior in (Prior("uniform", linear=True), Prior("normal", 0.3, 0.2, linear=True)):
        density = PriorDensity([prior], np.array(ends[:1]), np.array(ends[1:]), [scale])
        with float64():
            each = np.exp(np.asarray(density.log_density(grid[:, None])))
        assert np.trapezoid(each, grid) == pytest.approx(1.0, abs=1e-6)
        u = np.array([[0.1], [0.5], [0.8]])
        below = [np.trapezoid(each[grid <= x], grid[grid <= x]) for x in density.quantile(u)[:, 0]]
        np.testing.assert_allclose(below, u[:, 0], atol=1e-3)


def test_a_category_shifts_those_who_are_in_it() -> None:
    series = [("e", "1"), ("e", "2")]
    effects = (Effect("sex == 1", "k_sex", nominal=0.4), Effect("log(WT / 70)", 0.75))
    from calibration.covariates import Covariates

    given = Covariates({"1": {"sex": 0, "WT": 70.0}, "2": {"sex": 1, "WT": 140.0}})
    vector = ParameterVector([Estimate("k", 0.1, 10.0, scale="log", nominal=1.0, effects=effects)], series, {}, given)
    assert vector.names == ("k", "k_sex")
    with float64():
        values = np.asarray(vector.values(jnp.asarray(vector.nominal)[:, None], np.arange(2))["k"])[:, 0]
    np.testing.assert_allclose(values, [1.0, np.exp(0.4) * 2**0.75])


def test_what_is_refused() -> None:
    table, covariates, _ = study(3)
    noise = Noise("normal", "sd")
    del covariates["2"]["WT"]
    with pytest.raises(ProblemError, match="the covariate 'WT' of subject '2' is missing"):
        Problem(line(), table, estimates(), noise, covariates=covariates)
    with pytest.raises(ProblemError, match="'WT' is no covariate"):
        Problem(line(), table, estimates(), noise)
    covariates["2"]["WT"] = -1.0
    with pytest.raises(ProblemError, match="is not finite for subject '2'"):
        Problem(line(), table, estimates(), noise, covariates=covariates)
    covariates["2"]["WT"] = "heavy"  # type: ignore[assignment]
    with pytest.raises(ProblemError, match="of subject '2' is 'heavy'"):
        Problem(line(), table, estimates(), noise, covariates=covariates)
    with pytest.raises(ProblemError, match="block 'line' has one parameter, 'k'"):
        Problem(line(), table, estimates(effects=(), block=""), noise)
    with pytest.raises(ProblemError, match="per subject and per experiment"):
        Problem(line(), table, [*estimates(effects=())[:1], *_other_level()], noise)
    with pytest.raises(ProblemError, match="does not vary around a typical value"):
        Problem(line(), table, [Estimate("A", 0.1, 9.0, block="line")], noise)
    with pytest.raises(ProblemError, match="every subject has a value of its own"):
        Problem(line(), table, [Estimate("A", 0.1, 9.0, per="subject", effects=(Effect("WT", "b"),))], noise)


def _other_level() -> list[Estimate]:
    return [Estimate("k", -5.0, 5.0, scale="lin", per="experiment", between=HALF, nominal=0.3, block="line")]


def _made(problem: Problem, theta: list[float]) -> PopulationFit:
    """A fit that was not searched for."""
    likelihood = MarginalLikelihood(problem)
    eta = np.linspace(-1.0, 1.0, len(likelihood.deviations))
    size = len(theta)
    return PopulationFit(
        likelihood, np.array(theta), np.zeros(1), np.full((size, size), np.nan), eta, np.ones(len(eta)), True
    )


def test_a_cohort_has_the_fitted_distribution_within_ranges(forty: tuple[Problem, np.ndarray, np.ndarray]) -> None:
    found = _made(forty[0], [2.0, 0.8, 0.6, 0.5, 0.3, np.arctanh(-0.6), np.log(0.2)])
    cohort = found.cohort(4000, seed=3, covariates={"WT": 140.0})
    drawn = cohort.draw()
    assert set(drawn) == {"A", "k"}  # not the noise
    error = 3.0 / np.sqrt(4000)
    assert drawn["A"].mean() == pytest.approx(2.0 + 0.8 * np.log(2), abs=0.6 * error)
    assert drawn["k"].std() == pytest.approx(0.3, abs=0.3 * error)
    assert np.corrcoef(drawn["A"], drawn["k"])[0, 1] == pytest.approx(-0.6, abs=error)
    # k is normal, so the share between its 20th and 70th percentile is a half.
    low, high = stats.norm(0.5, 0.3).ppf([0.2, 0.7])
    kept = found.cohort(500, seed=3, within={"k": (low, high)}, covariates={"WT": 70.0})
    assert ((kept.draw()["k"] >= low) & (kept.draw()["k"] <= high)).all()
    assert kept.acceptance == pytest.approx(0.5, abs=0.05)
    of_study = found.cohort(200, within="individuals", covariates={"WT": 70.0}).draw()
    assert of_study["A"].max() <= found.individuals["A"].max()
    with pytest.raises(ProblemError, match="the covariate 'WT' of the virtual subjects is not given"):
        found.cohort(10)
    with pytest.raises(ProblemError, match="'q' is no estimated parameter"):
        found.cohort(10, within={"q": (0.0, 1.0)}, covariates={"WT": 70.0})
    with pytest.raises(ProblemError, match="expected ends in order|the range of 'k'"):
        found.cohort(10, within={"k": (1.0, 0.0)}, covariates={"WT": 70.0})
