"""Occasions within subjects: closed forms of a linear model, what the vector means, what is refused."""

from __future__ import annotations

import runpy
import tempfile
from dataclasses import replace
from pathlib import Path

import arviz_stats
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

from calibration import Problem, sample
from calibration.optimise.objective import Objective
from calibration.parameters import ETA_BOUND, LARGEST_BETWEEN, ParameterVector
from calibration.population import (
    MarginalLikelihood,
    PopulationFit,
    fit_population,
    importance_sampling,
    predictive_check,
)
from calibration.population.group_objective import GroupObjective
from twin.errors import ProblemError
from twin.model import Model, Observable, Parameter, State
from twin.precision import float64
from twin.study import Estimate, Noise, Prior

HALF = Prior("half_normal", scale=1.0)
MEAN, SPREADS, CORRELATION, OCCASIONS, NOISE = np.array([2.0, 0.5]), (0.6, 0.3), -0.5, (0.4, 0.2), 0.2
TRUTH = np.array([2.0, 0.6, 0.4, 0.5, 0.3, np.arctanh(-0.5), 0.2, np.log(0.2)])
"""In the order of the population's vector."""
NAMES = ("A", "A_between", "A_between_occasions", "k", "k_between", "A_k_correlation", "k_between_occasions", "sd")

pytestmark = pytest.mark.xdist_group("population")


def estimates(**of_level: object) -> list[Estimate]:
    """A level and a slope, correlated between subjects, both different on every occasion."""
    wanted = {"between": HALF, "between_occasions": HALF, "per": "subject", "block": "line", "scale": "lin"}
    return [
        Estimate("A", -10.0, 10.0, nominal=1.0, **(wanted | of_level)),  # type: ignore[arg-type]
        Estimate("k", -5.0, 5.0, nominal=0.3, **wanted),  # type: ignore[arg-type]
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


def times_of(subject: int, occasion: int) -> np.ndarray:
    """Readings differ in number between occasions."""
    return np.array([0.5, 1.0, 2.0, 3.0, 4.0])[: 5 - (subject + occasion) % 2]


def study(subjects: int) -> pd.DataFrame:
    """Subjects in turn with one, two and three occasions."""
    rng = np.random.default_rng(5)
    between = np.outer(SPREADS, SPREADS) * np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    rows = []
    for subject in range(subjects):
        own = rng.multivariate_normal(MEAN, between)
        for occasion in range(1 + subject % 3):
            level, slope = own + OCCASIONS * rng.normal(size=2)
            for time in times_of(subject, occasion):
                value = level + slope * time + NOISE * rng.normal()
                rows.append((f"visit_{occasion}", str(subject), "y", time, value, np.nan, ""))
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    return pd.DataFrame(rows, columns=columns)


def exact(table: pd.DataFrame, theta: np.ndarray) -> float:
    """Negative log of the marginal likelihood: readings of a subject are multivariate normal."""
    mean_a, spread_a, visit_a, mean_k, spread_k, z, visit_k, log_sd = theta
    between = np.diag([spread_a, spread_k]) @ [[1.0, np.tanh(z)], [np.tanh(z), 1.0]] @ np.diag([spread_a, spread_k])
    total = 0.0
    for _, part in table.groupby("subject", sort=False):
        design = np.stack([np.ones(len(part)), part["time"]], axis=1)
        visit = part["experiment"].to_numpy()
        same = visit[:, None] == visit
        covariance = design @ between @ design.T + same * (design @ np.diag([visit_a**2, visit_k**2]) @ design.T)
        covariance += np.exp(log_sd) ** 2 * np.eye(len(part))
        total -= stats.multivariate_normal(design @ [mean_a, mean_k], covariance).logpdf(part["value"])
    return float(total)


def test_the_vector_has_a_deviation_for_every_subject_and_occasion() -> None:
    series = [("fed", "1"), ("fed", "2"), ("fasted", "1")]
    given = Estimate("k", 0.1, 10.0, scale="log", nominal=1.0, per="subject", between=0.5, between_occasions=HALF)
    vector = ParameterVector([given], series, {})
    kappas = ("k_kappa[1, fed]", "k_kappa[2, fed]", "k_kappa[1, fasted]")
    assert vector.names == ("k", "k_eta[1]", "k_eta[2]", "k_between_occasions", *kappas)
    spread, kappa = vector.entries[3], vector.entries[4]
    assert (spread.role, spread.lower, spread.upper, spread.prior) == ("occasions", 0.0, LARGEST_BETWEEN, HALF)
    assert (kappa.role, kappa.lower, kappa.upper, kappa.nominal) == ("kappa", -ETA_BOUND, ETA_BOUND, 0.0)
    assert kappa.prior == Prior("normal", 0.0, 1.0)
    with float64():
        theta = jnp.array([0.1, 1.0, -2.0, 0.3, 0.5, -1.0, 2.0])
        values = np.asarray(vector.values(theta[:, None], np.arange(3))["k"])[:, 0]
        own = np.asarray(vector.slots["k"].of_subject(theta[:, None], np.arange(3)))[:, 0]
    np.testing.assert_allclose(values, np.exp([0.1 + 0.5 + 0.15, 0.1 - 1.0 - 0.3, 0.1 + 0.5 + 0.6]))
    np.testing.assert_allclose(own, [0.6, -0.9, 0.6])
    assert vector.slots["k"].entries([2]) == {0, 1, 3, 6}
    held = ParameterVector([replace(given, between_occasions=0.2)], series, {})
    assert held.names == ("k", "k_eta[1]", "k_eta[2]", *kappas)


def test_laplace_has_the_closed_form() -> None:
    table = study(7)
    likelihood = MarginalLikelihood(Problem(line(), table, estimates(), Noise("normal", "sd")))
    assert likelihood.names == NAMES
    assert len(likelihood.deviations) == 2 * (7 + 13)
    for theta in (TRUTH, np.array([1.0, 1.5, 0.2, 0.2, 0.9, 1.2, 0.7, np.log(0.5)])):
        with float64():
            value, gradient, modes = likelihood.value_and_gradient(theta, np.zeros(40))
        assert modes.found.all()
        assert value == pytest.approx(exact(table, theta), rel=1e-9)
        step = 1e-5 * np.eye(8)
        slope = [(exact(table, theta + along) - exact(table, theta - along)) / 2e-5 for along in step]
        np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-3)


