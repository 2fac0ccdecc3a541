"""Baseline "gaussian process": a hierarchical Gaussian process over time, series and covariate.

    y = f(time, covariate) + trend(time) + g_experiment(time) + h_series(time) + noise

with independent Gaussian processes f, g, h and a random straight line. Terms that the design cannot tell
apart (one series only, experiments with one series each) are left out. For an unseen series h is drawn from
its prior: the spread between series that was learnt. The covariance (squared exponential or Matern 3/2) and
the time axis (time or log time) are chosen, and all hyperparameters fitted, by marginal likelihood.

References: Rasmussen, Williams 2006, ISBN 0-262-18253-X, algorithm 2.1 and section 5.4 (scikit-learn's
implementation).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

from calibration.sim2real.baselines.curve import WARPS, Warp
from calibration.sim2real.baselines.kernels import OnColumns, SameLabel
from calibration.sim2real.baselines.task import Forecast, Task, UndefinedBaselineError

# Columns of the design matrix.
TIME, COVARIATE, EXPERIMENT, SERIES = 0, 1, 2, 3
# Cholesky is cubic in the rows: 400 take about 0.1 s per likelihood on one core. More are thinned evenly in
# time.
MAX_ROWS = 400
# Hyperparameter bounds in units of the data's variance and the time span. The noise bound keeps the
# covariance matrix positive definite; a shorter length scale than 2 % of the span would be noise under
# another name.
AMPLITUDE = (1e-4, 1e2)
LENGTH = (0.02, 10.0)
NOISE = (1e-5, 2.0)
SHAPES = ("squared exponential", "Matern 3/2")


@dataclass(frozen=True)
class GaussianProcess:
    """The baseline with its effort.

    Args:
        restarts: Random restarts of the likelihood optimiser beside the default start, per candidate.
    """

    restarts: int = 1

    def __call__(self, task: Task, rng: np.random.Generator) -> Forecast:
        """Predict by the candidate of highest marginal likelihood.

        Args:
            task: Training and test rows of one observable.
            rng: Its next integer seeds the restarts.

        Raises:
            UndefinedBaselineError: Fewer than four training readings.
        """
        if len(task.train) < 4:
            raise UndefinedBaselineError(f"{len(task.train)} training readings are too few for a Gaussian process")
        seed = int(rng.integers(2**31))
        train, notes = _thinned(task.train)
        labels = _labels(task)
        y = train["y"].to_numpy(dtype=float)
        best: tuple[float, str, GaussianProcessRegressor, Warp] | None = None
        for warp_name, warp in WARPS.items():
            X = _design(train, task, labels, warp)
            for shape in SHAPES:
                fitted = _fit(_kernel(shape, task, train), X, y, self.restarts, seed)
                likelihood = float(np.asarray(fitted.log_marginal_likelihood_value_))
                if best is None or likelihood > best[0]:
                    best = (likelihood, f"{shape} over {warp_name}", fitted, warp)
        assert best is not None  # there is at least one warp and one shape
        predicted: Any = best[2].predict(_design(task.test, task, labels, best[3]), return_std=True)
        mean, deviation = predicted
        return Forecast(location=mean, scale=deviation, df=np.full(len(mean), np.inf), notes=(best[1], *notes))


def _kernel(shape: str, task: Task, train: pd.DataFrame) -> Kernel:
    """The covariance function that the design supports."""

    def smooth(dimensions: int) -> Kernel:
        length: Any = np.full(dimensions, 0.5) if dimensions > 1 else 0.5
        if shape == "squared exponential":
            return RBF(length, LENGTH)
        return Matern(length, LENGTH, nu=1.5)

    def amplitude(start: float) -> Kernel:
        return ConstantKernel(start, AMPLITUDE)

    shared = (TIME, COVARIATE) if task.covariate else (TIME,)
    kernel = amplitude(1.0) * OnColumns(smooth(len(shared)), shared)
    # DotProduct(1) is the covariance of a random level plus a random slope of equal variance.
    kernel = kernel + amplitude(0.1) * OnColumns(DotProduct(1.0, "fixed"), (TIME,))
    experiments, series = len(set(train["experiment"])), len(set(train["series"]))
    if experiments > 1 and series > experiments:
        kernel = kernel + amplitude(0.1) * OnColumns(smooth(1), (TIME,)) * SameLabel(EXPERIMENT)
    if series > 1:
        kernel = kernel + amplitude(0.1) * OnColumns(smooth(1), (TIME,)) * SameLabel(SERIES)
    return kernel + WhiteKernel(0.1, NOISE)


def _fit(kernel: Kernel, X: np.ndarray, y: np.ndarray, restarts: int, seed: int) -> GaussianProcessRegressor:
    """Fit one candidate by marginal likelihood."""
    model = GaussianProcessRegressor(
        kernel, alpha=1e-10, normalize_y=True, n_restarts_optimizer=restarts, random_state=seed
    )
    with warnings.catch_warnings():
        # Expected and harmless here: an amplitude at its lower bound is a term that the data do not ask for,
        # and a search that stops early only makes this candidate less likely to be chosen. Other warnings
        # pass.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def _labels(task: Task) -> dict[str, dict[str, int]]:
    """An integer for every experiment and series of training and test."""
    return {
        column: {name: number for number, name in enumerate(sorted({*task.train[column], *task.test[column]}))}
        for column in ("experiment", "series")
    }


def _design(rows: pd.DataFrame, task: Task, labels: dict[str, dict[str, int]], warp: Warp) -> np.ndarray:
    """Design matrix with the columns TIME, COVARIATE, EXPERIMENT, SERIES."""
    covariate = np.zeros(len(rows))
    if task.covariate:
        known = task.train["covariate"].to_numpy(dtype=float)
        covariate = (rows["covariate"].to_numpy(dtype=float) - known.min()) / (np.ptp(known) or 1.0)
    return np.stack(
        [
            # Centred, so that the random slope turns about the middle of the time span.
            warp(rows["time"].to_numpy(dtype=float), *task.span) - 0.5,
            covariate,
            np.array([labels["experiment"][name] for name in rows["experiment"]], dtype=float),
            np.array([labels["series"][name] for name in rows["series"]], dtype=float),
        ],
        axis=1,
    )


def _thinned(train: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """At most MAX_ROWS training rows, spread evenly over time."""
    if len(train) <= MAX_ROWS:
        return train, ()
    ordered = train.sort_values("time", kind="stable")
    chosen = np.unique(np.linspace(0, len(train) - 1, MAX_ROWS).round().astype(int))
    return ordered.iloc[chosen], (f"fitted to {len(chosen)} of {len(train)} training readings, evenly in time",)
