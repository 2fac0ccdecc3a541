"""Estimated parameters beside their published values."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pandas as pd

from calibration.problem import Problem
from calibration.sim2real.fold import FoldResult

OPEN_SIDE = 0.02
"""A posterior end within this share of the range from a bound is open on that side."""
LITTLE_LEARNED = 0.8


def parameter_table(problem: Problem, result: FoldResult) -> pd.DataFrame:
    """One row per entry of the vector, with posterior, published value and convergence.

    Args:
        problem: The problem.
        result: The fold whose posterior is shown.
    """
    posterior = result.draws["posterior"]
    summary = convergence(problem, result)
    theta = posterior["theta"].to_numpy().reshape(-1, len(problem.names))
    prior = problem.prior.draw(np.random.default_rng(0), 4000)
    records = []
    for index, entry in enumerate(problem.parameters.entries):
        draws = posterior[entry.name].to_numpy().ravel()
        q05, median, q95 = np.quantile(draws, [0.05, 0.5, 0.95])
        shrinkage = float(theta[:, index].std() / prior[:, index].std())
        part = problem.model.parts.get(entry.parameter)
        published = getattr(part, "published", ()) if entry.role == "value" else ()
        first = published[0] if published else None
        records.append(
            {
                "name": entry.name,
                "unit": problem.model.unit(entry.parameter) if part is not None and entry.role == "value" else "",
                "role": entry.role,
                "median": median,
                "q05": q05,
                "q95": q95,
                "published": first.value if first else np.nan,
                "published_low": first.lower if first and first.lower is not None else np.nan,
                "published_high": first.upper if first and first.upper is not None else np.nan,
                "source": first.source if first else "",
                "inside": bool(q05 <= first.value <= q95) if first else None,
                "r_hat": float(summary.loc[entry.name, "r_hat"]),
                "ess_bulk": float(summary.loc[entry.name, "ess_bulk"]),
                "prior_to_posterior": shrinkage,
                "note": _note(theta[:, index], entry.lower, entry.upper, shrinkage),
            }
        )
    return pd.DataFrame.from_records(records)


def convergence(problem: Problem, result: FoldResult) -> pd.DataFrame:
    """R-hat and bulk ESS of every entry of the vector, columns r_hat and ess_bulk (ArviZ)."""
    summary = arviz_stats.summary(result.draws, var_names=list(problem.names), kind="diagnostics", round_to="none")
    return summary[["r_hat", "ess_bulk"]].astype(float)


def _note(theta: np.ndarray, lower: float, upper: float, shrinkage: float) -> str:
    """What a reader should know before believing the interval."""
    low, high = np.quantile(theta, [0.05, 0.95])
    margin = OPEN_SIDE * (upper - lower)
    notes = []
    if low < lower + margin:
        notes.append("open towards its lower bound")
    if high > upper - margin:
        notes.append("open towards its upper bound")
    if shrinkage > LITTLE_LEARNED:
        notes.append("the prior decides")
    return "; ".join(notes)
