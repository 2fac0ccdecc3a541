"""The objective of a fit with scalings, offsets and noise scales at their best: a function of the other parameters.

For outer parameters o and inner ones i the reduced objective is min over i of J(o, i). At the minimum its gradient is
dJ/do (the envelope theorem), and its curvature the Schur complement H_oo - H_oi H_ii^-1 H_io; inner parameters on a
bound do not move and are left out of it. One integration with sensitivities serves all inner values, because nothing
that is integrated depends on them.

References:
    Loos, Krause & Hasenauer, Bioinformatics 34:4266-4273 (2018), doi:10.1093/bioinformatics/bty514.
    Schmiester et al., Bioinformatics 36:594-602 (2020), doi:10.1093/bioinformatics/btz581.
    Golub & Pereyra, SIAM J. Numer. Anal. 10:413-432 (1973), on separable least squares.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.compiled import kept_program
from calibration.inner.solve import InnerSolver
from calibration.inner.structure import find_structure
from calibration.inner.table import refuse_without_inner
from calibration.inner.trajectories import Solved, TrajectoryPredictor
from calibration.optimise.objective import (
    LARGEST_CHUNK,
    MEMORY_FOR_TANGENTS,
    Evaluation,
    Look,
    in_chunks,
    reading_weights,
    without_readings,
)
from calibration.priors import PriorDensity
from calibration.problem import Problem
from twin.precision import in_float64
from twin.solve import numbers_per_sample

RIDGE = 1e-6
"""Part of H_oo's diagonal that is added to the complement. Where an inner entry can make up for an outer one (the gain
of an instrument for the amount that it reads) nothing is left of the curvature but integration error, and steps scaled
by that go astray: Fujita's fit then stops at -41 and -28 instead of -53. The minimum does not depend on it."""


