"""The objective of a fit with its gradient and expected curvature, for many vectors at once.

With predictions f and noise scales s, both functions of theta, the negative log-posterior has

    gradient   g = -sum_r (dl_r/df) f_r' - sum_r (dl_r/ds) s_r' - (log prior)'
    curvature  H =  sum_r I_f f_r' f_r'^T + sum_r I_s s_r' s_r'^T + prior precision,

where I_f and I_s are the Fisher information of one reading. H is positive semi-definite, also where the Hessian is not,
and equals the Gauss-Newton matrix for normal noise of known scale. A censored reading has the observed information of
its probability, -d^2 log P / df^2, which is non-negative because the distribution functions are log-concave near their
limits; where they are not (Student-t far above the limit) it is cut off at zero. Of a narrow interval it can be zero
though the reading tells much (Laplace, on one side of the kink): there the square of the slope counts if it is larger,
up to the information of an uncensored reading, and likewise about the scale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.compiled import kept_program
from calibration.noise.censoring import Censoring, log_density_of
from calibration.priors import PriorDensity
from calibration.problem import Problem
from twin.solve import numbers_per_sample

MEMORY_FOR_TANGENTS = 384 * 2**20
LARGEST_CHUNK = 16
DIRECTIONS_OF_A_CHUNK = 16
"""Vectors times parameters from which the sensitivities of one call fill the vector units of a processor. Larger chunks
gain nothing there and wait for their slowest vector (measured: 16 vectors at once take as long as 16 to 40 alone)."""
VECTORS_OF_A_LOOK = 4
"""At least so many vectors share a call without derivatives: the call itself costs as much as a small integration."""
IN_FLIGHT = 32
"""Chunks handed to JAX before the first is waited for: it computes them side by side on the cores that it has."""


class Evaluation(NamedTuple):
    """Objective and derivatives of many vectors.

    The last three are those of the predictions on the scale on which noise is additive (their logarithms for log-normal
    noise); objectives that do not know them have no readings there.

    Args:
        value: Negative log-posterior; infinite where the integration failed.
        nllh: Negative log-likelihood.
        gradient: Gradient of `value`.
        curvature: Expected Hessian of `value`.
        additive: Predictions.
        information: Fisher information of each reading about its prediction.
        slopes: Derivatives of the predictions, single precision.
    """

    value: Float[np.ndarray, " start"]
    nllh: Float[np.ndarray, " start"]
    gradient: Float[np.ndarray, "start parameter"]
    curvature: Float[np.ndarray, "start parameter parameter"]
    additive: Float[np.ndarray, "start reading"]
    information: Float[np.ndarray, "start reading"]
    slopes: Float[np.ndarray, "start reading parameter"]


class Look(NamedTuple):
    """What there is without derivatives, for a fraction of the time.

    Args:
        value: Negative log-posterior; infinite where the integration failed.
        additive: Predictions, as in `Evaluation`.
    """

    value: Float[np.ndarray, " start"]
    additive: Float[np.ndarray, "start reading"]


def without_readings[T: (np.ndarray, Array)](gradient: T) -> tuple[T, T, T]:
    """The last three of an `Evaluation` that does not know predictions."""
    return gradient[:, :0], gradient[:, :0], gradient[:, None][:, :0]


class FitObjective(Protocol):
    """What the optimisers minimise: an objective of a vector that may be shorter than the problem's.

    Attributes:
        names: Entries of the vector.
        lower: Their lower bounds, estimation scale.
        upper: Their upper bounds, estimation scale.
        prior: Their priors, from which starts are drawn.
    """

    names: tuple[str, ...]
    lower: Float[np.ndarray, " parameter"]
    upper: Float[np.ndarray, " parameter"]
    prior: PriorDensity

    def __call__(self, thetas: Float[np.ndarray, "start parameter"], /) -> Evaluation:
        """Evaluate many vectors."""
        ...

    def complete(self, thetas: Float[np.ndarray, "start parameter"], /) -> Float[np.ndarray, "start entry"]:
        """The problem's whole vectors."""
        ...


class RegionObjective(FitObjective, Protocol):
    """What trust regions minimise: trial points are looked at, and evaluated only where a step ends."""

    def look(self, thetas: Float[np.ndarray, "start parameter"], /) -> Look:
        """Objective without derivatives; the value differs from that of an evaluation by rounding alone."""
        ...


