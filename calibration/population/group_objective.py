"""The likelihood of a population with the derivatives of its groups: many subjects take no more directions than one.

The readings of a subject depend on the population's numbers and on its own deviations only. So one direction serves the
j-th deviation of all subjects at once (Curtis, Powell & Reid 1974), and the Hessian in the deviations is one small
matrix per subject. Groups are found from the series: deviations that meet in one are in the same group. Where
parameters vary per subject and others per experiment, that may be all of them.

References:
    Curtis, Powell & Reid (1974), doi:10.1093/imamat/13.1.117.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from calibration.compiled import kept_program
from calibration.optimise.objective import MEMORY_FOR_TANGENTS, in_chunks, reading_weights, vectors_per_chunk
from calibration.problem import Problem
from twin.solve import numbers_per_sample


class Derivatives(NamedTuple):
    """Negative log-likelihoods of many vectors and their derivatives; without the deviations' own density.

    Args:
        nllh: Negative log-likelihood; infinite where the integration failed, and then the derivatives mean nothing.
        slope: Its gradient in the population's numbers.
        information: Its expected Hessian in them.
        gradient: Its gradient in the deviations of each group; 0 where a group has fewer.
        curvature: Its expected Hessian in them.
    """

    nllh: Float[np.ndarray, " vector"]
    slope: Float[np.ndarray, "vector parameter"]
    information: Float[np.ndarray, "vector parameter parameter"]
    gradient: Float[np.ndarray, "vector group own"]
    curvature: Float[np.ndarray, "vector group own own"]


class GroupObjective:
    """Negative log-likelihood of a problem with deviations.

    Args:
        problem: The problem.

    Attributes:
        population: Positions in the problem's vector of what is no deviation.
        deviations: Positions there of the deviations.
        place: Positions in `deviations` of each group's; the number of deviations where a group has fewer.
    """

    population: Int[np.ndarray, " parameter"]
    deviations: Int[np.ndarray, " deviation"]
    place: Int[np.ndarray, "group own"]

    def __init__(self, problem: Problem) -> None:
        deviates = np.array([entry.is_deviation for entry in problem.parameters.entries])
        self.problem = problem
        self.population, self.deviations = np.flatnonzero(~deviates), np.flatnonzero(deviates)
        of_series, of_deviation = _groups(problem, self.deviations)
        members = [np.flatnonzero(of_deviation == group) for group in range(of_deviation.max() + 1)]
        self.place = np.full((len(members), max(map(len, members))), len(self.deviations))
        for group, own in enumerate(members):
            self.place[group, : len(own)] = own
        self._seeds = self._directions()
        position = {key: index for index, key in enumerate(problem.parameters.series)}
        bound = np.array([position[key] for key in problem.bindings.series])
        of_reading = of_series[bound][problem.bindings.lane]
        self._readings = np.full((len(members), max(1, int(np.bincount(of_reading).max()))), len(of_reading))
        for group in range(len(members)):
            own = np.flatnonzero(of_reading == group)
            self._readings[group, : len(own)] = own
        self._compiled = kept_program(problem, "population objective", lambda: self._evaluate)

    @property
    def filled(self) -> Bool[np.ndarray, "group own"]:
        """Which places hold a deviation."""
        return self.place < len(self.deviations)

    def by_group(self, deviations: Float[np.ndarray, "vector deviation"]) -> Float[np.ndarray, "vector group own"]:
        """Numbers of the deviations by group; 0 where a group has fewer."""
        return np.concatenate([deviations, np.zeros((len(deviations), 1))], axis=1)[:, self.place]

    def flat(self, of_groups: Float[np.ndarray, "vector group own"]) -> Float[np.ndarray, "vector deviation"]:
        """The same in the order of `deviations`."""
        result = np.empty((len(of_groups), len(self.deviations)))
        result[:, self.place[self.filled]] = of_groups[:, self.filled]
        return result

    def __call__(self, vectors: Float[np.ndarray, "vector entry"]) -> Derivatives:
        """Evaluate many vectors; the caller is inside the float64 context."""
        problem = self.problem
        table, count = problem.bindings, len(problem.parameters.slots)
        samples = (len(table.times) + 1) * len(table.series)
        bytes_each = 8 * numbers_per_sample(table.system) * samples * (1 + count)
        size = max(1, min(vectors_per_chunk(count), MEMORY_FOR_TANGENTS // bytes_each))
        return Derivatives(*in_chunks(self._compiled, vectors, size))

    def _directions(self) -> Float[np.ndarray, "direction entry"]:
        """One for each of the population's numbers, one for the j-th deviation of all groups."""
        seeds = np.zeros((len(self.population) + self.place.shape[1], len(self.problem.names)))
        seeds[np.arange(len(self.population)), self.population] = 1.0
        for own in range(self.place.shape[1]):
            at = self.place[self.filled[:, own], own]
            seeds[len(self.population) + own, self.deviations[at]] = 1.0
        return seeds

    def _evaluate(self, vectors: Float[Array, "vector entry"]) -> Derivatives:
        problem, count = self.problem, len(self.population)
        (value, scale, ok), d_value, d_scale = problem.predictor.linearise(vectors, jnp.asarray(self._seeds))
        by_value, by_scale, info_value, info_scale, log_likelihood = reading_weights(problem, value, scale, ok)
        good = jnp.all(ok, axis=1) & jnp.isfinite(log_likelihood)
        d_value, d_scale = (jnp.where(ok[..., None], x, 0.0) for x in (d_value, d_scale))
        of_population = [x[..., :count] for x in (d_value, d_scale)]
        slope = -sum(
            jnp.einsum("vr,vrp->vp", weight, d) for weight, d in zip((by_value, by_scale), of_population, strict=True)
        )
        information = sum(
            jnp.einsum("vr,vrp,vrq->vpq", weight, d, d)
            for weight, d in zip((info_value, info_scale), of_population, strict=True)
        )

        def grouped(x: Array) -> Array:
            """Readings by group; 0 where a group has fewer."""
            padded = jnp.concatenate([x, jnp.zeros((len(x), 1, *x.shape[2:]))], axis=1)
            return padded[:, self._readings]

        of_groups = [grouped(x[..., count:]) for x in (d_value, d_scale)]
        gradient = -sum(
            jnp.einsum("vgr,vgrm->vgm", grouped(weight), d)
            for weight, d in zip((by_value, by_scale), of_groups, strict=True)
        )
        curvature = sum(
            jnp.einsum("vgr,vgrm,vgrn->vgmn", grouped(weight), d, d)
            for weight, d in zip((info_value, info_scale), of_groups, strict=True)
        )
        # States that run away can be finite where their sensitivities are not.
        for each in (slope, information, gradient, curvature):
            good &= jnp.all(jnp.isfinite(each), axis=tuple(range(1, each.ndim)))  # type: ignore[union-attr,arg-type]
        return Derivatives(jnp.where(good, -log_likelihood, jnp.inf), slope, information, gradient, curvature)  # type: ignore[arg-type]


def _groups(
    problem: Problem, deviations: Int[np.ndarray, " deviation"]
) -> tuple[Int[np.ndarray, " series"], Int[np.ndarray, " deviation"]]:
    """The group of every series and of every deviation: those connected by series."""
    parameters = problem.parameters
    of_entry = {int(entry): index for index, entry in enumerate(deviations)}
    pairs = [
        (series, of_entry[entry])
        for series in range(len(parameters.series))
        for slot in parameters.slots.values()
        if slot.eta is not None
        for entry in slot.entries([series])
        if entry in of_entry
    ]
    rows, columns = np.array(pairs).T
    total = len(parameters.series) + len(deviations)
    graph = coo_array((np.ones(len(rows)), (rows, len(parameters.series) + columns)), shape=(total, total))
    _, group = connected_components(graph, directed=False)
    return group[: len(parameters.series)], group[len(parameters.series) :]
