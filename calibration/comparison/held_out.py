"""Scores of readings that a model did not see, and differences between models with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import t as student

from calibration.problem import Problem
from calibration.sim2real.assay import AssayLimits, assay_limits
from calibration.sim2real.fold import calibrated
from calibration.sim2real.scores import score_readings
from calibration.sim2real.splits import Fold, Split

FEWEST_SERIES = 5
"""Below that the spread between series says too little, and that between readings is taken."""


def held_out_scores(
    problem: Problem,
    split: Split,
    rows: Int[np.ndarray, " reading"],
    scale: Mapping[str, str],
    *,
    starts: int,
    seed: int,
    sampling: dict[str, Any],
    quiet: bool,
) -> pd.DataFrame:
    """Calibrate on the training readings of each fold and score the others.

    Args:
        problem: The model with all readings.
        split: Folds over the rows of the first model's table.
        rows: This model's row for each of those.
        scale: Scale on which the CRPS is computed, by observable: the same for all models.
        starts: Starts of each fit.
        seed: Seed of fits, chains and scores.
        sampling: Further arguments of `calibration.sample`.
        quiet: Show no progress.

    Returns:
        Columns row (of the first model's table), crps, elpd (log density), fold.

    Raises:
        SimulationError: no posterior draw can predict the held-out readings.
    """
    limits = assay_limits(problem.measurements.table)
    parts = [_scored(problem, fold, rows, scale, limits, starts, seed, sampling, quiet) for fold in split.folds]
    return pd.concat(parts, ignore_index=True)


def _scored(
    problem: Problem,
    fold: Fold,
    rows: np.ndarray,
    scale: Mapping[str, str],
    limits: AssayLimits,
    starts: int,
    seed: int,
    sampling: dict[str, Any],
    quiet: bool,
) -> pd.DataFrame:
    train, test = np.zeros(len(rows), dtype=bool), rows[fold.test]
    train[rows[fold.train]] = True
    sampling = {"predictive": False, **sampling}
    drawn = calibrated(problem, train, fold.label, seed=seed, sampling=sampling, starts=starts, quiet=quiet).predicted
    scores = score_readings(
        problem.measurements.table.iloc[test],
        drawn.reading[:, test],
        scale=scale,
        limits=limits[test],
        log_likelihood=drawn.log_likelihood[:, test],
        seed=seed,
    )
    found = {"row": np.flatnonzero(fold.test), "crps": scores["crps"].to_numpy(), "elpd": scores["elpd"].to_numpy()}
    return pd.DataFrame(found).assign(fold=fold.label)


class Independent(NamedTuple):
    """What the error of a difference takes as independent.

    Args:
        kind: "series", "readings" or "runs".
        count: How many there are.
    """

    kind: str
    count: int

    @property
    def width(self) -> float:
        """Half the 95 % interval of a difference in standard errors: Student's t, because the error is estimated."""
        return float(student.ppf(0.975, max(self.count - 1, 1)))


def paired_error(
    differences: Float[np.ndarray, " reading"], series: Int[np.ndarray, " reading"]
) -> tuple[float, Independent]:
    """Standard error of the sum of paired differences, and what was taken as independent.

    Readings of one series share its errors, so sums per series are compared where there are five series or more.
    """
    sums = pd.Series(differences).groupby(series).sum().to_numpy()
    by_series = len(sums) >= FEWEST_SERIES
    units = sums if by_series else np.asarray(differences)
    if len(units) < 2:
        return math.nan, Independent("readings", len(units))
    error = math.sqrt(len(units)) * float(np.std(units, ddof=1))
    return error, Independent("series" if by_series else "readings", len(units))
