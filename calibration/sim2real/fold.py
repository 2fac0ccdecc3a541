"""One fold: calibrate on its training rows, predict all rows, score the held-out ones beside the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float

from calibration.optimise import Fit, fit
from calibration.predict import Draws, predict_draws
from calibration.problem import Problem
from calibration.sampling import sample
from calibration.sim2real.assay import AssayLimits
from calibration.sim2real.baselines import predict_baselines
from calibration.sim2real.scores import energy_scores, score_readings
from calibration.sim2real.splits import Fold
from twin.errors import SimulationError

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
GRID_POINTS = 80
GRID_DRAWS = 300
GRID_REPLICATES = 20
"""Readings drawn per posterior draw for the bands: enough for smooth quantiles."""
COVERED = ("crps", "coverage_50", "coverage_90", "interval_score_90")


@dataclass(frozen=True)
class FoldResult:
    """What came of one fold.

    Args:
        fold: The fold.
        train: The problem restricted to the training rows.
        fit: The fit to them.
        draws: Their posterior, in ArviZ's schema.
        theta: Posterior draws, estimation scale, that could be integrated for all rows.
        predicted: Predictions of all rows by these draws.
        failed_draws: Draws left out because some row's series could not be integrated.
        scores: Held-out rows with scores of twin and baselines.
        undefined: Reason by name of baselines that are not defined here.
        baseline_notes: Remarks of the baselines.
    """

    fold: Fold
    train: Problem
    fit: Fit
    draws: xr.DataTree
    theta: Float[np.ndarray, "draw parameter"]
    predicted: Draws
    failed_draws: int
    scores: pd.DataFrame
    undefined: dict[str, str]
    baseline_notes: dict[str, str]


class Trained(NamedTuple):
    """A problem calibrated on some of its rows.

    Args:
        train: The problem restricted to them.
        fit: The fit to them.
        draws: Their posterior, in ArviZ's schema.
        theta: Posterior draws, estimation scale, that could be integrated for all rows.
        predicted: Predictions of all rows by these draws.
        failed_draws: Draws left out because some row's series could not be integrated.
    """

    train: Problem
    fit: Fit
    draws: xr.DataTree
    theta: Float[np.ndarray, "draw parameter"]
    predicted: Draws
    failed_draws: int


def calibrated(
    problem: Problem,
    rows: Bool[np.ndarray, " reading"],
    label: str,
    *,
    seed: int,
    sampling: dict[str, Any],
    starts: int,
    quiet: bool,
) -> Trained:
    """Calibrate on some rows and predict all.

    Args:
        problem: The problem with all rows.
        rows: Those to calibrate on.
        label: What they are called in errors.
        seed: Seed of fit, chains and predictive draws.
        sampling: Further arguments of `calibration.sample`.
        starts: Starts of the fit.
        quiet: Show no progress.

    Raises:
        SimulationError: no posterior draw can predict the held-out rows.
    """
    train = problem.with_rows(rows)
    best = fit(train, starts=starts, seed=seed, quiet=quiet)
    tree = sample(train, seed=seed, initial=best, quiet=quiet, **sampling)
    theta = tree["posterior"]["theta"].to_numpy()
    theta = theta.reshape(-1, theta.shape[-1])
    predicted = predict_draws(problem, theta, seed=seed + 11)
    usable = predicted.ok.all(axis=1)
    if usable.sum() < 2:
        raise SimulationError(
            f"{int((~usable).sum())} of {len(usable)} posterior draws cannot be integrated over the held-out rows",
            where=f"{problem.name}, fold {label!r}",
            fix="raise max_steps, or look at the posterior: it may lie where solutions blow up",
        )
    return Trained(train, best, tree, theta[usable], Draws(*(x[usable] for x in predicted)), int((~usable).sum()))


def run_fold(
    problem: Problem,
    fold: Fold,
    limits: AssayLimits,
    *,
    seed: int,
    sampling: dict[str, Any],
    starts: int,
    quiet: bool,
) -> FoldResult:
    """Calibrate on the training rows of a fold and score its held-out rows.

    Args:
        problem: The problem with all rows.
        fold: Which rows train and which test.
        limits: Limits of every row, natural scale.
        seed: Seed of fit, chains and predictive draws.
        sampling: Further arguments of `calibration.sample`.
        starts: Starts of the fit.
        quiet: Show no progress.

    Raises:
        SimulationError: no posterior draw can predict the held-out rows.
    """
    table = problem.measurements.table
    trained = calibrated(problem, fold.train, fold.label, seed=seed, sampling=sampling, starts=starts, quiet=quiet)
    predicted = trained.predicted
    study = problem.study
    scores = score_readings(
        table.loc[fold.test],
        predicted.reading[:, fold.test],
        scale=problem.score_scale,
        limits=limits[fold.test],
        log_likelihood=predicted.log_likelihood[:, fold.test],
        seed=seed,
    )
    scores["interval_score"] = scores["interval_score_90"]
    scores["energy_score"] = energy_scores(
        table.loc[fold.test],
        predicted.reading[:, fold.test],
        scale=problem.score_scale,
        limits=limits[fold.test],
    )
    undefined, notes = {}, {}
    baselines = predict_baselines(
        table,
        fold.train,
        fold.test,
        scale=problem.score_scale,
        covariate=study.covariate if study is not None else None,
        limits=limits,
        seed=seed,
    )
    for name, prediction in baselines.items():
        notes[name] = "; ".join(prediction.notes)
        if prediction.draws is None:
            undefined[name] = prediction.reason
            continue
        scored = score_readings(
            table.loc[fold.test],
            prediction.draws,
            scale=problem.score_scale,
            limits=limits[fold.test],
            on_score_scale=True,
            seed=seed,
        )
        for column in COVERED:
            scores[f"{column} {name}"] = scored[column]
    scores["fold"] = fold.label
    return FoldResult(fold, *trained, scores, undefined, notes)


def readings_table(problem: Problem, result: FoldResult) -> pd.DataFrame:
    """All rows with the predictive quantiles of a new reading."""
    table = problem.measurements.table
    quantiles = {name: np.quantile(result.predicted.reading, q, axis=0) for name, q in QUANTILES.items()}
    units = [problem.model.unit(name) for name in table["observable"]]
    return table.assign(fold=result.fold.label, train=result.fold.train, unit=units, **quantiles)


def bands_table(problem: Problem, result: FoldResult, seed: int) -> pd.DataFrame:
    """Predictive bands of every series and observable on a dense grid of times, for drawing."""
    grid = _grid(problem)
    thin = result.theta[:: max(1, len(result.theta) // GRID_DRAWS)][:GRID_DRAWS]
    drawn = predict_draws(problem.at(grid), thin, seed=seed + 13, replicates=GRID_REPLICATES)
    usable = drawn.ok.all(axis=1)
    if not usable.any():
        return grid.iloc[:0].assign(fold=result.fold.label)
    readings = drawn.reading[np.repeat(usable, GRID_REPLICATES)]
    columns = {name: np.quantile(readings, q, axis=0) for name, q in QUANTILES.items()}
    columns |= {f"m{round(100 * q):02d}": np.quantile(drawn.value[usable], q, axis=0) for q in (0.05, 0.5, 0.95)}
    keys = grid[["experiment", "subject", "observable", "time"]]
    return keys.assign(fold=result.fold.label, **columns)


def _grid(problem: Problem) -> pd.DataFrame:
    table = problem.measurements.table
    parts = []
    for experiment, subject in problem.measurements.series:
        rows = table.loc[(table["experiment"] == experiment) & (table["subject"] == subject)]
        start = min(problem.experiments[experiment].t0, float(rows["time"].min()))
        times = np.linspace(start, float(rows["time"].max()), GRID_POINTS)
        for observable, group in rows.groupby("observable", sort=False):
            everywhere = table.loc[table["observable"] == observable]
            part = pd.DataFrame({"time": times})
            part["value"] = float(everywhere["value"].median())
            # The noise of a reading that was not made: that of the readings nearest in time would jump about.
            part["noise"] = float(group["noise"].median())
            parts.append(part.assign(experiment=experiment, subject=subject, observable=observable, censoring=""))
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    grid = pd.concat(parts, ignore_index=True)[columns]
    # A placeholder only; it must be valid for noise models that need positive readings.
    return grid.assign(value=grid["value"].where(grid["value"] > 0, 1.0))