class InnerObjective:
    """Negative log-posterior of the outer entries, minimised over the inner ones.

    Args:
        problem: The problem.

    Attributes:
        names: Outer entries.
        lower: Their lower bounds, estimation scale.
        upper: Their upper bounds.
        prior: Their priors.

    Raises:
        ProblemError: nothing can be optimised inside; the message says why.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.structure = problem, find_structure(problem)
        refuse_without_inner(problem, self.structure)
        entries = problem.parameters.entries
        self.inner = np.array([entry.index for entry in self.structure.entries])
        self.outer = np.setdiff1d(np.arange(len(entries)), self.inner)
        self.names = tuple(problem.names[index] for index in self.outer)
        self.lower, self.upper = problem.lower[self.outer], problem.upper[self.outer]
        chosen = [entries[index] for index in self.outer]
        self.prior = PriorDensity([e.prior for e in chosen], self.lower, self.upper, [e.scale for e in chosen])
        self._predictor = TrajectoryPredictor(problem, self.inner)
        self._solver = InnerSolver(problem, self.structure, self._predictor)
        self._compiled = kept_program(problem, "inner objective", lambda: self._evaluate)
        self._looked = kept_program(problem, "look of the inner objective", lambda: self._look)

    def chunk_size(self) -> int:
        """How many vectors one compiled call takes: always the same, so that it is compiled once."""
        table = self.problem.bindings
        samples = (len(table.times) + 1) * len(table.series)
        numbers = numbers_per_sample(table.system) * samples
        numbers += (len(table.system.states) + len(table.system.parameters)) * len(table.value)
        bytes_each = 8 * numbers * (1 + self._predictor.directions)
        return max(1, min(LARGEST_CHUNK, MEMORY_FOR_TANGENTS // bytes_each))

    @in_float64
    def __call__(self, thetas: Float[np.ndarray, "start outer"]) -> Evaluation:
        """Reduced objective with gradient and expected curvature of many vectors."""
        return Evaluation(*in_chunks(self._compiled, thetas, self.chunk_size())[1:])

    @in_float64
    def look(self, thetas: Float[np.ndarray, "start outer"]) -> Look:
        """Reduced objective of many vectors without derivatives."""
        return Look(*in_chunks(self._looked, thetas, self.chunk_size()))

    @in_float64
    def complete(self, thetas: Float[np.ndarray, "start outer"]) -> Float[np.ndarray, "start parameter"]:
        """Whole vectors: the given entries and the best inner ones; nominal inner ones where the integration fails."""
        return in_chunks(self._compiled, thetas, self.chunk_size())[0]

    def _evaluate(self, outer: Float[Array, "start outer"]) -> tuple[Array, ...]:
        whole = self._whole(outer)
        solved = self._predictor.solve(whole)
        thetas, on_kink = self._with_best(solved, whole)
        return thetas, *self._reduced(solved, thetas, on_kink)

    def _look(self, outer: Float[Array, "start outer"]) -> Look:
        problem, whole = self.problem, self._whole(outer)
        solved = self._predictor.solve(whole, sensitivities=False)
        thetas, _ = self._with_best(solved, whole)
        prediction = self._predictor.predicted(solved, thetas)
        log_likelihood = jnp.sum(problem.pointwise(prediction), axis=1)
        good = jnp.all(prediction.ok, axis=1) & jnp.isfinite(log_likelihood)
        value = jnp.where(good, -log_likelihood - problem.prior.log_density(thetas), jnp.inf)
        return Look(value, without_readings(outer)[0])

    def _whole(self, outer: Float[Array, "start outer"]) -> Float[Array, "start parameter"]:
        """Whole vectors with nominal inner entries."""
        reference = jnp.broadcast_to(jnp.asarray(self.problem.nominal), (len(outer), len(self.problem.names)))
        return reference.at[:, self.outer].set(outer)

    def _with_best(self, solved: Solved, whole: Array) -> tuple[Array, Array | None]:
        """Vectors with their best inner entries, and the readings that lie on a kink of the density."""
        best, on_kink = self._solver(solved, whole)
        best = jnp.where(jnp.isfinite(best), best, whole[:, self.inner])
        return whole.at[:, self.inner].set(best), on_kink

    def _reduced(self, solved: Solved, thetas: Array, on_kink: Array | None) -> Evaluation:
        problem, inner, outer = self.problem, self.inner, self.outer
        (value, scale, ok), d_value, d_scale = self._predictor.linearised(solved, thetas)
        by_value, by_scale, info_value, info_scale, log_likelihood = reading_weights(problem, value, scale, ok)
        good = jnp.all(ok, axis=1) & jnp.isfinite(log_likelihood)
        d_value, d_scale = (jnp.where(ok[..., None], x, 0.0) for x in (d_value, d_scale))
        if on_kink is not None:
            by_value = self._slopes_of_kinks(by_value, d_value, on_kink)
        prior = problem.prior
        gradient = -jnp.einsum("sr,srp->sp", by_value, d_value) - jnp.einsum("sr,srp->sp", by_scale, d_scale)
        gradient -= jax.grad(lambda x: jnp.sum(prior.log_density(x)))(thetas)
        curvature = jnp.einsum("sr,srp,srq->spq", info_value, d_value, d_value)
        curvature += jnp.einsum("sr,srp,srq->spq", info_scale, d_scale, d_scale)
        curvature += jnp.diag(prior.precision)
        at = thetas[:, inner]
        free = (at > problem.lower[inner]) & (at < problem.upper[inner])
        return Evaluation(
            value=jnp.where(good, -log_likelihood - prior.log_density(thetas), jnp.inf),
            nllh=jnp.where(good, -log_likelihood, jnp.inf),
            gradient=gradient[:, outer],
            curvature=_complement(curvature, outer, inner, free),
            **dict(zip(Evaluation._fields[4:], without_readings(gradient[:, outer]), strict=True)),
        )

    def _slopes_of_kinks(self, by_value: Array, d_value: Array, on_kink: Array) -> Array:
        """Gives readings that lie on their prediction the slope that makes the inner optimum stationary."""
        affine = self.structure.affine
        along = jnp.take_along_axis(d_value, np.maximum(affine, 0)[None, :, None], axis=2)[..., 0]
        along = jnp.where(affine >= 0, along, 0.0)
        others = jnp.where(on_kink, 0.0, by_value) * along
        owner = np.where(affine >= 0, affine, len(self.problem.names))
        sums = jax.ops.segment_sum(others.T, owner, len(self.problem.names) + 1)[owner].T
        return jnp.where(on_kink, -sums / jnp.where(along != 0, along, 1.0), by_value)


def _complement(curvature: Array, outer: np.ndarray, inner: np.ndarray, free: Array) -> Array:
    """The curvature that is left when the free inner entries follow the outer ones."""
    both = free[:, :, None] & free[:, None, :]
    block = jnp.where(both, curvature[:, inner[:, None], inner], 0.0)
    diagonal = jnp.einsum("spp->sp", block)
    size = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    # Entries that the readings say nothing of have a zero row; correlated ones are kept apart by a ridge.
    scaled = block / (size[:, :, None] * size[:, None, :])
    scaled += jnp.eye(len(inner)) * jnp.where(diagonal > 0, 1e-13, 1.0)[..., None]
    cross = jnp.where(free[:, :, None], curvature[:, inner[:, None], outer], 0.0) / size[..., None]
    own = curvature[:, outer[:, None], outer]
    left = own - jnp.einsum("sip,siq->spq", cross, jnp.linalg.solve(scaled, cross))
    left += jnp.eye(len(outer)) * (RIDGE * jnp.einsum("spp->sp", own))[..., None]
    return 0.5 * (left + jnp.swapaxes(left, 1, 2))
