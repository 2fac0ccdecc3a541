"""Subjects (or experiments) as groups: which deviations, readings and typical values belong to each."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from calibration.population.distribution import varying
from calibration.population.marginal import MarginalLikelihood
from twin.errors import ProblemError


class Groups:
    """The groups over which the deviations of a population are independent.

    Args:
        likelihood: The population.

    Attributes:
        names: Parameters that vary.
        series: A series of every group.
        eta: Position in `likelihood.deviations` of each group's deviations.
        of_reading: Group of every reading.

    Raises:
        ProblemError: some parameters vary per subject and others per experiment.
    """

    names: list[str]
    series: Int[np.ndarray, " group"]
    eta: Int[np.ndarray, "group parameter"]
    of_reading: Int[np.ndarray, " reading"]

    def __init__(self, likelihood: MarginalLikelihood) -> None:
        problem = likelihood.problem
        parameters = problem.parameters
        self.likelihood, self.names = likelihood, varying(parameters)
        levels = {estimate.per for estimate in problem.estimates if estimate.name in self.names}
        if len(levels) > 1:
            raise ProblemError(
                "some parameters vary per subject, others per experiment",
                where=problem.name,
                expected="one level for SAEM and importance sampling",
                fix="use method='focei', or calibration.sample",
            )
        position = {name: index for index, name in enumerate(likelihood.deviations)}
        entries = np.stack([parameters.slots[name].eta for name in self.names], axis=1)  # [series, parameter]
        _, self.series, of_series = np.unique(entries[:, 0], return_index=True, return_inverse=True)
        self.eta = np.array([[position[problem.names[e]] for e in entries[s]] for s in self.series])
        place = {key: index for index, key in enumerate(parameters.series)}
        bound = np.array([place[key] for key in problem.bindings.series])
        self.of_reading = of_series[bound][problem.bindings.lane]
        self._member = np.zeros((len(self.of_reading), len(self.series)))
        self._member[np.arange(len(self.of_reading)), self.of_reading] = 1.0

    def log_likelihood(
        self, population: Float[np.ndarray, " parameter"], eta: Float[np.ndarray, "chain group parameter"]
    ) -> Float[np.ndarray, "chain group"]:
        """Log-likelihood of each group's readings; minus infinity where it cannot be integrated."""
        likelihood = self.likelihood
        flat = np.empty((len(eta), len(likelihood.deviations)))
        flat[:, self.eta] = eta
        vectors = likelihood.whole(np.tile(population, (len(eta), 1)), flat)
        each = np.asarray(likelihood.problem.pointwise_many(vectors))
        lost = ~np.isfinite(each)
        return np.where(lost @ self._member > 0, -np.inf, np.where(lost, 0.0, each) @ self._member)

    def centre(self, population: Float[np.ndarray, " parameter"]) -> Float[np.ndarray, "group parameter"]:
        """What is typical of each group, estimation scale."""
        likelihood = self.likelihood
        theta: Array = jnp.asarray(likelihood.whole(population[None], np.zeros((1, len(likelihood.deviations))))).T
        slots = likelihood.problem.parameters.slots
        return np.stack([np.asarray(slots[name].centre(theta, self.series))[:, 0] for name in self.names], axis=1)
