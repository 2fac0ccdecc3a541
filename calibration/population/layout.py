"""Subjects (or experiments) as groups: which deviations, occasions, readings and typical values belong to each."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from calibration.population.distribution import occasional, varying
from calibration.population.marginal import MarginalLikelihood
from twin.errors import ProblemError


class Deviations(NamedTuple):
    """Standardised deviations of all groups in several chains.

    Args:
        eta: Those of the groups.
        kappa: Those of their occasions; numbers without meaning where a group has fewer.
    """

    eta: Float[np.ndarray, "chain group parameter"]
    kappa: Float[np.ndarray, "chain group occasion occasional"]


class Groups:
    """The groups over which the deviations of a population are independent.

    Args:
        likelihood: The population.

    Attributes:
        names: Parameters that vary.
        occasional: Where in `names` those stand that vary between a group's occasions, too.
        series: A series of every group.
        eta: Position in `likelihood.deviations` of each group's deviations.
        kappa: Position there of those of its occasions; the length of `likelihood.deviations` where it has fewer.
        has: Which occasions each group has.

    Raises:
        ProblemError: some parameters vary per subject and others per experiment.
    """

    names: list[str]
    occasional: list[int]
    series: Int[np.ndarray, " group"]
    eta: Int[np.ndarray, "group parameter"]
    kappa: Int[np.ndarray, "group occasion occasional"]
    has: Bool[np.ndarray, "group occasion"]

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
        self._place_occasions(of_series, position)
        place = {key: index for index, key in enumerate(parameters.series)}
        bound = np.array([place[key] for key in problem.bindings.series])[problem.bindings.lane]
        # Readings of every occasion of every group.
        self._member = np.zeros((len(bound), *self.has.shape))
        self._member[np.arange(len(bound)), of_series[bound], self._occasion[bound]] = 1.0

    def _place_occasions(self, of_series: np.ndarray, position: dict[str, int]) -> None:
        parameters = self.likelihood.problem.parameters
        own = occasional(parameters)
        self.occasional = [self.names.index(name) for name in own]
        self._occasion = np.zeros(len(of_series), dtype=int)
        if own:
            for group in range(len(self.series)):
                members = np.flatnonzero(of_series == group)
                self._occasion[members] = np.arange(len(members))
        most = int(self._occasion.max()) + 1
        self.has = np.zeros((len(self.series), most), dtype=bool)
        self.has[of_series, self._occasion] = True
        self.kappa = np.full((len(self.series), most, len(own)), len(position))
        for k, name in enumerate(own):
            slot = parameters.slots[name]
            self.kappa[of_series, self._occasion, k] = [position[parameters.names[e]] for e in slot.kappa]  # type: ignore[union-attr]  # of `occasional`

    def flat(self, of: Deviations) -> Float[np.ndarray, "chain deviation"]:
        """The deviations as `likelihood.deviations` has them."""
        size = len(self.likelihood.deviations)
        flat = np.empty((len(of.eta), size + 1))  # the last place takes those of occasions that are none
        flat[:, self.eta], flat[:, self.kappa] = of
        return flat[:, :size]

    def at(self, flat: Float[np.ndarray, "chain deviation"]) -> Deviations:
        """The deviations of the groups; 0 for occasions that are none."""
        padded = np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)
        return Deviations(padded[:, self.eta], padded[:, self.kappa])

    def log_likelihood(
        self, population: Float[np.ndarray, " parameter"], of: Deviations
    ) -> Float[np.ndarray, "chain group occasion"]:
        """Log-likelihood of the readings of each group's occasions; minus infinity where one cannot be integrated.

        Without parameters that vary between occasions all readings of a group count as one occasion.
        """
        vectors = self.likelihood.whole(np.tile(population, (len(of.eta), 1)), self.flat(of))
        each = np.asarray(self.likelihood.problem.pointwise_many(vectors))
        lost = ~np.isfinite(each)
        total = np.tensordot(np.where(lost, 0.0, each), self._member, axes=1)
        return np.where(np.tensordot(lost, self._member, axes=1) > 0, -np.inf, total)

    def centre(self, population: Float[np.ndarray, " parameter"]) -> Float[np.ndarray, "group parameter"]:
        """What is typical of each group, estimation scale."""
        likelihood = self.likelihood
        theta: Array = jnp.asarray(likelihood.whole(population[None], np.zeros((1, len(likelihood.deviations))))).T
        slots = likelihood.problem.parameters.slots
        return np.stack([np.asarray(slots[name].centre(theta, self.series))[:, 0] for name in self.names], axis=1)
