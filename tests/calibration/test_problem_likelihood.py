"""The log-likelihood against one written by hand from closed-form solutions and scipy's distributions."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration import Problem
from calibration.gradient_mode import GRADIENTS, is_forward
from twin import Bolus, Experiment
from twin.errors import ProblemError
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.precision import float64
from twin.study import Estimate, Noise, Prior

PRECISE = {"rtol": 1e-10, "atol": 1e-12, "max_steps": 4000}
EXPERIMENTS = {
    "once": Experiment(doses=(Bolus("gut", 100.0),)),
    "thrice": Experiment(doses=(Bolus("gut", 50.0, time=1.0, every=6.0, count=3),)),
}
DOSES = {"once": [(0.0, 100.0)], "thrice": [(1.0, 50.0), (7.0, 50.0), (13.0, 50.0)]}
LIMIT = 0.9
SD = "sd_add + 0.15 * concentration"


def concentration(t: float, experiment: str, ka: float, ke: float, v: float) -> float:
    """Superposition of one-compartment curves (Bateman function)."""
    elapsed = [(t - time, dose) for time, dose in DOSES[experiment] if t >= time]
    return sum(d * ka / (v * (ka - ke)) * (np.exp(-ke * s) - np.exp(-ka * s)) for s, d in elapsed)


@pytest.fixture(scope="module")
def table(table_of_rows: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Two experiments with their own times and doses, two subjects, readings in no order."""
    rng = np.random.default_rng(3)
    rows = []
    for experiment, subject, times in (
        ("thrice", "a", [2.0, 7.5, 14.0, 30.0]),
        ("once", "a", [0.5, 1.0, 4.0, 12.0]),
        ("once", "b", [24.0, 2.0, 0.25]),
    ):
        for t in times:
            clean = concentration(t, experiment, 1.5, 0.2, 10.0)
            rows.append((experiment, subject, "concentration", t, clean * np.exp(0.2 * rng.normal())))
    return table_of_rows(rows, below=LIMIT)


def by_hand(table: pd.DataFrame, family: str, ka: float, ke: dict[str, float], sd_add: float) -> np.ndarray:
    """Log density of every reading."""
    f = np.array(
        [concentration(r.time, r.experiment, ka, ke[r.subject], 10.0) for r in table.itertuples()]  # type: ignore[arg-type]
    )
    scale = sd_add + 0.15 * f
    y = table["value"].to_numpy()
    distribution = {
        "normal": stats.norm(f, scale),
        "log_normal": stats.lognorm(scale, scale=f),
        "student_t": stats.t(4.0, f, scale),
    }[family]
    return np.where(table["censoring"] == "left", distribution.logcdf(y), distribution.logpdf(y))


@pytest.fixture(scope="module", params=["normal", "log_normal", "student_t"])
def problem(request: pytest.FixtureRequest, oral: Model, table: pd.DataFrame) -> Problem:
    return Problem(
        oral,
        table,
        [
            Estimate("ka", 0.1, 10.0, prior=Prior("normal", 0.2, 0.3)),
            Estimate("ke", 0.01, 2.0, scale="log", per="subject", between=Prior("half_normal", 0.0, 0.5)),
            Estimate("sd_add", 0.01, 2.0, scale="lin", nominal=0.3),
        ],
        {"concentration": Noise(request.param, SD)},
        experiments=EXPERIMENTS,
        **PRECISE,
    )


THETA = np.array([0.1, np.log(0.25), 0.3, 0.8, -1.1, 0.4])
KE = {"a": 0.25 * np.exp(0.3 * 0.8), "b": 0.25 * np.exp(-0.3 * 1.1)}


def test_log_likelihood(problem: Problem, table: pd.DataFrame) -> None:
    assert problem.names == ("ka", "ke", "ke_between", "ke_eta[a]", "ke_eta[b]", "sd_add")
    assert 0 < (table["censoring"] == "left").sum() < len(table)
    expected = by_hand(table, problem.noise["concentration"].family, 10**0.1, KE, 0.4)
    assert float(problem.log_likelihood(THETA)) == pytest.approx(expected.sum(), rel=1e-7)


def test_modes_of_the_gradient_agree(oral: Model, table: pd.DataFrame) -> None:
    estimates = [Estimate("ka", 0.1, 10.0), Estimate("ke", 0.01, 2.0, scale="log"), Estimate("sd_add", 0.01, 2.0)]
    noise = {"concentration": Noise("log_normal", "sd_add")}
    problems = {mode: Problem(oral, table, estimates, noise, gradient=mode, **PRECISE) for mode in GRADIENTS}
    thetas = np.array([[0.1, np.log(0.2), 0.4], [0.2, np.log(0.1), 0.5]])
    given = {mode: each.log_likelihood_and_gradient_many(thetas) for mode, each in problems.items()}
    for mode in ("auto", "forward"):
        for one, other in zip(given[mode], given["reverse"], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7)
    assert problems["auto"].predictor.directions == 2
    assert is_forward("auto", problems["auto"].predictor, vectors=2)
    with pytest.raises(ProblemError, match="the gradient is 'adjoint'"):
        Problem(oral, table, estimates, noise, gradient="adjoint")