@pytest.fixture(scope="module")
def ninety() -> tuple[Problem, np.ndarray]:
    """A problem of 90 subjects with 180 occasions, and the maximum of its likelihood by the closed form."""
    table = study(90)
    best = minimize(lambda x: exact(table, x), TRUTH, method="L-BFGS-B").x
    return Problem(line(), table, estimates(), Noise("normal", "sd")), best


@pytest.mark.slow
def test_the_maximum_recovers_both_spreads(ninety: tuple[Problem, np.ndarray]) -> None:
    problem, best = ninety
    found = fit_population(problem, starts=1, quiet=True)
    error = np.sqrt(np.diag(found.covariance))
    assert found.converged
    assert found.nllh[0] == pytest.approx(exact(problem.measurements.table, found.theta), rel=1e-9)
    assert (np.abs(found.theta - best) < 0.01 * error).all()
    assert (np.abs(found.theta - TRUTH) < 3 * error).all()
    parts = found.components.set_index(["kind", "first", "second"])
    of_visits = parts.loc[("variance between occasions", "A", "A")]
    assert of_visits["estimate"] == pytest.approx(found.theta[2] ** 2)
    assert of_visits["se"] == pytest.approx(2 * found.theta[2] * error[2], rel=1e-6)


@pytest.mark.slow
def test_saem_and_importance_sampling_agree_with_the_closed_form(ninety: tuple[Problem, np.ndarray]) -> None:
    """SAEM within 0.4 standard errors: an iteration scatters by 0.6 and is correlated with some ten others, so the mean
    of 200 has a Monte-Carlo error of 0.13."""
    problem, best = ninety
    found = fit_population(problem, method="saem", seed=1)
    assert found.converged
    assert (np.abs(found.theta - best) < 0.4 * np.sqrt(np.diag(found.covariance))).all()
    sampled = importance_sampling(found, draws=200)
    assert abs(sampled.objective - 2 * exact(problem.measurements.table, found.theta)) < 4 * sampled.error
    assert sampled.error < 1.5
    assert sampled.effective.min() > 50


