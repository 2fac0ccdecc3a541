"""Samplers that temper, and Pathfinder, against evidence, means and weights of modes that are known."""

from __future__ import annotations

import warnings

import arviz_stats
import jax
import numpy as np
import pytest
import xarray as xr

from calibration import fit, sample
from calibration.optimise import Fit
from calibration.sampling.path import Path, draw_reference, path_of
from calibration.sampling.smc import combine_evidence
from twin.errors import ProblemError, SimulationError, TwinWarning
from twin.precision import float64

QUICK = {"predictive": False, "quiet": True, "seed": 2}
METHODS = {
    "smc": {"method": "smc", "draws": 400},
    "tempering": {"method": "tempering", "draws": 600, "warmup": 200},
    "pathfinder": {"method": "pathfinder", "draws": 400},
}
FAST_AND_SLOW = ["smc", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tempering", "pathfinder"))]


def evidence_is_right(tree: xr.DataTree, exact: float) -> None:
    """Within four errors; that of four runs is itself known to a factor of two or so, hence its floor."""
    error = tree.attrs["log_evidence_error"]
    assert 0 < error < 0.25
    assert abs(tree.attrs["log_evidence"] - exact) < 4 * max(error, 0.025)


def means_are_right(tree: xr.DataTree, mean: np.ndarray) -> None:
    theta = tree["posterior"]["theta"]
    assert float(arviz_stats.rhat(theta).max()) < 1.05
    error = np.asarray(arviz_stats.mcse(theta, method="mean"))
    assert (np.abs(theta.mean(("chain", "draw")).to_numpy() - mean) < 4 * error).all()


@pytest.mark.parametrize("method", FAST_AND_SLOW)
def test_evidence_and_means_of_a_conjugate_posterior(conjugate, method: str) -> None:
    tree = sample(conjugate.problem, **METHODS[method], **QUICK)
    evidence_is_right(tree, conjugate.log_evidence)
    means_are_right(tree, conjugate.mean)
    assert tree["sample_stats"]["lp"].shape == tree["posterior"]["theta"].shape[:2]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_both_modes_have_their_weights(bimodal, method: str) -> None:
    tree = sample(bimodal.problem, **METHODS[method], **QUICK)
    evidence_is_right(tree, bimodal.log_evidence)
    means_are_right(tree, bimodal.mean)
    positive = (tree["posterior"]["a"] > 0).astype(float)
    assert abs(float(positive.mean()) - bimodal.share) < 4 * float(arviz_stats.mcse(positive, method="mean"))


@pytest.fixture(scope="module")
def optima(bimodal) -> Fit:
    return fit(bimodal.problem, starts=12, quiet=True)


@pytest.mark.slow
def test_a_reference_around_fits_has_its_own_density_and_a_shorter_path(bimodal, optima: Fit) -> None:
    """Importance sampling of the prior's mass checks that the density of the mixture is the one it is drawn from."""
    with float64():
        path, prior = path_of(bimodal.problem, optima), path_of(bimodal.problem)
        u = path.draw(np.random.default_rng(0), 4000)
        weight = np.exp(np.asarray(jax.vmap(prior.reference)(u) - jax.vmap(path.reference)(u)))
    assert abs(weight.mean() - 1.0) < 4 * weight.std() / np.sqrt(len(weight))
    assert weight.max() <= 5.0 + 1e-9  # the prior's share is a fifth
    tree = sample(bimodal.problem, initial=optima, **METHODS["smc"], **QUICK)
    evidence_is_right(tree, bimodal.log_evidence)
    positive = (tree["posterior"]["a"] > 0).astype(float)
    assert abs(float(positive.mean()) - bimodal.share) < 4 * float(arviz_stats.mcse(positive, method="mean"))
    assert tree.attrs["stages"] <= 4


@pytest.mark.slow
@pytest.mark.parametrize("method", ["smc", "tempering"])
def test_failed_integrations_are_rejections_that_count(blows_up, method: str) -> None:
    tree = sample(blows_up.problem, **METHODS[method], **QUICK)
    evidence_is_right(tree, blows_up.log_evidence)
    means_are_right(tree, blows_up.mean)
    assert tree.attrs["reference_share"] == pytest.approx(0.5, abs=0.1)
    assert 0 < tree.attrs["rejected_failures"] < tree.attrs["proposals"]
    assert float(tree["posterior"]["k"].max()) < 0.5


@pytest.mark.slow
def test_seeds_decide_everything(conjugate) -> None:
    few = {"method": "smc", "draws": 400, "predictive": False, "quiet": True}
    first, again, other = (sample(conjugate.problem, seed=seed, **few) for seed in (2, 2, 3))
    np.testing.assert_array_equal(first["posterior"]["theta"], again["posterior"]["theta"])
    assert first.attrs["log_evidence"] == again.attrs["log_evidence"] != other.attrs["log_evidence"]


def test_evidence_of_runs_is_averaged_before_the_logarithm() -> None:
    mean, error = combine_evidence(np.log([1.0, 3.0]))
    assert mean == pytest.approx(np.log(2.0))
    assert error == pytest.approx(np.log(3.0) / 2)
    assert np.isnan(combine_evidence(np.zeros(1))[1])


def test_an_unknown_method_is_refused_with_the_nearest_one(conjugate) -> None:
    with pytest.raises(ProblemError, match=r"(?s)the method is 'smcc'.*did you mean 'smc'"):
        sample(conjugate.problem, method="smcc")


def test_a_prior_that_cannot_be_integrated_is_an_error(conjugate) -> None:
    own = path_of(conjugate.problem)
    nowhere = Path(own.reference, lambda u, _: own.reference(u) - np.inf, own.draw)
    with float64(), pytest.raises(SimulationError, match="only 0 of .* drawn from the prior could be integrated"):
        draw_reference(nowhere, 8, np.random.default_rng(0), "nowhere")


@pytest.mark.slow
def test_a_bad_approximation_is_said(blows_up) -> None:
    """Pathfinder's normal densities do not know of the wall at k = 1/2; with few draws that may or may not show."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = sample(blows_up.problem, **METHODS["pathfinder"], **QUICK)
    said = any(issubclass(each.category, TwinWarning) and "Pareto k" in str(each.message) for each in caught)
    assert said == (not tree.attrs["pareto_k"] <= 0.7)
