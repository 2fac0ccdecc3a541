"""The likelihood of the population's numbers, the subjects' deviations integrated out by Laplace's approximation.

With the deviations eta standard normal, the integral of exp(-J) over them, J = nllh + |eta|^2 / 2, is approximated at
its mode by exp(-J) det(H)^(-1/2), where H is the expected Hessian of J (first-order conditional estimation with
interaction, FOCEI, in the terms of pharmacometrics; exact for models that are linear in eta with constant noise).

References:
    Lindstrom & Bates (1990), doi:10.2307/2532087; Wang (2007), doi:10.1007/s10928-007-9060-6.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.population.group_objective import GroupObjective
from calibration.problem import Problem
from twin.errors import ProblemError

DECREMENT = 1e-10
"""Modes are found when a further Newton step promises less than this."""
MOST_ITERATIONS = 60
SHORTEST = 1e-6
"""Steps are cut down to this share before a mode counts as not found."""
STEP = 1e-4
"""Step of the differences of log det H, on the estimation scale."""


class Modes(NamedTuple):
    """The most probable deviations for some vectors of the population.

    Args:
        eta: The deviations.
        value: Negative log-likelihood with the deviations' density, J; infinite where none could be integrated.
        slope: Derivatives of J in the population's numbers.
        gradient: Derivatives of J in the deviations, by group; 0 where a group has fewer than others.
        half_log_det: Half the logarithm of det H.
        curvature: H, whose blocks belong to the groups; the unit matrix where a group has fewer.
        found: Whether Newton's steps came to an end.
    """

    eta: Float[np.ndarray, "vector deviation"]
    value: Float[np.ndarray, " vector"]
    slope: Float[np.ndarray, "vector parameter"]
    gradient: Float[np.ndarray, "vector group own"]
    half_log_det: Float[np.ndarray, " vector"]
    curvature: Float[np.ndarray, "vector group own own"]
    found: Bool[np.ndarray, " vector"]

    @property
    def marginal(self) -> Float[np.ndarray, " vector"]:
        """Negative log of the marginal likelihood."""
        return self.value + self.half_log_det


class MarginalLikelihood:
    """Marginal likelihood of a problem whose parameters vary between subjects.

    Args:
        problem: A problem with at least one estimate that has a spread (``between``); its deviations are those of the
            subjects and, with ``between_occasions``, of their occasions.

    Attributes:
        names: Entries of the population's vector: typical values, spreads, shared parameters, noise.
        lower: Their lower bounds, estimation scale.
        upper: Their upper bounds, estimation scale.
        nominal: Their reference values, estimation scale.
        deviations: Names of the deviations.
        objective: The likelihood with its derivatives, by groups of deviations that have nothing to do with others.

    Raises:
        ProblemError: nothing varies between subjects.
    """

    def __init__(self, problem: Problem) -> None:
        deviates = np.array([entry.is_deviation for entry in problem.parameters.entries])
        if not deviates.any():
            raise ProblemError(
                "no parameter varies around a typical value",
                where=problem.name,
                expected="an Estimate with per='subject' and between=",
            )
        self.problem, self.objective = problem, GroupObjective(problem)
        self._of_eta, self._of_population = self.objective.deviations, self.objective.population
        self.names = tuple(problem.names[index] for index in self._of_population)
        self.deviations = tuple(problem.names[index] for index in self._of_eta)
        self.lower, self.upper = problem.lower[self._of_population], problem.upper[self._of_population]
        self.nominal = problem.nominal[self._of_population]

    @property
    def positions(self) -> Int[np.ndarray, " parameter"]:
        """Where the population's entries stand in the problem's vector."""
        return self._of_population

    def whole(
        self, population: Float[np.ndarray, "vector parameter"], eta: Float[np.ndarray, "vector deviation"]
    ) -> Float[np.ndarray, "vector entry"]:
        """The problem's vectors."""
        vectors = np.empty((len(population), len(self.problem.names)))
        vectors[:, self._of_population], vectors[:, self._of_eta] = population, eta
        return vectors

    def modes(
        self, population: Float[np.ndarray, "vector parameter"], eta: Float[np.ndarray, "vector deviation"]
    ) -> Modes:
        """The most probable deviations, by Newton's steps from `eta` with the expected Hessian, all vectors together.

        The caller is inside the float64 context.
        """
        now = self._at(population, eta)
        step, promise = self._newton(now)
        share = np.ones(len(eta))
        active = np.isfinite(now.value) & (promise > DECREMENT)
        for _ in range(MOST_ITERATIONS):
            if not active.any():
                break
            rows = np.flatnonzero(active)
            tried = self._at(population[rows], now.eta[rows] + share[rows, None] * step[rows])
            # Rounding may hide the last of the gain.
            better = tried.value <= now.value[rows] + 1e-12 * np.abs(now.value[rows])
            now = Modes(*(_put(old, rows[better], new[better]) for old, new in zip(now, tried, strict=True)))
            share[rows] = np.where(better, np.minimum(4.0 * share[rows], 1.0), 0.25 * share[rows])
            step, promise = self._newton(now)
            active = np.isfinite(now.value) & (promise > DECREMENT) & (share > SHORTEST)
        return now._replace(found=np.isfinite(now.value) & (promise <= 1e-6))

    def conditional_sd(self, modes: Modes) -> Float[np.ndarray, " deviation"]:
        """Standard deviations of the deviations given the readings, of the first vector."""
        covariance = np.linalg.inv(modes.curvature[0])
        return self.objective.flat(np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))[None])[0]

    def _at(self, population: np.ndarray, eta: np.ndarray) -> Modes:
        objective = self.objective
        found = objective(self.whole(population, eta))
        good = np.isfinite(found.nllh)
        curvature = np.where(good[:, None, None, None], found.curvature, 0.0) + np.eye(objective.place.shape[1])
        return Modes(
            eta=np.array(eta, dtype=float),
            value=np.where(good, found.nllh + 0.5 * np.sum(eta**2, axis=1), np.inf),
            slope=np.where(good[:, None], found.slope, 0.0),
            gradient=np.where(good[:, None, None], found.gradient, 0.0) + objective.by_group(eta),
            half_log_det=0.5 * np.linalg.slogdet(curvature)[1].sum(axis=1),
            curvature=curvature,
            found=good,
        )

    def _newton(self, now: Modes) -> tuple[np.ndarray, np.ndarray]:
        """Newton's step in the deviations and the gain that it promises."""
        step = -np.linalg.solve(now.curvature, now.gradient[..., None])[..., 0]
        return self.objective.flat(step), -0.5 * np.sum(now.gradient * step, axis=(1, 2))

    def value_and_gradient(
        self, population: Float[np.ndarray, " parameter"], eta: Float[np.ndarray, " deviation"]
    ) -> tuple[float, Float[np.ndarray, " parameter"], Modes]:
        """Negative log of the marginal likelihood and its gradient.

        At the mode J has no slope in eta, so its derivative is the partial one; that of log det H is taken by central
        differences along the path of the mode.

        Args:
            population: The population's vector.
            eta: Where the search for the deviations begins.

        Returns:
            Value and gradient, infinite and zero where the integration fails, and the mode.
        """
        size = len(population)
        here = self.modes(population[None], eta[None])
        if not np.isfinite(here.value[0]):
            return np.inf, np.zeros(size), here
        moved = population + STEP * np.concatenate([np.eye(size), -np.eye(size)])
        around = self.modes(moved, np.repeat(here.eta, 2 * size, axis=0))
        above, below = np.split(around.half_log_det, 2)
        usable = np.isfinite(around.value[:size]) & np.isfinite(around.value[size:])
        of_volume = np.where(usable, (above - below) / (2 * STEP), 0.0)
        return float(here.marginal[0]), here.slope[0] + of_volume, here


def _put(old: np.ndarray, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    old = old.copy()
    old[rows] = new
    return old