def test_derivatives_by_group_are_those_of_the_whole_vector() -> None:
    """Against the objective of fits, which takes a direction per entry; also where levels cross."""
    wanted = {"scale": "lin", "between": HALF}
    crossed = [
        Estimate("A", -10.0, 10.0, nominal=1.0, per="subject", **wanted),  # type: ignore[arg-type]
        Estimate("k", -5.0, 5.0, nominal=0.3, per="experiment", **wanted),  # type: ignore[arg-type]
        Estimate("sd", 0.01, 5.0, scale="log", nominal=0.3),
    ]
    for given, groups in ((estimates(), 5), (crossed, 1)):
        problem = Problem(line(), study(5), given, Noise("normal", "sd + 0.1 * y"))
        by_group, whole = GroupObjective(problem), Objective(problem, with_prior=False)
        assert len(by_group.place) == groups
        vectors = problem.nominal + 0.3 * np.random.default_rng(0).normal(size=(3, len(problem.names)))
        with float64():
            found, expected = by_group(vectors), whole(vectors)
        own, of_population = by_group.deviations, by_group.population
        np.testing.assert_allclose(found.nllh, expected.nllh, rtol=1e-12)
        np.testing.assert_allclose(found.slope, expected.gradient[:, of_population], rtol=1e-9, atol=1e-9)
        hessian = expected.curvature[:, of_population][:, :, of_population]
        np.testing.assert_allclose(found.information, hessian, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(by_group.flat(found.gradient), expected.gradient[:, own], rtol=1e-9, atol=1e-9)
        dense = np.zeros((3, len(own) + 1, len(own) + 1))
        for place, block in zip(by_group.place, found.curvature.transpose(1, 0, 2, 3), strict=True):
            dense[:, place[:, None], place[None, :]] += block
        np.testing.assert_allclose(dense[:, :-1, :-1], expected.curvature[:, own][:, :, own], rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(by_group.flat(by_group.by_group(vectors[:, own])), vectors[:, own])


@pytest.mark.slow
def test_nuts_draws_from_the_closed_forms_posterior() -> None:
    """Means and standard deviations against importance sampling of the posterior with the deviations integrated out."""
    table = study(12)
    given = [
        Estimate("A", -10.0, 10.0, scale="lin", nominal=1.0, per="subject", between=HALF, between_occasions=HALF),
        Estimate("k", -5.0, 5.0, scale="lin", nominal=0.3),
        Estimate("sd", 0.01, 5.0, scale="log", nominal=0.3),
    ]
    problem = Problem(line(), table, given, Noise("normal", "sd"))
    names = ["A", "A_between", "A_between_occasions", "k", "sd"]
    tree = sample(problem, seed=3, warmup=400, draws=2500, predictive=False, quiet=True)
    at = [problem.names.index(name) for name in names]
    theta = tree["posterior"]["theta"].to_numpy()[..., at]
    effective = np.array([arviz_stats.ess(theta[..., k]) for k in range(5)])
    assert effective.min() > 400

    def log_posterior(x: np.ndarray) -> float:
        if not (x[1] > 0 and x[2] > 0):
            return -np.inf
        whole = np.array([x[0], x[1], x[2], x[3], 0.0, 0.0, 0.0, x[4]])
        return -exact(table, whole) - 0.5 * (x[1] ** 2 + x[2] ** 2)

    flat = theta.reshape(-1, 5)
    proposal = stats.multivariate_t(flat.mean(axis=0), np.cov(flat.T), df=5, seed=1)
    drawn = proposal.rvs(4000)
    log_weight = np.array([log_posterior(x) for x in drawn]) - proposal.logpdf(drawn)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = weight @ drawn
    sd = np.sqrt(weight @ (drawn - mean) ** 2)
    count = 1.0 / np.sum(weight**2)
    assert count > 1000
    error = sd * np.sqrt(1 / count + 1 / effective)
    assert (np.abs(flat.mean(axis=0) - mean) < 4 * error).all()
    # A standard deviation's error is sd / sqrt(2 n) for normal numbers; tails as heavy as these double it.
    assert (np.abs(flat.std(axis=0) - sd) < 4 * np.sqrt(2) * error).all()


@pytest.mark.slow
def test_a_search_leaves_a_steep_start() -> None:
    """Between wide bounds the first step of L-BFGS-B went to a corner, and the search came back to where it began."""
    example = runpy.run_path(str(Path(__file__).parents[3] / "examples" / "occasions.py"))
    with tempfile.TemporaryDirectory() as folder:
        path, _ = example["event_table"](Path(folder) / "study.csv")
        problem = example["problem"](path, with_visits=False)
    found = fit_population(problem, starts=1, quiet=True)
    assert found.converged
    assert abs(found.table.loc["CL", "estimate"] - 5.0) < 3 * found.table.loc["CL", "se"]


def _made(problem: Problem, theta: np.ndarray) -> PopulationFit:
    """The numbers at a vector that was not searched for."""
    likelihood = MarginalLikelihood(problem)
    with float64():
        modes = likelihood.modes(theta[None], np.zeros((1, len(likelihood.deviations))))
    sd = likelihood.conditional_sd(modes)
    return PopulationFit(
        likelihood, theta, modes.marginal, np.full((len(theta), len(theta)), np.nan), modes.eta[0], sd, True
    )


def test_individual_estimates_are_the_conditional_means() -> None:
    """Of a linear model, by the normal equations of each subject's deviations."""
    problem = Problem(line(), study(6), estimates(), Noise("normal", "sd"))
    found, table = _made(problem, TRUTH), problem.measurements.table
    root = np.diag(SPREADS) @ np.linalg.cholesky(np.array([[1.0, CORRELATION], [CORRELATION, 1.0]]))
    assert list(found.occasions.index) == [(str(s), f"visit_{o}") for s in range(6) for o in range(1 + s % 3)]
    for subject, part in table.groupby("subject", sort=False):
        visits = list(dict.fromkeys(part["experiment"]))
        design = np.stack([np.ones(len(part)), part["time"]], axis=1)
        same = part["experiment"].to_numpy()[:, None] == visits
        random = np.concatenate(
            [design @ root, *(same[:, [v]] * design * OCCASIONS for v in range(len(visits)))], axis=1
        )
        left = random.T @ random / NOISE**2 + np.eye(random.shape[1])
        deviations = np.linalg.solve(left, random.T @ (part["value"] - design @ MEAN) / NOISE**2)
        own = MEAN + root @ deviations[:2]
        np.testing.assert_allclose(found.individuals.loc[str(subject)], own, rtol=1e-6)
        of_visits = own + deviations[2:].reshape(-1, 2) * OCCASIONS
        np.testing.assert_allclose(found.occasions.loc[str(subject)], of_visits, rtol=1e-6)
    assert list(found.shrinkage.index) == ["A", "k", "A_kappa", "k_kappa"]
    place = [found.likelihood.deviations.index(f"A_kappa[{s}, {o}]") for s, o in found.occasions.index]
    assert found.shrinkage["A_kappa"] == pytest.approx(1 - found.eta[place].std())
    assert "A_kappa" in repr(found.shrinkage)
    assert found.table.loc["A_between_occasions", "estimate"] == pytest.approx(0.4)


def test_simulated_studies_have_new_occasions() -> None:
    """Covariances of simulated readings: common to a subject's visits, larger within one, none between subjects."""
    problem = Problem(line(), study(3), estimates(), Noise("normal", "sd"))
    found = _made(problem, TRUTH)
    check = predictive_check(found, studies=400, seed=1)
    assert np.isfinite(check.npde).all()
    table = problem.measurements.table
    from calibration.predict import predict_draws

    eta = np.random.default_rng([1, 12]).standard_normal((400, len(found.likelihood.deviations)))
    drawn = predict_draws(problem, found.likelihood.whole(np.tile(TRUTH, (400, 1)), eta), seed=1).value
    first = {key: part.index[0] for key, part in table.groupby(["subject", "experiment"])}
    again = drawn[:, [first["2", "visit_0"], first["2", "visit_1"], first["1", "visit_0"]]]
    x = np.array([1.0, 0.5])
    between = np.outer(SPREADS, SPREADS) * np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
    common, whole = x @ between @ x, x @ (between + np.diag(np.square(OCCASIONS))) @ x
    expected = np.array([[whole, common, 0.0], [common, whole, 0.0], [0.0, 0.0, whole]])
    # Four standard errors of a covariance of normal numbers.
    np.testing.assert_array_less(np.abs(np.cov(again.T) - expected), 4 * whole * np.sqrt(2 / 400))


def test_virtual_subjects_are_met_on_an_occasion_unless_told() -> None:
    found = _made(Problem(line(), study(6), estimates(), Noise("normal", "sd")), TRUTH)
    both = np.sqrt(np.square(SPREADS) + np.square(OCCASIONS))
    met, own = found.cohort(8000, seed=1).draw(), found.cohort(8000, seed=1, occasion=False).draw()
    error = 4 / np.sqrt(2 * 8000)
    for name, spread, total in zip(("A", "k"), SPREADS, both, strict=True):
        assert met[name].std() == pytest.approx(total, rel=error)
        assert own[name].std() == pytest.approx(spread, rel=error)
    assert np.corrcoef(own["A"], own["k"])[0, 1] == pytest.approx(CORRELATION, abs=4 / np.sqrt(8000))
    shared = CORRELATION * np.prod(SPREADS) / np.prod(both)
    assert np.corrcoef(met["A"], met["k"])[0, 1] == pytest.approx(shared, abs=4 / np.sqrt(8000))
    within = found.cohort(200, within="individuals").draw()
    assert within["A"].max() <= found.occasions["A"].max()


def test_what_is_refused() -> None:
    table, noise = study(6), Noise("normal", "sd")

    def problem(**changes: object) -> Problem:
        return Problem(line(), table, estimates(**changes), noise)

    with pytest.raises(ProblemError, match="spread between occasions of a subject, but the parameter is shared"):
        problem(per="shared", between=None, block="")
    with pytest.raises(ProblemError, match="but the parameter is already one of every experiment"):
        problem(per="experiment", block="")
    with pytest.raises(ProblemError, match="but every subject has a value of its own"):
        problem(between=None, block="")
    with pytest.raises(ProblemError, match="the spread between occasions is -1"):
        problem(between_occasions=-1.0)
    with pytest.raises(ProblemError, match="the spread between occasions has a normal prior"):
        problem(between_occasions=Prior("normal"))
    with pytest.raises(ProblemError, match="the prior of the spread between occasions has location 0 and scale 0"):
        problem(between_occasions=Prior("half_normal", scale=0.0))
    first = table[table["experiment"] == "visit_0"]
    with pytest.raises(ProblemError, match="none of 6 subjects has two occasions"):
        Problem(line(), first, estimates(), noise)
