"""What a posterior says about its model and its priors: leave-one-out prediction and prior sensitivity, by ArviZ.

References:
    Vehtari, Gelman & Gabry, Statistics and Computing 27:1413-1432 (2017); Paananen et al., Statistics and Computing 31,
    16 (2021), for moment matching; Kallioinen et al., Statistics and Computing 34, 57 (2024), for power-scaling.
"""

from __future__ import annotations

import warnings
from typing import Any

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDDataLOO

from calibration.problem import Problem
from calibration.sampling.posterior import add_log_prior, sample
from calibration.sampling.whitening import logistic, to_unbounded
from twin.errors import ProblemError, TwinWarning
from twin.precision import in_float64

WORST_PARETO_K = 0.7
READING = "reading"
BATCH = 500
"""Vectors of one compiled call."""


@in_float64
def loo(
    problem: Problem,
    tree: xr.DataTree,
    *,
    moment_matching: bool = True,
    refit: bool = True,
    quiet: bool = True,
    **sampling,
) -> ELPDDataLOO:
    """Expected log density of each reading, had it been left out: the number by which models are compared.

    Readings whose Pareto k is above 0.7 are taken through moment matching; those for which it stays there are left out
    and the rest is sampled again, one by one.

    Args:
        problem: The problem.
        tree: Its posterior, of `calibration.sample`.
        moment_matching: Try moment matching where the Pareto k is too large.
        refit: Sample again where it still is.
        quiet: Show no progress of refits.
        sampling: Further arguments of `calibration.sample` for refits.

    Returns:
        ArviZ's result, pointwise; ``arviz_stats.compare`` takes several of them. Refitted readings have a Pareto k of
        0.

    Raises:
        ProblemError: the tree is of another problem, or has no log-likelihood.

    Example:
        >>> arviz_stats.compare({"one": calibration.loo(first, a), "two": calibration.loo(second, b)})
    """
    _check(problem, tree, "log_likelihood")
    with warnings.catch_warnings():
        # ArviZ's warnings of intermediate results; weights that overflow are rejected by it.
        warnings.simplefilter("ignore")
        found = arviz_stats.loo(tree, var_name=READING, pointwise=True)
        if moment_matching and _worst(found) > WORST_PARETO_K:
            found = _match_moments(problem, tree, found)
    if refit and _worst(found) > WORST_PARETO_K:
        wrapper = _Refits(problem, tree, {"quiet": quiet, **sampling})
        found = arviz_stats.reloo(wrapper, loo_orig=found, var_name=READING, k_threshold=WORST_PARETO_K, pointwise=True)
    found.warning = _worst(found) > WORST_PARETO_K
    if found.warning:
        count = int((found.pareto_k > WORST_PARETO_K).sum())
        warnings.warn(
            f"the Pareto k of {count} readings of {problem.name!r} is above {WORST_PARETO_K}: their part of the result "
            "is not to be trusted; give refit=True",
            TwinWarning,
            3,
        )
    return found


@in_float64
def prior_sensitivity(problem: Problem, tree: xr.DataTree) -> pd.DataFrame:
    """How much each posterior moves when priors or likelihood count a little more or less.

    Args:
        problem: The problem.
        tree: Its posterior, of `calibration.sample`.

    Returns:
        ArviZ's table by entry: sensitivity to the prior, to the likelihood, and a diagnosis where both are above 0.05
        ("prior-data conflict") or only the prior's is ("strong prior / weak likelihood").

    Raises:
        ProblemError: the tree is of another problem, or has no log-likelihood.
    """
    _check(problem, tree, "log_likelihood")
    if "log_prior" not in tree.children:
        tree = tree.copy()
        add_log_prior(tree, problem, tree["posterior"]["theta"].to_numpy())
    return arviz_stats.psense_summary(tree, var_names=list(problem.names))


def _worst(found: ELPDDataLOO) -> float:
    return float(found.pareto_k.max())


