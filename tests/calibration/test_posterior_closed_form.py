"""NUTS against posteriors known in closed form or by quadrature, and the tree it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from calibration import Fit, Problem, fit, sample
from calibration.sampling.nuts import CHUNK, warmup_windows
from calibration.sampling.whitening import whiten
from twin.errors import ProblemError, SimulationError
from twin.model import Model
from twin.precision import float64
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
SD, LIMIT = 0.3, 0.45
DESIGN = np.stack([-TIMES, np.ones(6)], axis=1)
"""ln y = ln A0 - k t: linear in (k, ln A0)."""
LOCATION, WIDTH = np.array([0.6, 0.5]), np.array([0.2, 0.3])
ESTIMATES = [
    Estimate("k", 1e-6, 5.0, scale="lin", prior=Prior("normal", LOCATION[0], WIDTH[0])),
    Estimate("A0", 0.01, 100.0, scale="log", prior=Prior("normal", LOCATION[1], WIDTH[1])),
]
DRAWS = 750

pytestmark = pytest.mark.xdist_group("closed-form posterior")  # one process draws them


@pytest.fixture(scope="module")
def table(table_of_rows: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    logarithm = np.log(2.0) - 0.5 * TIMES + SD * np.random.default_rng(2).normal(size=6)
    return table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(logarithm), strict=True)])


@pytest.fixture(scope="module")
def problem(decay: Model, table: pd.DataFrame) -> Problem:
    return Problem(decay, table, ESTIMATES, Noise("log_normal", SD))


@pytest.fixture(scope="module")
def optimum(problem: Problem) -> Fit:
    return fit(problem, starts=2, quiet=True)


@pytest.fixture(scope="module")
def tree(problem: Problem, optimum: Fit) -> xr.DataTree:
    return sample(problem, seed=1, draws=DRAWS, initial=optimum, quiet=True)


def check_moments(tree: xr.DataTree, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Means, standard deviations and correlation within four Monte-Carlo standard errors."""
    theta = tree["posterior"]["theta"]
    assert np.asarray(arviz_stats.rhat(theta)).max() < 1.01
    assert np.asarray(arviz_stats.ess(theta)).min() > 400
    sd = np.sqrt(np.diag(covariance))
    flat = theta.to_numpy().reshape(-1, 2)
    error = np.asarray(arviz_stats.mcse(theta, method="mean"))
    assert (np.abs(flat.mean(axis=0) - mean) < 4 * error).all()
    error = np.asarray(arviz_stats.mcse(theta, method="sd"))
    assert (np.abs(flat.std(axis=0, ddof=1) - sd) < 4 * error).all()
    # The mean of the product of standardised deviations is the correlation.
    product = xr.DataArray(np.prod((theta.to_numpy() - mean) / sd, axis=-1), dims=("chain", "draw"))
    error = float(np.asarray(arviz_stats.mcse(product, method="mean")))
    assert abs(float(product.mean()) - covariance[0, 1] / np.prod(sd)) < 4 * error


def test_linear_gaussian_posterior(tree: xr.DataTree, table: pd.DataFrame) -> None:
    precision = DESIGN.T @ DESIGN / SD**2 + np.diag(1 / WIDTH**2)
    covariance = np.linalg.inv(precision)
    pull = DESIGN.T @ np.log(table["value"].to_numpy()) / SD**2 + LOCATION / WIDTH**2
    check_moments(tree, covariance @ pull, covariance)


