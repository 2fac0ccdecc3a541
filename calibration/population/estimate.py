"""`fit_population`: maximum marginal likelihood with standard errors, individual estimates and shrinkage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import minimize

from calibration.population.marginal import MarginalLikelihood, Modes
from calibration.problem import Problem
from twin.errors import SimulationError
from twin.precision import in_float64
from twin.progress import progress

HESSIAN_STEP = 1e-3
MOST_ITERATIONS = 200
NINETY_FIVE = 1.959963984540054
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
        eta: Most probable deviations of the subjects, standard normal scale.
        eta_sd: Their conditional standard deviations.
        converged: Whether the search for the best start ended at a maximum.
    """

    likelihood: MarginalLikelihood
    theta: Float[np.ndarray, " parameter"]
    nllh: Float[np.ndarray, " start"]
    covariance: Float[np.ndarray, "parameter parameter"]
    eta: Float[np.ndarray, " deviation"]
    eta_sd: Float[np.ndarray, " deviation"]
    converged: bool

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
            base = {"lin": None, "log": np.e, "log10": 10.0}[entry.scale]
            ends = value + NINETY_FIVE * se * np.array([-1.0, 1.0])
            estimate = value if base is None else base**value
            slope = 1.0 if base is None else estimate * np.log(base)
            cv = np.nan
            if entry.role == "between" and (of := scales[entry.parameter]) != "lin":
                omega = value * (1.0 if of == "log" else np.log(10.0))
                cv = 100.0 * np.sqrt(np.expm1(omega**2))
            lower, upper = ends if base is None else base**ends
            rows[name] = {
                "estimate": estimate,
                "se": slope * se,
                "rse": 100.0 * slope * se / abs(estimate) if estimate else np.nan,
                "lower": lower,
                "upper": upper,
                "cv": cv,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    @cached_property
    def individuals(self) -> pd.DataFrame:
        """Empirical-Bayes estimates on the linear scale: a row per subject or experiment, a column per parameter."""
        return pd.DataFrame(self._by_group(self.vector))

    @property
    def shrinkage(self) -> pd.Series:
        """Share of the spread that the individual estimates lost: 1 - sd(eta), by parameter."""
        entries = {entry.name: entry for entry in self.likelihood.problem.parameters.entries}
        of = [entries[name].parameter for name in self.likelihood.deviations]
        grouped = pd.Series(self.eta).groupby(of, sort=False)
        return 1.0 - grouped.std(ddof=0).rename("shrinkage")

    def _by_group(self, vector: np.ndarray) -> dict[str, dict[str, float]]:
        problem, found = self.likelihood.problem, {}
        position = {name: index for index, name in enumerate(problem.names)}
        for entry in problem.parameters.entries:
            if entry.role != "eta":
                continue
            slot = problem.parameters.slots[entry.parameter]
            base = {"lin": None, "log": np.e, "log10": 10.0}[slot.scale]
            index = position[entry.name]
            lane = int(np.flatnonzero(slot.eta == index)[0])
            spread = vector[slot.between] if slot.between_is_estimated else slot.between
            value = vector[slot.value[lane]] + spread * vector[index]
            group = entry.name[len(entry.parameter) + len("_eta[") : -1]
            found.setdefault(entry.parameter, {})[group] = float(value if base is None else base**value)
        return found

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return f"PopulationFit({state}, -2 log-likelihood {self.objective:.2f})\n{self.table.to_string()}"


@in_float64
def fit_population(problem: Problem, *, starts: int = 3, seed: int = 0, quiet: bool = False) -> PopulationFit:
    """Maximise the marginal likelihood, the subjects' deviations integrated out (FOCEI); priors do not count.

    Args:
        problem: A problem with parameters that vary between subjects: ``Estimate(..., per="subject", between=Prior(
            "half_normal", scale=...))``.
        starts: Searches; the first begins at the nominal vector, the others at the best of some vectors around it.
        seed: Seed of the starts.
        quiet: Show no progress.

    Raises:
        ProblemError: nothing varies between subjects.
        SimulationError: no start can be integrated.

    Example:
        >>> found = calibration.population.fit_population(problem)
        >>> found.table, found.individuals, found.shrinkage
    """
    likelihood = MarginalLikelihood(problem)
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
    _, theta, modes, converged = ends[0]
    covariance = _covariance(likelihood, theta, modes)
    sd = np.sqrt(np.diag(np.linalg.inv(modes.curvature[0])))
    return PopulationFit(likelihood, theta, np.array([end[0] for end in ends]), covariance, modes.eta[0], sd, converged)


def _search(likelihood: MarginalLikelihood, begin: np.ndarray) -> tuple[float, np.ndarray, Modes, bool] | None:
    """L-BFGS within the bounds; every evaluation begins its inner search where the best one so far ended."""
    best: list = [np.inf, None, np.zeros(len(likelihood.deviations))]

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient, modes = likelihood.value_and_gradient(theta, best[2])
        if value < best[0]:
            best[:] = [value, modes, modes.eta[0]]
        return value, gradient

    if not np.isfinite(value_and_gradient(begin)[0]):
        return None
    end = minimize(
        value_and_gradient,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(likelihood.lower, likelihood.upper, strict=True)),
        options={"maxiter": MOST_ITERATIONS, "ftol": 1e-12, "gtol": 1e-4},
    )
    _, _, modes = likelihood.value_and_gradient(end.x, best[2])
    return float(modes.marginal[0]), end.x, modes, bool(end.success and modes.found[0])


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
