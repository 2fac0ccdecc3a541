"""One row of the benchmark's table: all that an assessment says in numbers, in tidy columns."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr

from calibration.problem import Problem
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.checks import pit_uniformity
from calibration.sim2real.discrepancy_layer import LAYER as DISCREPANCY_LAYER
from calibration.sim2real.discrepancy_layer import PREFIX
from calibration.sim2real.ratio_interval import MIN_SERIES
from calibration.sim2real.scale import SERIES

LARGEST_K = 0.7
"""Above it importance sampling cannot replace a refit: Vehtari, Simpson, Gelman, Yao, Gabry 2024, JMLR 25(72)."""
BASELINES = ("mean", "persistence", "spline", "gaussian process")

COLUMNS: Mapping[str, str] = {
    "dataset": "name of the data",
    "split": "what was held out: time, subject or experiment",
    "model": "the mechanism",
    "pooling": "how subjects share parameters: partial, none, complete; empty where all are shared",
    "study": "the study that joins data and mechanism",
    "parameters": "estimated numbers",
    "train": "training readings, mean over the folds",
    "test": "held-out readings",
    "subjects": "subjects with held-out readings",
    "series": "series (experiment, subject) with held-out readings",
    "gap": "(CRPS of the twin - floor) / (CRPS of the best baseline - floor)",
    "gap_low": "lower end of its interval",
    "gap_high": "upper end of its interval",
    "verdict": "better, no better or worse than the best baseline, or undefined",
    "crps": "mean CRPS of the twin over the held-out readings, on the score scale",
    "floor": "expected CRPS of the measurement noise alone",
    "baseline": "the best baseline",
    "crps_baseline": "its mean CRPS",
    "difference": "CRPS of the twin minus that of the best baseline",
    "difference_low": "lower end of its interval",
    "difference_high": "upper end of its interval",
    **{f"skill_{name.replace(' ', '_')}": f"1 - CRPS of the twin / CRPS of the {name} baseline" for name in BASELINES},
    "elpd": "log density of the held-out readings, summed",
    "elpd_se": "standard error of that sum, from series where there are three or more, else from readings",
    "coverage_50": "share of the held-out readings in the central 50 % interval",
    "coverage_90": "the same for 90 %",
    "interval_score": "mean interval score of the 90 % interval",
    "pit_p": "p-value of the uniformity of the held-out probability integral transforms",
    "energy_score": "mean energy score over held-out series and observables",
    "discrepancy_of": "the observable with the largest discrepancy",
    "discrepancy": "its size: what must be added to the mechanism",
    "discrepancy_low": "lower end of its interval",
    "discrepancy_high": "upper end of its interval",
    "crps_discrepancy": "mean CRPS of mechanism and discrepancy together",
    "coverage_90_discrepancy": "share of the held-out readings in the 90 % interval of both together",
    "r_hat_discrepancy": "largest R-hat over the sizes of discrepancies and folds",
    "discrepancy_note": "why no discrepancy was measured",
    "r_hat": "largest R-hat over parameters and folds",
    "ess": "least bulk effective sample size",
    "divergences": "divergent transitions",
    "k_high": f"share of training readings whose Pareto k-hat is above {LARGEST_K}",
    "seconds": "time it took",
    "seed": "seed of everything random",
    "data_sha256": "hash of the readings",
    "versions": "of the packages that computed it",
}
"""Columns of the table in their order, and what they mean."""
VARYING = ("seconds", "versions")
"""Columns that may differ when a row is computed again."""


def row_of(
    study: str, pooling: str, problem: Problem, assessment: Assessment, discrepancy_note: str = ""
) -> dict[str, Any]:
    """The row of an assessment; NaN or "" where there is nothing to say.

    Args:
        study: Name of the study.
        pooling: How its subjects share parameters.
        problem: The problem that was assessed.
        assessment: What came of it.
        discrepancy_note: Why it has no discrepancy.
    """
    scores, gap = assessment.scores, assessment.gap
    trained = [int(fold.train.sum()) for fold in assessment.split.folds]
    total, error = elpd_with_error(scores)
    skills = {
        f"skill_{name.replace(' ', '_')}": 1.0 - gap.twin / gap.baselines[name] if gap.baselines.get(name) else math.nan
        for name in BASELINES
    }
    row = {
        "dataset": assessment.dataset,
        "split": assessment.split.name,
        "model": assessment.model,
        "pooling": pooling,
        "study": study,
        "parameters": len(problem.names),
        "train": round(float(np.mean(trained))),
        "test": gap.readings,
        "subjects": int(scores["subject"].nunique()),
        "series": len(scores[list(SERIES)].drop_duplicates()),
        "gap": float(gap.value),
        "gap_low": float(gap.low),
        "gap_high": float(gap.high),
        "verdict": assessment.verdict.label,
        "crps": float(gap.twin),
        "floor": float(gap.floor),
        "baseline": gap.baseline_name,
        "crps_baseline": float(gap.baseline),
        "difference": gap.difference,
        "difference_low": gap.difference_low,
        "difference_high": gap.difference_high,
        **skills,
        "elpd": total,
        "elpd_se": error,
        **{name: float(scores[name].mean()) for name in ("coverage_50", "coverage_90", "interval_score")},
        "pit_p": float(pit_uniformity(scores["pit"].to_numpy(dtype=float)).p_value),
        "energy_score": mean_energy(scores),
        **_discrepancy(assessment),
        "discrepancy_note": discrepancy_note,
        **_computation(assessment),
        "seed": int(assessment.provenance.get("settings", {}).get("seed", 0)),
        "data_sha256": problem.measurements.sha256,
        "versions": ", ".join(f"{k} {v}" for k, v in assessment.provenance.get("versions", {}).items()),
    }
    return {name: row[name] for name in COLUMNS}


def elpd_with_error(scores: pd.DataFrame) -> tuple[float, float]:
    """The summed log density of the held-out readings and its standard error.

    Readings of a series hang together, so that where there are three series or more the error is that of a sum over
    series, each with its own number of readings; below that it is that of a sum over readings and too small.
    """
    values = scores["elpd"].to_numpy(dtype=float)
    # As for the gap: two series say nothing about others.
    groups = scores.groupby(list(SERIES), sort=True).ngroup().to_numpy()
    if groups.max() + 1 < MIN_SERIES:
        groups = np.arange(len(values))
    count = int(groups.max()) + 1
    if count < 2:
        return float(values.sum()), math.nan
    residuals = np.bincount(groups, weights=values - values.mean())
    return float(values.sum()), float(np.sqrt(count / (count - 1) * np.sum(residuals**2)))


def mean_energy(scores: pd.DataFrame) -> float:
    """Mean energy score over the vectors (fold, series, observable) of held-out readings."""
    if "energy_score" not in scores:
        return math.nan
    return float(scores.groupby(["fold", *SERIES, "observable"])["energy_score"].first().mean())


def share_of_high_k(trees: list[xr.DataTree]) -> float:
    """Share of the training readings of all folds whose Pareto k-hat is above 0.7; NaN without a log-likelihood."""
    found = []
    for tree in trees:
        if "log_likelihood" not in tree.children:
            return math.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what ArviZ warns of is what is counted here
            k = arviz_stats.loo(tree, var_name="reading", pointwise=True).pareto_k
        found.append(np.asarray(k, dtype=float).ravel())
    return float(np.mean(np.concatenate(found) > LARGEST_K)) if found else math.nan


def _computation(assessment: Assessment) -> dict[str, Any]:
    known = assessment.diagnostics
    return {
        "r_hat": float(known.get("worst_r_hat", math.nan)),
        "ess": float(known.get("least_ess_bulk", math.nan)),
        "divergences": int(known.get("divergences", 0)),
        "k_high": share_of_high_k(list(assessment.draws)),
        "seconds": float(known.get("seconds", math.nan)),
    }


def _discrepancy(assessment: Assessment) -> dict[str, Any]:
    """The largest discrepancy, where the assessment measures it, and the scores with all of them."""
    names = [name for name in COLUMNS if "discrepancy" in name and name not in ("discrepancy_of", "discrepancy_note")]
    table = assessment.discrepancy
    if table is None:
        return {"discrepancy_of": ""} | dict.fromkeys(names, math.nan)
    worst = table.loc[table["size"].idxmax()]
    checks = assessment.layers[DISCREPANCY_LAYER].set_index("key")
    found = (
        *(worst[name] for name in ("size", "low", "high")),
        assessment.scores[f"{PREFIX}crps"].mean(),
        assessment.scores[f"{PREFIX}coverage_90"].mean(),
        checks.loc["discrepancy_r_hat", "value"],
    )
    return {"discrepancy_of": str(worst["observable"])} | dict(zip(names, map(float, found), strict=True))
