"""Visual predictive check and normalised prediction distribution errors: new subjects from the fitted population.

References:
    Holford (2005), The visual predictive check, PAGE 14 (2005) abstract 738; Brendel et al. (2006),
    doi:10.1007/s11095-005-9067-5; Comets et al. (2008), doi:10.1016/j.cmpb.2007.12.002.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from calibration.population.estimate import PopulationFit
from calibration.predict import predict_draws
from calibration.sim2real.assay import assay_limits
from twin.errors import ProblemError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PERCENTILES = (5.0, 50.0, 95.0)


@dataclass(frozen=True)
class PredictiveCheck:
    """Readings against readings of new subjects under the same designs.

    Args:
        bins: A row per observable, time bin and percentile: the percentile of the readings, and the 5th, 50th and 95th
            percentile over the simulated studies.
        npde: Normalised prediction distribution error of every reading, standard normal if the model is right; NaN for
            censored readings.
        readings: Columns experiment, subject, observable, time, value, censoring of every reading.
        units: Unit of each observable, and of "time".
    """

    bins: pd.DataFrame
    npde: Float[np.ndarray, " reading"]
    readings: pd.DataFrame
    units: Mapping[str, str]

    def tests(self) -> pd.Series:
        """p-values of the errors' mean (t test), variance (chi-squared) and shape (Shapiro-Wilk), as if independent."""
        errors = self.npde[np.isfinite(self.npde)]
        count = len(errors)
        tail = stats.chi2.cdf((count - 1) * errors.var(ddof=1), count - 1)
        return pd.Series(
            {
                "mean": float(stats.ttest_1samp(errors, 0.0).pvalue),
                "variance": float(2 * min(tail, 1 - tail)),
                "normality": float(stats.shapiro(errors).pvalue),
            }
        )

    def plot(self, path: str | None = None) -> Figure:
        """Percentiles of readings over bands of the simulated ones, and the errors over time; a row per observable.

        Args:
            path: Where to save it.
        """
        from calibration.population.figure import predictive_check_figure

        return predictive_check_figure(self, path)


def predictive_check(
    fit: PopulationFit, *, studies: int = 500, bins: int | None = None, seed: int = 0
) -> PredictiveCheck:
    """Simulate the study again and again with new subjects, and compare.

    Args:
        fit: The population.
        studies: Simulated studies; each has the subjects, doses and times of the real one.
        bins: Bins of time per observable, with about equal numbers of readings; default as many as a typical subject
            has readings.
        seed: Seed.

    Raises:
        ProblemError: fewer than 20 studies, or more of them than a tenth cannot be integrated.
    """
    if studies < 20:
        raise ProblemError(f"there are {studies} studies", where="studies", expected="at least 20")
    problem, likelihood = fit.likelihood.problem, fit.likelihood
    eta = np.random.default_rng([seed, 12]).standard_normal((studies, len(likelihood.deviations)))
    drawn = predict_draws(problem, likelihood.whole(np.tile(fit.theta, (studies, 1)), eta), seed=seed)
    usable = drawn.ok.all(axis=1)
    if usable.mean() < 0.9:
        raise ProblemError(
            f"{int((~usable).sum())} of {studies} simulated studies cannot be integrated",
            where=problem.name,
            fix="raise max_steps",
        )
    table = problem.measurements.table
    # What an assay cannot tell apart is not told apart in simulated readings either.
    simulated = assay_limits(table).map(drawn.reading[usable], table["observable"].to_numpy())
    columns = ["experiment", "subject", "observable", "time", "value", "censoring"]
    return PredictiveCheck(
        bins=_bins(table, simulated, bins),
        npde=_npde(table, simulated),
        readings=table[columns].copy(),
        units={name: problem.model.unit(name) for name in problem.bindings.observables}
        | {"time": problem.model.time_unit},
    )


def _bins(table: pd.DataFrame, simulated: np.ndarray, asked: int | None) -> pd.DataFrame:
    rows = []
    for name, part in table.groupby("observable", sort=False):
        times = part["time"].to_numpy()
        count = asked or max(1, round(float(part.groupby("subject").size().median())))
        edges = np.unique(np.quantile(times, np.linspace(0, 1, count + 1)))
        which = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, max(len(edges) - 2, 0))
        for index in np.unique(which):
            at = part.index.to_numpy()[which == index]
            value, time = table["value"].to_numpy()[at], float(np.median(table["time"].to_numpy()[at]))
            for percentile in PERCENTILES:
                again = np.percentile(simulated[:, at], percentile, axis=1)
                lower, median, upper = np.percentile(again, [5, 50, 95])
                rows.append(
                    {
                        "observable": name,
                        "time": time,
                        "readings": len(at),
                        "percentile": percentile,
                        "observed": float(np.percentile(value, percentile)),
                        "lower": lower,
                        "median": median,
                        "upper": upper,
                    }
                )
    return pd.DataFrame(rows)


def _npde(table: pd.DataFrame, simulated: np.ndarray) -> np.ndarray:
    """Errors of each subject, decorrelated by the simulated readings' mean and covariance, then ranked."""
    errors = np.full(len(table), np.nan)
    value, free = table["value"].to_numpy(), (table["censoring"] == "").to_numpy()
    for _, part in table.groupby("subject", sort=False):
        at = part.index.to_numpy()[free[part.index.to_numpy()]]
        if not len(at):
            continue
        again = simulated[:, at]
        centre, covariance = again.mean(axis=0), np.atleast_2d(np.cov(again, rowvar=False))
        root = np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) / len(at) * np.eye(len(at)))
        white = np.linalg.solve(root, (again - centre).T).T
        seen = np.linalg.solve(root, value[at] - centre)
        below = (white < seen).mean(axis=0)
        # A reading beyond all simulated ones counts as half a simulation from the end.
        errors[at] = stats.norm.ppf(np.clip(below, 0.5 / len(white), 1 - 0.5 / len(white)))
    return errors
