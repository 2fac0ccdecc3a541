"""Leave-one-out densities and evidence of one model, as plain numbers that can be kept and compared."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDDataLOO
from jaxtyping import Int

from calibration.optimise import Fit
from calibration.problem import Problem
from calibration.sampling.diagnostics import WORST_PARETO_K, loo
from calibration.sampling.posterior import sample

GIVES_EVIDENCE = ("smc", "tempering")


def loo_numbers(
    problem: Problem, initial: Fit, *, seed: int, sampling: Mapping[str, Any], quiet: bool
) -> dict[str, Any]:
    """Posterior draws and what leave-one-out says of them, with moment matching and refits where k-hat asks for it.

    Returns:
        elpd [reading], pareto_k [reading], p, samples, good_k, and k_before: the share of readings whose k-hat was
        above 0.7 before any mending; the worst R-hat.
    """
    tree = sample(problem, seed=seed, initial=initial, quiet=quiet, **sampling)
    with warnings.catch_warnings():
        # What ArviZ says of the k-hat before mending is a column of the table.
        warnings.simplefilter("ignore", UserWarning)
        raw = arviz_stats.loo(tree, var_name="reading", pointwise=True)
    found = loo(problem, tree, seed=seed, quiet=True, **sampling)
    rhat = arviz_stats.rhat(tree["posterior"].dataset["theta"]) if tree["posterior"].sizes["chain"] > 1 else None
    return {
        "elpd": found.elpd_i.to_numpy().ravel().tolist(),
        "pareto_k": found.pareto_k.to_numpy().ravel().tolist(),
        "p": float(found.p),
        "samples": int(found.n_samples),
        "good_k": float(found.good_k),
        "k_before": float(np.mean(raw.pareto_k.to_numpy() > WORST_PARETO_K)),
        "worst_rhat": None if rhat is None else float(np.max(_values(rhat))),
    }


def _values(rhat: Any) -> np.ndarray:
    return np.asarray(rhat["theta"] if isinstance(rhat, xr.Dataset) else rhat)


def evidence_numbers(problem: Problem, *, seed: int, sampling: Mapping[str, Any], quiet: bool) -> dict[str, Any]:
    """Logarithm of the evidence and its standard error, by tempered populations from the prior."""
    method = sampling.get("method") if sampling.get("method") in GIVES_EVIDENCE else "smc"
    kept = {name: value for name, value in sampling.items() if name != "method"}
    tree = sample(problem, seed=seed, method=str(method), predictive=False, quiet=quiet, **kept)
    return {"log": float(tree.attrs["log_evidence"]), "error": float(tree.attrs["log_evidence_error"])}


def as_elpd(numbers: Mapping[str, Any], rows: Int[np.ndarray, " reading"]) -> ELPDDataLOO:
    """ArviZ's result of kept numbers, with the readings in the order of the first model's table."""
    each = np.asarray(numbers["elpd"])[rows]
    k = np.asarray(numbers["pareto_k"])[rows]
    return ELPDDataLOO(
        elpd=float(each.sum()),
        se=float(np.sqrt(len(each) * np.var(each))),
        p=numbers["p"],
        n_samples=numbers["samples"],
        n_data_points=len(each),
        scale="log",
        warning=bool((k > WORST_PARETO_K).any()),
        good_k=numbers["good_k"],
        elpd_i=xr.DataArray(each, dims="row"),
        pareto_k=xr.DataArray(k, dims="row"),
    )


def stacked(results: Mapping[str, ELPDDataLOO]) -> pd.DataFrame:
    """ArviZ's comparison, not rounded: differences with their errors and stacking weights."""
    return arviz_stats.compare(dict(results), method="stacking", round_to="none")
