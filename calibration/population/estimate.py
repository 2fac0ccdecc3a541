"""`fit_population`: maximum marginal likelihood with standard errors, individual estimates and shrinkage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import minimize

from calibration.population.distribution import by_group, by_occasion, components
from calibration.population.marginal import MarginalLikelihood, Modes
from calibration.population.virtual import Within, virtual_cohort
from calibration.problem import Problem
from calibration.scales import BASES, linear, slope
from twin.errors import ProblemError, SimulationError
from twin.precision import in_float64
from twin.progress import progress

if TYPE_CHECKING:
    from twin.cohort import Cohort

HESSIAN_STEP = 1e-3
MOST_ITERATIONS = 200
NINETY_FIVE = 1.959963984540054
METHODS = ("focei", "saem")
SETTLED = 0.1
"""SAEM has settled when entries move by less than this share of their standard errors."""
STEEP = 0.1
"""A search that ends where the likelihood still rises this much per unit of the estimation scale is taken up again."""
FIRST_STEP = 0.3
"""Longest first step when it is: between finite bounds L-BFGS-B takes the whole gradient for its first step, may land
in a corner with no likelihood to speak of, and the line search back from there ends where it began."""
LEFT = 1e-3
"""A search has ended at a maximum if a further Newton step promises less than this of the log-likelihood."""
DRAWS_FOR_STARTS = 20
"""Vectors tried for each start: the one with the best marginal likelihood begins."""


@dataclass(frozen=True)
class PopulationFit:
    """The population's numbers at the maximum of the marginal likelihood.

    Args:
        likelihood: The marginal likelihood.
        theta: Estimates on the estimation scale, in the order of ``likelihood.names``.
        nllh: Negative log of the marginal likelihood, best start first.
        covariance: Inverse of its Hessian, estimation scale; NaN for entries on a bound.
        eta: Most probable deviations of the subjects and of their occasions, standard normal scale, in the order of
            ``likelihood.deviations``.
        eta_sd: Their conditional standard deviations.
        converged: Whether the search for the best start ended at a maximum, from where a Newton step within the bounds
            would gain less than 0.001 of the log-likelihood; for SAEM whether no entry moved by a tenth
            of its standard error in the second half of the iterations with falling steps.
        method: "focei" or "saem".
        path: The population's vector after each iteration of SAEM.
    """

    likelihood: MarginalLikelihood
    theta: Float[np.ndarray, " parameter"]
    nllh: Float[np.ndarray, " start"]
    covariance: Float[np.ndarray, "parameter parameter"]
    eta: Float[np.ndarray, " deviation"]
    eta_sd: Float[np.ndarray, " deviation"]
    converged: bool
    method: str = "focei"
    path: Float[np.ndarray, "iteration parameter"] | None = None

    @property
    def objective(self) -> float:
        """Minus twice the log of the marginal likelihood, constants included."""
        return 2.0 * float(self.nllh[0])

    @property
    def vector(self) -> Float[np.ndarray, " entry"]:
        """The problem's whole vector: the population's numbers and the most probable deviations."""
        return self.likelihood.whole(self.theta[None], self.eta[None])[0]

    @cached_property
    def table(self) -> pd.DataFrame:
        """The population's numbers, a row each.

        Returns:
            Columns estimate, se, rse (percent), lower and upper (95 %, from the estimation scale), all on the linear
            scale; cv (percent) of spreads of parameters on logarithmic scales, sqrt(exp(omega^2) - 1).
        """
        entries = {entry.name: entry for entry in self.likelihood.problem.parameters.entries}
        scales = {entry.parameter: entry.scale for entry in entries.values() if entry.role == "value"}
        error, rows = np.sqrt(np.diag(self.covariance)), {}
        for value, se, name in zip(self.theta, error, self.likelihood.names, strict=True):
            entry = entries[name]
            estimate, rate = float(linear(value, entry.scale)), float(slope(value, entry.scale))
            lower, upper = linear(value + NINETY_FIVE * se * np.array([-1.0, 1.0]), entry.scale)
            cv = np.nan
            if entry.role in ("between", "occasions") and (of := scales[entry.parameter]) in BASES:
                cv = 100.0 * np.sqrt(np.expm1((value * np.log(BASES[of])) ** 2))
            rows[name] = {
                "estimate": estimate,
                "se": rate * se,
                "rse": 100.0 * rate * se / abs(estimate) if estimate else np.nan,
                "lower": lower,
                "upper": upper,
                "cv": cv,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    @cached_property
    def components(self) -> pd.DataFrame:
        """Variances, covariances and correlations of the deviations, estimation scale, errors by the delta method.

        Returns:
            Columns kind ("variance", "covariance", "correlation", "variance between occasions"), first, second,
            estimate, se.
        """
        likelihood = self.likelihood
        return components(likelihood.problem.parameters, self.vector, likelihood.positions, self.covariance)

    @cached_property
    def individuals(self) -> pd.DataFrame:
        """Empirical-Bayes estimates on the linear scale: a row per subject or experiment, a column per parameter.

        Where a parameter differs between a subject's occasions too, this is the subject's own value, to which a new
        occasion would add nothing on average; those of its occasions are in `occasions`.
        """
        return by_group(self.likelihood.problem.parameters, self.vector)

    @cached_property
    def occasions(self) -> pd.DataFrame:
        """Empirical-Bayes estimates of the parameters that differ between occasions, on the linear scale.

        Returns:
            A row per subject and experiment, a column per parameter with ``between_occasions``; none without any.
        """
        return by_occasion(self.likelihood.problem.parameters, self.vector, scores=False)

    @property
    def shrinkage(self) -> pd.Series:
        """Share of the spread that the individual estimates lost: 1 - sd(deviation / spread).

        Returns:
            By parameter for the deviations of the subjects, by ``<parameter>_kappa`` for those of their occasions.
        """
        parameters = self.likelihood.problem.parameters
        scores = by_group(parameters, self.vector, lambda slot, v, i: slot.score(v, i)).std(ddof=0)
        own = by_occasion(parameters, self.vector, scores=True).std(ddof=0).add_suffix("_kappa")
        return (1.0 - pd.concat([scores, own])).rename("shrinkage")

    def cohort(
        self,
        size: int,
        seed: int = 0,
        *,
        within: Within = None,
        constraints: Sequence[str] = (),
        covariates: Mapping[str, Any] | None = None,
        occasion: bool = True,
    ) -> Cohort:
        """Virtual subjects from the fitted distribution; the uncertainty of its numbers is left out.

        Args:
            size: Number of subjects.
            seed: Seed of all draws.
            within: Ranges that the parameters of each subject lie in, by name, or "individuals" for those of the
                empirical-Bayes estimates. Others are drawn again: `Cohort.acceptance` is the share that was kept.
            constraints: Further comparisons that each subject fulfils.
            covariates: A distribution, number or formula for every covariate that an effect uses.
            occasion: Whether each subject is met on an occasion, whose deviation is drawn too where parameters differ
                between occasions; otherwise it has its own values, to which occasions add.

        Raises:
            ProblemError: a covariate is not given, a range has no parameter or is in the wrong order, or a parameter
                has no distribution.
            ExperimentError: fewer than one in a thousand candidates lie within the ranges.

        Example:
            >>> cohort = found.cohort(1000, seed=0, within={"CL": (1.0, 6.0)})
            >>> cohort.acceptance
        """
        return virtual_cohort(self, size, seed, within, constraints, covariates, occasion)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return f"PopulationFit({state}, -2 log-likelihood {self.objective:.2f})\n{self.table.to_string()}"

    def _repr_html_(self) -> str:
        from calibration.notebook import population_html  # what shows it draws on this room, not the reverse

        return population_html(self)


@in_float64
def fit_population(
    problem: Problem,
    *,
    method: str = "focei",
    starts: int = 3,
    iterations: tuple[int, int] = (200, 200),
    seed: int = 0,
    quiet: bool = False,
) -> PopulationFit:
    """Maximise the marginal likelihood, the subjects' deviations integrated out; priors do not count.

    Args:
        problem: A problem with parameters that vary between subjects: ``Estimate(..., per="subject", between=Prior(
            "half_normal", scale=...))``.
        method: "focei" (Laplace's approximation of the integral) or "saem" (stochastic approximation EM, which does not
            approximate it; from the nominal vector). `nllh` and the standard errors are those of Laplace's
            approximation at the estimate in both; `importance_sampling` gives the likelihood itself.
        starts: Searches of "focei"; the first begins at the nominal vector, the others at the best of some vectors
            around it.
        iterations: Iterations of "saem" with steps of 1, and with falling steps.
        seed: Seed of the starts, or of all draws of "saem".
        quiet: Show no progress.

    Raises:
        ProblemError: nothing varies between subjects, or the method does not exist.
        SimulationError: no start can be integrated.

    Example:
        >>> found = calibration.population.fit_population(problem)
        >>> found.table, found.individuals, found.shrinkage
    """
    if method not in METHODS:
        raise ProblemError(f"the method is {method!r}", where="fit_population", expected=", ".join(METHODS))
    likelihood = MarginalLikelihood(problem)
    if method == "saem":
        return _by_saem(likelihood, iterations, seed)
    rng = np.random.default_rng([seed, 11])
    ends = []
    with progress(f"population of {problem.name}", starts, quiet) as line:
        for index in range(starts):
            line.update(index, "" if not ends else f"-2 log-likelihood {2 * min(e[0] for e in ends):.2f}")
            begin = likelihood.nominal if index == 0 else _good_vector(likelihood, rng)
            if (found := _search(likelihood, begin)) is not None:
                ends.append(found)
    if not ends:
        raise SimulationError(
            f"none of {starts} starts could be integrated",
            where=problem.name,
            fix="give nominal values near the truth, or raise max_steps",
        )
    ends.sort(key=lambda end: end[0])
    _, theta, modes, gradient, converged = ends[0]
    covariance = _covariance(likelihood, theta, modes)
    free = np.isfinite(np.diag(covariance))
    if free.any():
        # L-BFGS-B gives up where rounding in the gradient is all that is left, or ends for want of progress.
        left = 0.5 * gradient[free] @ covariance[np.ix_(free, free)] @ gradient[free]
        converged = bool(modes.found[0] and left < LEFT)
    sd = likelihood.conditional_sd(modes)
    nllh = np.array([end[0] for end in ends])
    return PopulationFit(likelihood, theta, nllh, covariance, modes.eta[0], sd, converged)


def _by_saem(likelihood: MarginalLikelihood, iterations: tuple[int, int], seed: int) -> PopulationFit:
    from calibration.population.saem import Saem

    burn, smooth = iterations
    if not (burn >= 10 and smooth >= 10):
        raise ProblemError(f"the iterations are {iterations}", where="saem", expected="at least 10 of both kinds")
    path = Saem(likelihood, seed).run(likelihood.nominal, burn, smooth)
    theta = path[-1]
    modes = likelihood.modes(theta[None], np.zeros((1, len(likelihood.deviations))))
    covariance = _covariance(likelihood, theta, modes)
    error = np.sqrt(np.diag(covariance))
    moved = np.ptp(path[burn + smooth // 2 :], axis=0)
    settled = bool((moved[np.isfinite(error)] < SETTLED * error[np.isfinite(error)]).all())
    sd = likelihood.conditional_sd(modes)
    converged = settled and bool(modes.found[0])
    return PopulationFit(likelihood, theta, modes.marginal, covariance, modes.eta[0], sd, converged, "saem", path)


def _search(
    likelihood: MarginalLikelihood, begin: np.ndarray
) -> tuple[float, np.ndarray, Modes, np.ndarray, bool] | None:
    """L-BFGS within the bounds; every evaluation begins its inner search where the best one so far ended."""
    best: list = [np.inf, None, np.zeros(len(likelihood.deviations))]

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient, modes = likelihood.value_and_gradient(theta, best[2])
        if value < best[0]:
            best[:] = [value, modes, modes.eta[0]]
        return value / unit, gradient / unit

    unit = 1.0
    value, gradient = value_and_gradient(begin)
    if not np.isfinite(value):
        return None
    bounds = list(zip(likelihood.lower, likelihood.upper, strict=True))
    at = begin
    for scaled in (False, True):
        unit = max(1.0, float(np.abs(gradient).max()) / FIRST_STEP) if scaled else 1.0
        options = {"maxiter": MOST_ITERATIONS, "ftol": 1e-12, "gtol": 1e-4 / unit}
        end = minimize(value_and_gradient, at, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        at, gradient = end.x, end.jac * unit
        inside = np.clip(at - gradient, likelihood.lower, likelihood.upper)
        if np.abs(inside - at).max() < STEEP:
            break
    _, gradient, modes = likelihood.value_and_gradient(end.x, best[2])
    return float(modes.marginal[0]), end.x, modes, gradient, bool(end.success and modes.found[0])


def _good_vector(likelihood: MarginalLikelihood, rng: np.random.Generator) -> np.ndarray:
    """The best of some vectors: uniform within a tenth of the bounds' width around the nominal vector."""
    width = 0.1 * (likelihood.upper - likelihood.lower)
    tried = likelihood.nominal + width * rng.uniform(-1.0, 1.0, (DRAWS_FOR_STARTS, len(width)))
    tried = np.clip(tried, likelihood.lower, likelihood.upper)
    modes = likelihood.modes(tried, np.zeros((len(tried), len(likelihood.deviations))))
    return tried[int(np.argmin(np.where(np.isfinite(modes.marginal), modes.marginal, np.inf)))]


def _covariance(likelihood: MarginalLikelihood, theta: np.ndarray, modes: Modes) -> np.ndarray:
    """Inverse Hessian, by central differences of the gradient; entries on a bound are left out, and have NaN."""
    width = likelihood.upper - likelihood.lower
    free = np.flatnonzero((theta - likelihood.lower > 1e-6 * width) & (likelihood.upper - theta > 1e-6 * width))
    rows = []
    for index in free:
        step = HESSIAN_STEP * np.eye(len(theta))[index]
        ends = [likelihood.value_and_gradient(theta + sign * step, modes.eta[0])[1] for sign in (1.0, -1.0)]
        rows.append((ends[0] - ends[1])[free] / (2 * HESSIAN_STEP))
    hessian = 0.5 * (np.array(rows) + np.array(rows).T)
    covariance = np.full((len(theta), len(theta)), np.nan)
    values = np.linalg.eigvalsh(hessian) if len(free) else np.array([])
    if len(free) and values.min() > 1e-10 * values.max():
        covariance[np.ix_(free, free)] = np.linalg.inv(hessian)
    return covariance