@pytest.mark.slow
def test_a_censored_posterior_against_quadrature(
    decay: Model, table: pd.DataFrame, table_of_rows: Callable[..., pd.DataFrame]
) -> None:
    rows = list(table[["experiment", "subject", "observable", "time", "value"]].itertuples(index=False, name=None))
    censored = table_of_rows(rows, below=LIMIT)
    below = (censored["censoring"] == "left").to_numpy()
    assert 1 < below.sum() < 6
    k, a = np.meshgrid(np.linspace(1e-6, 2.2, 500), np.linspace(-1.2, 2.2, 500), indexing="ij")
    log = stats.norm.logpdf(k, LOCATION[0], WIDTH[0]) + stats.norm.logpdf(a, LOCATION[1], WIDTH[1])
    for t, value, hidden in zip(censored["time"], np.log(censored["value"]), below, strict=True):
        standard = (value - (a - k * t)) / SD
        log += stats.norm.logcdf(standard) if hidden else stats.norm.logpdf(standard)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    points = np.stack([k, a], axis=-1)
    mean = np.einsum("ij,ijp->p", weight, points)
    covariance = np.einsum("ij,ijp,ijq->pq", weight, points - mean, points - mean)
    problem = Problem(decay, censored, ESTIMATES, Noise("log_normal", SD))
    posterior = sample(problem, seed=2, draws=DRAWS, starts=2, predictive=False, quiet=True)
    check_moments(posterior, mean, covariance)


def test_groups_of_the_tree(tree: xr.DataTree, problem: Problem, table: pd.DataFrame) -> None:
    assert set(tree.children) == {
        "posterior",
        "posterior_predictive",
        "prior",
        "prior_predictive",
        "log_likelihood",
        "log_prior",
        "observed_data",
        "sample_stats",
    }
    for name in ("posterior", "prior"):
        group = tree[name]
        assert dict(group["k"].sizes) == {"chain": 4, "draw": DRAWS}
        assert group["theta"].dims == ("chain", "draw", "entry")
        assert group["theta"]["entry"].values.tolist() == ["k", "A0"]
        np.testing.assert_allclose(group["A0"], np.exp(group["theta"].sel(entry="A0")))
        np.testing.assert_allclose(group["k"], group["theta"].sel(entry="k"))
    for name in ("posterior_predictive", "prior_predictive", "log_likelihood"):
        assert dict(tree[name]["reading"].sizes) == {"chain": 4, "draw": DRAWS, "row": 6}
    assert tree["observed_data"]["reading"].dims == ("row",)
    np.testing.assert_array_equal(tree["observed_data"]["reading"], table["value"])
    np.testing.assert_array_equal(tree["observed_data"]["time"], table["time"])
    assert tree["observed_data"]["observable"].values.tolist() == ["y"] * 6
    for group in tree.children.values():
        for variable in group.data_vars.values():
            assert np.isfinite(variable.astype(float)).all(), variable.name
    assert not tree["sample_stats"]["diverging"].any()
    assert 0.6 < float(tree["sample_stats"]["acceptance_rate"].mean()) < 1.0
    assert tree.attrs["data_sha256"] == problem.measurements.sha256
    assert tree.attrs["failed_posterior_draws"] == tree.attrs["failed_prior_draws"] == 0


def test_predictions_belong_to_their_draws(tree: xr.DataTree) -> None:
    mean, likelihood = tree["posterior_predictive"]["mean"], tree["log_likelihood"]["reading"]
    time, observed = tree["observed_data"]["time"], tree["observed_data"]["reading"]
    expected = tree["posterior"]["A0"] * np.exp(-tree["posterior"]["k"] * time)
    np.testing.assert_allclose(mean, expected.transpose(*mean.dims), rtol=1e-4)
    by_hand = stats.lognorm.logpdf(observed.values, SD, scale=mean.values)
    np.testing.assert_allclose(likelihood, by_hand, rtol=1e-6, atol=1e-8)
    scatter = np.log(tree["posterior_predictive"]["reading"] / mean)
    assert float(scatter.std()) == pytest.approx(SD, rel=0.03)
    prior = tree["prior"]["theta"].to_numpy().reshape(-1, 2)
    error = WIDTH / np.sqrt(len(prior))
    assert (np.abs(prior.mean(axis=0) - LOCATION) < 4.5 * error + 0.002).all()


def test_leave_one_out_reads_the_tree(tree: xr.DataTree) -> None:
    loo = arviz_stats.loo(tree, var_name="reading", pointwise=True)
    assert np.isfinite(loo.elpd)
    assert float(loo.pareto_k.max()) < 0.7
    assert loo.n_data_points == 6


