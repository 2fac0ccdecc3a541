"""`fisher_information`: what all readings together say of the parameters near one vector, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import ArrayLike, Float

from calibration.information.scoring import Scoring, scoring
from calibration.information.spectrum import Spectrum, spectrum
from calibration.information.wording import LOADING, in_words, logarithmic_rates
from calibration.problem import Problem
from calibration.scales import linear
from twin.errors import ProblemError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

type Grouping = Literal["experiment", "subject", "series", "observable", "reading"]

GROUPINGS = ("experiment", "subject", "series", "observable", "reading")
SLOPPY = 1e-4
"""Directions with less than this share of the largest eigenvalue are listed as sloppy: a hundred times less precise."""
SHOWN = 3
"""Sloppy directions that are printed."""
RANK_PER_RTOL = 10.0
"""Sensitivities are exact to about the relative tolerance per step; errors of a few steps add up."""
_NINETY_FIVE = 1.959963984540054


@dataclass(frozen=True)
class FisherInformation:
    """Fisher information of all readings about the vector, on the estimation scale.

    Args:
        name: Name of the problem.
        names: Entries of the vector.
        scales: Estimation scale of each: "lin", "log" or "log10".
        theta: The vector at which it was taken.
        lower: Lower bounds.
        upper: Upper bounds.
        readings: Columns experiment, subject, observable, time of every reading.
        scoring: The information reading by reading.
        prior: Precision of the priors that was added; zeros without.
        spectrum: Eigenvalues, rank, directions, bounds on the variances.
    """

    name: str
    names: tuple[str, ...]
    scales: tuple[str, ...]
    theta: Float[np.ndarray, " parameter"]
    lower: Float[np.ndarray, " parameter"]
    upper: Float[np.ndarray, " parameter"]
    readings: pd.DataFrame
    scoring: Scoring
    prior: Float[np.ndarray, " parameter"]
    spectrum: Spectrum

    @cached_property
    def matrix(self) -> Float[np.ndarray, "parameter parameter"]:
        """The information matrix, prior included if it was asked for."""
        return self.scoring.information() + np.diag(self.prior)

    @property
    def eigenvalues(self) -> Float[np.ndarray, " direction"]:
        """Eigenvalues of the matrix, largest first."""
        return self.spectrum.eigenvalues

    @property
    def eigenvectors(self) -> Float[np.ndarray, "direction parameter"]:
        """Eigenvectors in rows, in the order of the eigenvalues."""
        return self.spectrum.eigenvectors

    @property
    def rank(self) -> int:
        """Directions with information; the criterion is in `fisher_information`."""
        return self.spectrum.rank

    @property
    def condition_number(self) -> float:
        """Largest eigenvalue over the smallest; infinite where the rank is not full."""
        if self.rank < len(self.names):
            return float("inf")
        return float(self.eigenvalues[0] / self.eigenvalues[-1])

    @property
    def covariance(self) -> Float[np.ndarray, "parameter parameter"]:
        """Cramér-Rao bound on the covariance; infinite variances and NaN for parameters that are not determined."""
        return self.spectrum.covariance

    @property
    def standard_errors(self) -> Float[np.ndarray, " parameter"]:
        """Cramér-Rao bounds on the standard errors, estimation scale; infinite where a parameter is not determined."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Float[np.ndarray, "parameter parameter"]:
        """Correlations of the estimates; NaN where one is not determined."""
        errors = np.where(self.spectrum.undetermined, np.nan, self.standard_errors)
        return self.covariance / np.outer(errors, errors)

    @property
    def combinations(self) -> tuple[str, ...]:
        """Combinations of parameters that the readings do not determine, in words: ``"k1^+0.71 · k2^-0.71"``."""
        return tuple(in_words(vector, self.names, self._rates) for vector in self.spectrum.null)

    @property
    def _rates(self) -> Float[np.ndarray, " parameter"]:
        return logarithmic_rates(self.theta, self.lower, self.scales)

    def directions(self, loading: float = LOADING) -> pd.DataFrame:
        """Every eigenvector, stiffest first: eigenvalue, its share of the largest, standard error, words.

        Args:
            loading: Entries of an eigenvector below this are left out of the words.
        """
        shares = self.eigenvalues / self.eigenvalues[0] if self.eigenvalues[0] > 0 else np.zeros(len(self.names))
        # The last ones are those without information, whatever rounding leaves of their eigenvalues.
        known = np.arange(len(self.names)) < self.rank
        errors = np.full(len(self.names), np.inf)
        errors[known] = self.eigenvalues[known] ** -0.5
        words = [in_words(vector, self.names, self._rates, loading) for vector in self.eigenvectors]
        return pd.DataFrame(
            {"eigenvalue": self.eigenvalues, "share": shares, "standard_error": errors, "direction": words}
        )

    def sloppy_directions(self, below: float = SLOPPY) -> pd.DataFrame:
        """Directions with little information, sloppiest first; columns as in `directions`.

        Args:
            below: Share of the largest eigenvalue below which a direction counts.
        """
        table = self.directions()
        return table[table["share"] < below].iloc[::-1].reset_index(drop=True)

    def contributions(self, by: Grouping = "experiment") -> xr.DataArray:
        """The information of each group of readings; with that of the priors they add up to the matrix.

        Args:
            by: "experiment", "subject", "series" (a subject in an experiment), "observable" or "reading".

        Returns:
            Matrices over the dimensions (group, parameter, parameter_2). Where the priors were asked for, the last
            group is "prior".

        Raises:
            ProblemError: readings cannot be grouped so.
        """
        if by not in GROUPINGS:
            raise ProblemError(f"by is {by!r}", where="contributions", expected=f"one of {', '.join(GROUPINGS)}")
        labels = self._labels(by)
        # Labels of readings need not differ (replicates), their places do.
        keys = np.arange(len(labels)) if by == "reading" else labels
        groups = list(dict.fromkeys(keys))
        parts = [self.scoring.information(np.flatnonzero(keys == group)) for group in groups]
        shown = list(labels) if by == "reading" else groups
        if self.prior.any():
            parts, shown = [*parts, np.diag(self.prior)], [*shown, "prior"]
        return xr.DataArray(
            np.stack(parts), dims=("group", "parameter", "parameter_2"), name="information",
            coords={"group": shown, "parameter": list(self.names), "parameter_2": list(self.names)},
            attrs={"by": by},
        )  # fmt: skip

    def _labels(self, by: Grouping) -> np.ndarray:
        table = self.readings
        if by == "series":
            return (table["experiment"] + ", " + table["subject"]).to_numpy(dtype=object)
        if by == "reading":
            of = table["experiment"] + ", " + table["subject"] + ", " + table["observable"]
            return (of + " at " + table["time"].map("{:g}".format)).to_numpy(dtype=object)
        return table[by].to_numpy(dtype=object)

    def table(self) -> pd.DataFrame:
        """One row per parameter.

        Columns: ``value``, ``lower`` and ``upper`` (linear scale; a 95 % interval from the standard error),
        ``standard_error`` (estimation scale), ``if_others_known`` (the standard error if all others were known),
        ``scale``, and ``note``: "not determined", "weak" where the interval is wider than the bounds, or "".
        """
        errors = self.standard_errors
        own = np.diag(self.matrix)
        alone = np.divide(1.0, np.sqrt(own), out=np.full(len(own), np.inf), where=own > 0)
        weak = 2 * _NINETY_FIVE * errors > self.upper - self.lower
        notes = np.where(self.spectrum.undetermined, "not determined", np.where(weak, "weak", ""))
        return pd.DataFrame(
            {
                "value": self._linear(self.theta),
                "lower": self._linear(self.theta - _NINETY_FIVE * errors),
                "upper": self._linear(self.theta + _NINETY_FIVE * errors),
                "standard_error": errors,
                "if_others_known": alone,
                "scale": self.scales,
                "note": notes,
            },
            index=pd.Index(self.names, name="parameter"),
        )

    def _linear(self, theta: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # an interval without an end
            return np.array([linear(value, scale) for value, scale in zip(theta, self.scales, strict=True)])

    def to_dataset(self) -> xr.Dataset:
        """Everything as arrays over the dimensions parameter, direction and combination."""
        pair, names = ("parameter", "parameter_2"), list(self.names)
        return xr.Dataset(
            {
                "information": (pair, self.matrix),
                "covariance": (pair, self.covariance),
                "correlation": (pair, self.correlation),
                "standard_error": ("parameter", self.standard_errors),
                "theta": ("parameter", self.theta),
                "prior_precision": ("parameter", self.prior),
                "undetermined": ("parameter", self.spectrum.undetermined),
                "eigenvalue": ("direction", self.eigenvalues),
                "eigenvector": (("direction", "parameter"), self.eigenvectors),
                "null_direction": (("combination", "parameter"), self.spectrum.null),
            },
            coords={
                "parameter": names,
                "parameter_2": names,
                "scale": ("parameter", list(self.scales)),
                "combination": np.array(self.combinations, dtype=object) if self.combinations else np.array([], str),
            },
            attrs={
                "problem": self.name,
                "readings": len(self.readings),
                "rank": self.rank,
                "rank_tolerance": self.spectrum.tolerance,
                "condition_number": self.condition_number,
            },
        )

    def plot(self, most: int = 20) -> Figure:
        """Draw the spectrum, and the entries of the stiffest and of the sloppiest direction.

        Args:
            most: Most parameters shown per direction, those with the largest entries.

        Returns:
            A figure that belongs to no window: ``figure.savefig("a.png")``.
        """
        from calibration.information.fisher_plot import plot_information

        return plot_information(self, most)

    def __repr__(self) -> str:
        return (
            f"FisherInformation({self.name!r}: {len(self.readings)} readings{' and priors' * bool(self.prior.any())}, "
            f"rank {self.rank} of {len(self.names)}, condition number {self.condition_number:.3g})"
        )

    def __str__(self) -> str:
        sloppy, stiff = self.sloppy_directions(), self.directions().iloc[0]
        lines = [
            f"{len(self.readings)} readings determine {self.rank} of {len(self.names)} directions; "
            f"condition number {self.condition_number:.3g}",
            f"stiffest: {stiff['direction']} (standard error {stiff['standard_error']:.2g})",
        ]
        lines += [f"not determined: {words}" for words in self.combinations]
        table = self.table()
        if weak := list(table.index[table["note"] == "weak"]):
            lines.append(f"hardly determined (interval wider than the bounds): {', '.join(weak)}")
        known = sloppy[np.isfinite(sloppy["standard_error"])]
        listed = known[["direction", "standard_error"]].head(SHOWN).itertuples(index=False)
        lines += [f"sloppy: {words} (standard error {error:.2g})" for words, error in listed]
        if len(known) > SHOWN:
            lines.append(f"and {len(known) - SHOWN} more sloppy directions")
        return "\n".join(lines)


def fisher_information(
    problem: Problem,
    theta: ArrayLike | None = None,
    *,
    with_prior: bool = False,
    rank_tolerance: float | None = None,
) -> FisherInformation:
    """Expected Fisher information of all readings about the estimated numbers, near one vector.

        F = sum_r I_f f_r' f_r'^T + I_s s_r' s_r'^T,

    with predictions f, noise scales s, and the information I of one reading of the noise family about each. It is a
    local statement: the parameters may be better or worse determined elsewhere, which profiles and posteriors tell.

    A reading below its detection limit counts as its probability does, by the curvature of that in the prediction;
    for the noise scale it counts nothing.

    The rank is the number of singular values above `rank_tolerance` times the largest one, where the sensitivities
    (in standard errors of the readings) have been divided by their norm, parameter by parameter, so that units do not
    matter. A parameter whose way from bound to bound would not change the readings by `rank_tolerance` standard errors
    counts as one without influence.

    Args:
        problem: The problem.
        theta: The vector, estimation scale; default the nominal one.
        with_prior: Add the precision of the priors. Without, standardised deviations of subjects with few readings
            are not determined.
        rank_tolerance: See above; default ten times the relative tolerance of the integration.

    Raises:
        ProblemError: a vector of another shape or with entries that are not finite, or a tolerance not within (0, 1).
        SimulationError: a series cannot be integrated at this vector.

    References:
        Lange, K., Little, R. & Taylor, J. (1989). JASA 84, 881-896 (information of Student-t noise).
        Gutenkunst, R. N. et al. (2007). Universally sloppy parameter sensitivities in systems biology models. PLoS
        Computational Biology 3, e189. doi:10.1371/journal.pcbi.0030189

    Example:
        >>> information = calibration.fisher_information(problem, fit.best)
        >>> print(information)
        >>> information.table()
    """
    if not isinstance(problem, Problem):
        found = f"the problem is a {type(problem).__name__}"
        raise ProblemError(found, where="fisher_information", expected="a calibration.Problem")
    at = _vector(problem, theta)
    tolerance = RANK_PER_RTOL * problem.tolerance.rtol if rank_tolerance is None else rank_tolerance
    if not 0 < tolerance < 1:
        found = f"rank_tolerance is {tolerance!r}"
        raise ProblemError(found, where="fisher_information", expected="a number between 0 and 1")
    parts = scoring(problem, at)
    prior = problem.prior.precision if with_prior else np.zeros(len(at))
    rows = np.concatenate([parts.rows, np.diag(np.sqrt(prior))[prior > 0]])
    return FisherInformation(
        name=problem.name,
        names=problem.names,
        scales=_scales(problem),
        theta=at,
        lower=problem.lower,
        upper=problem.upper,
        readings=problem.measurements.table[["experiment", "subject", "observable", "time"]].reset_index(drop=True),
        scoring=parts,
        prior=prior,
        spectrum=spectrum(rows, problem.upper - problem.lower, tolerance),
    )


def _scales(problem: Problem) -> tuple[str, ...]:
    """Estimation scales; spreads and standardised deviations of a parameter on a log scale are themselves linear."""
    return tuple(entry.scale for entry in problem.parameters.entries)


def _vector(problem: Problem, theta: ArrayLike | Sequence[float] | None) -> Float[np.ndarray, " parameter"]:
    try:
        at = np.array(problem.nominal if theta is None else theta, dtype=float)
    except (TypeError, ValueError) as error:
        found = f"theta is {theta!r:.80}"
        raise ProblemError(found, where="fisher_information", expected="one vector of numbers") from error
    if at.shape != (len(problem.names),):
        more = ", ..." if len(problem.names) > 6 else ""
        raise ProblemError(
            f"theta has shape {at.shape}",
            where="fisher_information",
            expected=f"({len(problem.names)},), the entries {', '.join(problem.names[:6])}{more}",
        )
    if not np.isfinite(at).all():
        name = problem.names[int(np.argmin(np.isfinite(at)))]
        raise ProblemError(f"{name!r} is not finite", where="fisher_information", expected="finite numbers")
    return at