class Objective:
    """Negative log-posterior of a problem, evaluated in chunks that fit in memory.

    Args:
        problem: The problem.
        with_prior: Whether the priors count; without them the objective is the negative log-likelihood.
    """

    def __init__(self, problem: Problem, *, with_prior: bool = True) -> None:
        self.problem, self.with_prior = problem, with_prior
        self.names, self.prior = problem.names, problem.prior
        self.lower, self.upper = problem.lower, problem.upper
        self._compiled = kept_program(problem, ("objective", with_prior), lambda: self._evaluate)
        self._looked = kept_program(problem, ("look of the objective", with_prior), lambda: self._look)

    def chunk_size(self) -> int:
        """How many vectors one compiled call takes: always the same, so that it is compiled once."""
        problem = self.problem
        table = problem.bindings
        samples = (len(table.times) + 1) * len(table.series)
        bytes_each = 8 * numbers_per_sample(table.system) * samples * (1 + len(problem.parameters.slots))
        return max(1, min(vectors_per_chunk(len(problem.parameters.slots)), MEMORY_FOR_TANGENTS // bytes_each))

    def __call__(self, thetas: Float[np.ndarray, "start parameter"]) -> Evaluation:
        """Evaluate many vectors; the caller is inside the float64 context."""
        return Evaluation(*in_chunks(self._compiled, thetas, self.chunk_size()))

    def look(self, thetas: Float[np.ndarray, "start parameter"]) -> Look:
        """Objective of many vectors without derivatives; the caller is inside the float64 context."""
        return Look(*in_chunks(self._looked, thetas, max(VECTORS_OF_A_LOOK, self.chunk_size())))

    def complete(self, thetas: Float[np.ndarray, "start parameter"]) -> Float[np.ndarray, "start parameter"]:
        """The vectors themselves: nothing is left out of them."""
        return thetas

    def _evaluate(self, thetas: Float[Array, "start parameter"]) -> Evaluation:
        problem = self.problem
        (value, scale, ok), d_value, d_scale = problem.predictor.linearise(thetas)
        by_value, by_scale, info_value, info_scale, log_likelihood = reading_weights(problem, value, scale, ok)
        good = jnp.all(ok, axis=1) & jnp.isfinite(log_likelihood)
        d_value = jnp.where(ok[..., None], d_value, 0.0)
        d_scale = jnp.where(ok[..., None], d_scale, 0.0)
        gradient = -jnp.einsum("sr,srp->sp", by_value, d_value) - jnp.einsum("sr,srp->sp", by_scale, d_scale)
        curvature = jnp.einsum("sr,srp,srq->spq", info_value, d_value, d_value)
        curvature += jnp.einsum("sr,srp,srq->spq", info_scale, d_scale, d_scale)
        objective = -log_likelihood
        if self.with_prior:
            objective -= problem.prior.log_density(thetas)
            gradient -= jax.grad(lambda x: jnp.sum(problem.prior.log_density(x)))(thetas)
            curvature += jnp.diag(problem.prior.precision)
        # States that run away can be finite where their sensitivities are not.
        good &= jnp.all(jnp.isfinite(gradient), axis=1) & jnp.all(jnp.isfinite(curvature), axis=(1, 2))
        additive, rate = on_additive_scale(problem, value)
        return Evaluation(
            value=jnp.where(good, objective, jnp.inf),
            nllh=jnp.where(good, -log_likelihood, jnp.inf),
            gradient=gradient,
            curvature=curvature,
            additive=additive,
            information=jnp.where(rate > 0, info_value / jnp.where(rate > 0, rate, 1.0) ** 2, 0.0),
            slopes=(d_value * rate[..., None]).astype(jnp.float32),
        )

    def _look(self, thetas: Float[Array, "start parameter"]) -> Look:
        problem = self.problem
        prediction = problem.predict_many(thetas)
        log_likelihood = jnp.sum(problem.pointwise(prediction), axis=1)
        objective = -log_likelihood
        if self.with_prior:
            objective -= problem.prior.log_density(thetas)
        good = jnp.all(prediction.ok, axis=1) & jnp.isfinite(log_likelihood)
        return Look(jnp.where(good, objective, jnp.inf), on_additive_scale(problem, prediction.value)[0])


class GradientObjective:
    """The same by the adjoint, whose cost does not grow with the parameters; without curvature.

    Args:
        problem: The problem.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.names, self.prior = problem, problem.names, problem.prior
        self.lower, self.upper = problem.lower, problem.upper
        self._compiled = kept_program(problem, "gradient objective", lambda: self._evaluate)

    def __call__(self, thetas: Float[np.ndarray, "start parameter"]) -> Evaluation:
        """Evaluate many vectors; the caller is inside the float64 context. The curvature has no entries."""
        size = LARGEST_CHUNK if jax.default_backend() != "cpu" else 1
        value, nllh, gradient = in_chunks(self._compiled, thetas, size)
        return Evaluation(value, nllh, gradient, np.zeros((len(thetas), 0, 0)), *without_readings(gradient))

    def complete(self, thetas: Float[np.ndarray, "start parameter"]) -> Float[np.ndarray, "start parameter"]:
        """The vectors themselves: nothing is left out of them."""
        return thetas

    def _evaluate(self, thetas: Float[Array, "start parameter"]) -> tuple[Array, Array, Array]:
        likelihood, slope = self.problem.log_likelihood_and_gradient_many(thetas)
        prior, of_prior = jax.value_and_grad(
            lambda x: (jnp.sum(y := self.problem.prior.log_density(x)), y), has_aux=True
        )(thetas)
        gradient = -slope - of_prior
        good = jnp.isfinite(likelihood) & jnp.all(jnp.isfinite(gradient), axis=1)
        value = jnp.where(good, -likelihood - prior[1], jnp.inf)
        return value, jnp.where(good, -likelihood, jnp.inf), gradient


def vectors_per_chunk(parameters: int) -> int:
    """How many vectors one call should take: few on a processor, more on an accelerator."""
    if jax.default_backend() != "cpu":
        return LARGEST_CHUNK
    return max(1, min(LARGEST_CHUNK, -(-DIRECTIONS_OF_A_CHUNK // max(1, parameters))))


def in_chunks(
    compiled: Callable[[np.ndarray], tuple[Array, ...]], thetas: Float[np.ndarray, "start parameter"], size: int
) -> list[np.ndarray]:
    """The results of a compiled function that takes `size` vectors, for any number of them."""
    parts: list[tuple[np.ndarray, ...]] = []
    waiting: deque[tuple[tuple[Array, ...], int]] = deque()

    def take() -> None:
        result, count = waiting.popleft()
        parts.append(tuple(np.asarray(x)[:count] for x in result))

    for start in range(0, len(thetas), size):
        part = thetas[start : start + size]
        waiting.append((compiled(np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])), len(part)))
        if len(waiting) >= IN_FLIGHT:
            take()
    while waiting:
        take()
    return [np.concatenate(x) for x in zip(*parts, strict=True)]


def on_additive_scale(problem: Problem, value: Array) -> tuple[Array, Array]:
    """Predictions [start, reading] on the scale on which noise is additive, and the derivatives of that scale."""
    additive, rate = jnp.zeros_like(value), jnp.zeros_like(value)
    for name, rows in problem.bindings.rows_of.items():
        centre = problem.noise_models[name].centre
        here, slope = jax.jvp(centre, (value[:, rows],), (jnp.ones_like(value[:, rows]),))
        additive, rate = additive.at[:, rows].set(here), rate.at[:, rows].set(slope)
    return additive, rate


def reading_weights(problem: Problem, value: Array, scale: Array, ok: Array) -> tuple[Array, ...]:
    """Derivatives of each reading's log density in prediction and scale, and its information about both."""
    table, models = problem.bindings, problem.noise_models
    zero = jnp.zeros_like(value)
    by_value, by_scale, info_value, info_scale = zero, zero, zero, zero
    log_likelihood = jnp.zeros(value.shape[0])
    for name, rows in table.rows_of.items():
        model, reading, upper, kind = models[name], table.value[rows], table.upper[rows], table.kind[rows]
        fine = ok[:, rows]
        f = jnp.where(fine, value[:, rows], reading)
        s = jnp.where(fine, scale[:, rows], 1.0)

        def density(f: Array, s: Array, model=model, reading=reading, upper=upper, kind=kind) -> Array:
            return log_density_of(model, reading, upper, kind, f, s, set(kind))

        def by_prediction(f: Array, s: Array, density=density) -> Array:
            return jax.grad(lambda x: jnp.sum(density(x, s)))(f)

        each = density(f, s)
        slope, d_slope = jax.jvp(lambda x, s=s: by_prediction(x, s), (f,), (jnp.ones_like(f),))
        slope_of_s = jax.grad(lambda x, f=f, density=density: jnp.sum(density(f, x)))(s)
        all_f, all_s = model.information(f, s)
        observed, between = jnp.maximum(-d_slope, 0.0), kind == Censoring.INTERVAL
        of_f = jnp.where(kind == Censoring.NONE, all_f, observed)
        of_f = jnp.where(between, jnp.maximum(observed, jnp.minimum(slope**2, all_f)), of_f)
        of_s = jnp.where(between, jnp.minimum(slope_of_s**2, all_s), jnp.where(kind == Censoring.NONE, all_s, 0.0))
        by_value = by_value.at[:, rows].set(jnp.where(fine, slope, 0.0))
        by_scale = by_scale.at[:, rows].set(jnp.where(fine, slope_of_s, 0.0))
        info_value = info_value.at[:, rows].set(jnp.where(fine, of_f, 0.0))
        info_scale = info_scale.at[:, rows].set(jnp.where(fine, of_s, 0.0))
        log_likelihood += jnp.sum(jnp.where(fine, each, -jnp.inf), axis=1)
    return by_value, by_scale, info_value, info_scale, log_likelihood