def _check(problem: Problem, tree: xr.DataTree, group: str) -> None:
    if group not in tree.children and tree.attrs.get("likelihood"):
        raise ProblemError(
            f"the draws are by the likelihood {tree.attrs['likelihood']!r}, which has one-ahead densities at most: "
            "a reading tells of those near it",
            where="diagnostics",
            expected="draws of calibration.sample",
        )
    if group not in tree.children:
        raise ProblemError(f"the tree has no group {group}", where="diagnostics", fix="sample with predictive=True")
    names = tuple(map(str, tree["posterior"]["entry"].values))
    count = tree[group][READING].sizes["row"]
    if names != problem.names or count != len(problem.measurements):
        raise ProblemError(
            f"the draws are of {', '.join(names)}, with {count} readings",
            where="diagnostics",
            expected=f"draws of this problem: {', '.join(problem.names)}, {len(problem.measurements)} readings",
        )


def _match_moments(problem: Problem, tree: xr.DataTree, found: ELPDDataLOO) -> ELPDDataLOO:
    """Move the draws towards each posterior without one reading, in unbounded coordinates."""
    bare = logistic(problem.lower, problem.upper)
    theta = tree["posterior"]["theta"]
    u = theta.copy(data=to_unbounded(theta.to_numpy(), problem.lower, problem.upper))

    @jax.jit
    def both(u: jax.Array):
        thetas = jax.vmap(bare.theta)(u)
        pointwise = problem.pointwise_many(thetas)
        prior = jax.vmap(lambda each: problem.log_prior(bare.theta(each)) + bare.log_volume(each))(u)
        return pointwise, prior + jnp.sum(pointwise, axis=1)

    last: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]] | None = None

    def evaluate(upars: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
        """For draws [chain, draw, parameter]; ArviZ asks for densities and likelihoods of the same draws in turn."""
        nonlocal last
        values = upars.to_numpy()
        if last is None or last[0].shape != values.shape or not np.array_equal(last[0], values):
            flat = values.reshape(-1, values.shape[-1])
            padded = np.concatenate([flat, np.repeat(flat[-1:], -len(flat) % BATCH, axis=0)])
            parts = [jax.tree.map(np.asarray, both(part)) for part in padded.reshape(-1, BATCH, flat.shape[1])]
            joined = [np.concatenate(x)[: len(flat)] for x in zip(*parts, strict=True)]
            last = (values.copy(), (joined[0].reshape(*values.shape[:2], -1), joined[1].reshape(values.shape[:2])))
        return last[1]

    def wrap(upars: xr.DataArray, values: np.ndarray) -> xr.DataArray:
        return xr.DataArray(values, dims=("chain", "draw"), coords={d: upars[d] for d in ("chain", "draw")})

    return arviz_stats.loo_moment_match(
        tree,
        found,
        log_prob_upars_fn=lambda x: wrap(x, evaluate(x)[1]),
        log_lik_i_upars_fn=lambda x, i: wrap(x, evaluate(x)[0][..., i]),
        upars=u,
        var_name=READING,
        k_threshold=WORST_PARETO_K,
        pointwise=True,
    )


class _Refits(arviz_stats.SamplingWrapper):
    """Posteriors without one reading, as `arviz_stats.reloo` asks for them."""

    def __init__(self, problem: Problem, tree: xr.DataTree, sampling: dict[str, Any]) -> None:
        super().__init__(model=problem, idata_orig=tree, sample_kwargs=sampling)

    def sel_observations(self, idx: Any) -> tuple[np.ndarray, int]:
        """Which readings stay, and which one is left out."""
        row = int(np.asarray(idx["row"] if isinstance(idx, dict) else idx))
        rows = np.ones(len(self.model.measurements), dtype=bool)
        rows[row] = False
        return rows, row

    def sample(self, modified_observed_data: np.ndarray) -> xr.DataTree:
        """The posterior without it."""
        return sample(self.model.with_rows(modified_observed_data), predictive=False, **self.sample_kwargs)

    def get_inference_data(self, fitted_model: xr.DataTree) -> xr.DataTree:
        """The draws as they are."""
        return fitted_model

    def log_likelihood__i(self, excluded_obs: int, idata__i: xr.DataTree) -> xr.DataArray:
        """Log density of the reading that was left out, for each draw."""
        theta = idata__i["posterior"]["theta"]
        values = theta.to_numpy()
        each = np.asarray(self.model.pointwise_many(values.reshape(-1, values.shape[-1])))[:, excluded_obs]
        coords = {dim: theta[dim] for dim in ("chain", "draw")}
        return xr.DataArray(each.reshape(values.shape[:2]), dims=("chain", "draw"), coords=coords)