@pytest.mark.slow
def test_seeds_decide_everything(problem: Problem, optimum: Fit) -> None:
    small = {"initial": optimum, "warmup": 50, "draws": 30, "chains": 2, "predictive": False, "quiet": True}
    first, second, other = (sample(problem, seed=seed, **small) for seed in (7, 7, 8))
    assert first["posterior"]["theta"].shape == (2, 30, 2)
    np.testing.assert_array_equal(first["posterior"]["theta"], second["posterior"]["theta"])
    np.testing.assert_array_equal(first["sample_stats"]["lp"], second["sample_stats"]["lp"])
    assert not np.array_equal(first["posterior"]["theta"], other["posterior"]["theta"])


def test_a_fit_of_another_problem_is_refused(problem: Problem, optimum: Fit) -> None:
    with pytest.raises(ProblemError, match="the fit is of k, B"):
        sample(problem, initial=replace(optimum, names=("k", "B")))


def test_no_place_to_start_is_an_error(explosion: Model, table_of_rows: Callable[..., pd.DataFrame]) -> None:
    table = table_of_rows([("e", "1", "y", 2.0, 1.7)])
    problem = Problem(explosion, table, [Estimate("k", 0.6, 5.0, nominal=1.0)], Noise("normal", 0.1), max_steps=200)
    elsewhere = Fit(
        names=("k",),
        theta=np.array([[0.3]]),
        objective=np.array([1.0]),
        nllh=np.array([1.0]),
        starts=np.array([[0.3]]),
        converged=np.array([True]),
        redrawn=0,
        failed=0,
        at_bound=(),
        seconds=0.0,
        curvature=np.array([[400.0]]),
    )
    with pytest.raises(SimulationError, match="no point near the best fit could be integrated in 400 tries"):
        sample(problem, initial=elsewhere, quiet=True)


@pytest.mark.parametrize("length", [1, 25, 75, 100, 200, 300, 500, 1000, 2000])
def test_warmup_windows(length: int) -> None:
    windows = warmup_windows(length)
    assert sum(windows) == max(3, length // CHUNK)
    assert min(windows) >= 1
    metric, last = windows[:-1], windows[-1]
    assert last >= 1
    assert (np.diff(metric) >= 0).all()
    assert metric[0] == 1 or len(metric) == 1


def test_whitening_round_trip() -> None:
    """At the fit z = 0; its volume is the derivative of theta; the curvature becomes the identity."""
    import jax

    lower, upper = np.array([-1.0, 0.0, -5.0]), np.array([2.0, 10.0, 5.0])
    theta = np.array([0.3, 2.0, -1.0])
    root = np.array([[50.0, 0.0, 0.0], [20.0, 30.0, 0.0], [-5.0, 3.0, 12.0]])
    curvature = root @ root.T
    whitening = whiten(theta, curvature, lower, upper)
    with float64():
        np.testing.assert_allclose(whitening.theta(np.zeros(3)), theta, rtol=1e-12)
        z = np.array([0.7, -1.1, 0.4])
        jacobian = np.asarray(jax.jacfwd(whitening.theta)(z))
        volume = np.log(np.abs(np.linalg.det(jacobian))) - np.log(np.linalg.det(whitening.factor))
        assert float(whitening.log_volume(z)) == pytest.approx(volume, rel=1e-10)
        inside = np.asarray(whitening.theta(40 * z))
        at_fit = np.asarray(jax.jacfwd(whitening.theta)(np.zeros(3)))
    assert ((inside >= lower) & (inside <= upper)).all()
    # The logistic map adds a little curvature of its own.
    np.testing.assert_allclose(at_fit.T @ curvature @ at_fit, np.eye(3), atol=0.01)


def test_whitening_of_a_fit_on_its_bound_and_of_a_flat_direction() -> None:
    lower, upper = np.zeros(2), np.ones(2)
    whitening = whiten(np.array([1.0, 0.5]), np.diag([4.0, 0.0]), lower, upper)
    assert np.isfinite(whitening.centre).all()
    assert np.isfinite(whitening.factor).all()
    with float64():
        theta = np.asarray(whitening.theta(np.zeros(2)))
    assert 0.999 < theta[0] < 1.0