def test_one_lane_by_itself_takes_sensitivities(table_of_rows: Callable[..., pd.DataFrame]) -> None:
    rates = {"k1": 1.0, "k2": 0.5, "k3": 0.2}
    odes = {"A": "-k1 * A", "B": "k1 * A - k2 * B", "C": "k2 * B - k3 * C"}
    states = [State("A", 1.0), State("B", 0.0), State("C", 0.0)]
    model = Model(
        "chain", states, [Parameter(*each) for each in rates.items()], odes=odes, observables=[Observable("read", "C")]
    )
    readings = ((1.0, 0.1), (4.0, 0.5), (9.0, 0.6))
    rows = [("e", subject, "read", t, value) for subject in "ab" for t, value in readings]
    estimates = [Estimate(name, 0.01, 10.0) for name in rates]
    one, two = (
        Problem(model, table_of_rows(some), estimates, {"read": Noise("normal", 0.1)}, **PRECISE)
        for some in (rows[:3], rows)
    )
    assert one.predictor.directions == 3 and len(one.bindings.series) == 1
    assert is_forward("auto", one.predictor, vectors=1) and not is_forward("auto", one.predictor, vectors=2)
    assert not is_forward("reverse", one.predictor, vectors=1)
    assert len(two.bindings.series) == 2 and not is_forward("auto", two.predictor, vectors=1)
    x = one.nominal
    alone, both = (one.log_likelihood_and_gradient_many(thetas) for thetas in (x[None], np.stack([x, x])))
    for first, other in zip(alone, both, strict=True):
        np.testing.assert_allclose(first[0], other[0], rtol=1e-7)


def test_log_prior_and_posterior(problem: Problem) -> None:
    prior = stats.truncnorm((-1 - 0.2) / 0.3, (1 - 0.2) / 0.3, 0.2, 0.3).logpdf(0.1)
    prior -= np.log(np.log(2.0) - np.log(0.01)) + np.log(2.0 - 0.01)
    prior += stats.halfnorm(0, 0.5).logpdf(0.3) - stats.halfnorm(0, 0.5).logcdf(2.5)
    prior += stats.norm.logpdf([0.8, -1.1]).sum() - 2 * np.log(1 - 2 * stats.norm.cdf(-6))
    assert float(problem.log_prior(THETA)) == pytest.approx(prior, rel=1e-10)
    assert float(problem.log_posterior(THETA)) == pytest.approx(float(problem.log_likelihood(THETA)) + prior, rel=1e-10)
    outside = THETA.copy()
    outside[0] = 1.5
    assert float(problem.log_posterior(outside)) == -np.inf


def test_parts_of_the_table_add_up(problem: Problem, table: pd.DataFrame) -> None:
    if problem.noise["concentration"].family != "normal":
        pytest.skip("the same for every family")
    expected = by_hand(table, "normal", 10**0.1, KE, 0.4)
    rows = (table["subject"] == "b").to_numpy() | (table["time"] > 20).to_numpy()
    for keep in (rows, ~rows):
        part = problem.with_rows(keep)
        assert part.names == problem.names
        assert len(part.measurements) == keep.sum()
        assert float(part.log_likelihood(THETA)) == pytest.approx(expected[keep].sum(), rel=1e-7)
    assert len(problem.measurements) == len(table)


def test_residuals_and_predictions(problem: Problem, table: pd.DataFrame) -> None:
    f = np.array([concentration(r.time, r.experiment, 10**0.1, KE[r.subject], 10.0) for r in table.itertuples()])
    np.testing.assert_allclose(problem.simulate(THETA), f, rtol=1e-8)
    log = problem.noise["concentration"].family == "log_normal"
    distance = np.log(f / table["value"]) if log else f - table["value"]
    expected = distance / (0.4 + 0.15 * f)
    # A censored reading says only that the truth is lower.
    expected = np.where(table["censoring"] == "left", np.maximum(expected, 0.0), expected)
    np.testing.assert_allclose(problem.residuals(THETA), expected, atol=1e-7)


def test_noise_from_the_table_and_parameters_per_experiment(
    decay: Model, table_of_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = [(e, "1", "y", t, v) for e, t, v in (("p", 0.0, 2.1), ("q", 1.0, 1.3), ("p", 2.0, 0.7), ("q", 0.5, 1.4))]
    table = table_of_rows(rows).assign(noise=[0.1, 0.2, 0.3, 0.4])
    problem = Problem(
        decay,
        table,
        [Estimate("k", 0.01, 10.0, per="experiment")],
        Noise("normal"),
        fixed={"A0": 1.8},
        **PRECISE,
    )
    k = {"p": 10**-0.2, "q": 10**-0.4}
    f = 1.8 * np.exp(-table["experiment"].map(k) * table["time"])
    expected = stats.norm.logpdf(table["value"], f, table["noise"]).sum()
    assert float(problem.log_likelihood(np.array([-0.2, -0.4]))) == pytest.approx(expected, rel=1e-7)


def test_new_readings_scatter_as_the_noise_says(problem: Problem) -> None:
    with float64():
        one = problem.predict_many(THETA[None])
        prediction = jax.tree.map(lambda x: jnp.repeat(x, 4000, axis=0), one)
        drawn = np.asarray(problem.draw_readings(jax.random.key(1), prediction))
        again = np.asarray(problem.draw_readings(jax.random.key(1), prediction))
    np.testing.assert_array_equal(drawn, again)
    f, scale = np.asarray(prediction.value)[0], np.asarray(prediction.scale)[0]
    distribution = {
        "normal": stats.norm(f, scale),
        "log_normal": stats.lognorm(scale, scale=f),
        "student_t": stats.t(4.0, f, scale),
    }[problem.noise["concentration"].family]
    smallest = min(stats.kstest(u, "uniform").pvalue for u in distribution.cdf(drawn).T)
    assert smallest > 1e-3 / len(f)
