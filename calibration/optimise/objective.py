"""The objective of a fit with its gradient and expected curvature, for many vectors at once.

With predictions f and noise scales s, both functions of theta, the negative log-posterior has

    gradient   g = -sum_r (dl_r/df) f_r' - sum_r (dl_r/ds) s_r' - (log prior)'
    curvature  H =  sum_r I_f f_r' f_r'^T + sum_r I_s s_r' s_r'^T + prior precision,

where I_f and I_s are the Fisher information of one reading. H is positive semi-definite, also where the Hessian is not,
and equals the Gauss-Newton matrix for normal noise of known scale. A censored reading has the observed information of
its probability, -d^2 log P / df^2, which is non-negative because the distribution functions are log-concave near their
limits; where they are not (Student-t far above the limit) it is cut off at zero.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.problem import Problem
from twin.solve import numbers_per_sample

MEMORY_FOR_TANGENTS = 384 * 2**20
LARGEST_CHUNK = 16


class Evaluation(NamedTuple):
    """Objective and derivatives of many vectors.

    Args:
        value: Negative log-posterior; infinite where the integration failed.
        nllh: Negative log-likelihood.
        gradient: Gradient of `value`.
        curvature: Expected Hessian of `value`.
    """

    value: Float[np.ndarray, " start"]
    nllh: Float[np.ndarray, " start"]
    gradient: Float[np.ndarray, "start parameter"]
    curvature: Float[np.ndarray, "start parameter parameter"]


class Objective:
    """Negative log-posterior of a problem, evaluated in chunks that fit in memory.

    Args:
        problem: The problem.
        with_prior: Whether the priors count; without them the objective is the negative log-likelihood.
    """

    def __init__(self, problem: Problem, *, with_prior: bool = True) -> None:
        self.problem, self.with_prior = problem, with_prior
        self._compiled = jax.jit(self._evaluate)

    def chunk_size(self) -> int:
        """How many vectors one compiled call takes: always the same, so that it is compiled once."""
        problem = self.problem
        table = problem.bindings
        samples = (len(table.times) + 1) * len(table.series)
        bytes_each = 8 * numbers_per_sample(table.system) * samples * (1 + len(problem.parameters.slots))
        # Small chunks waste little when only a few starts are still running.
        return max(1, min(LARGEST_CHUNK, MEMORY_FOR_TANGENTS // bytes_each))

    def __call__(self, thetas: Float[np.ndarray, "start parameter"]) -> Evaluation:
        """Evaluate many vectors; the caller is inside the float64 context."""
        size = self.chunk_size()
        parts = []
        for start in range(0, len(thetas), size):
            part = thetas[start : start + size]
            missing = size - len(part)
            padded = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            result = self._compiled(padded)
            parts.append(Evaluation(*(np.asarray(x)[: len(part)] for x in result)))
        return Evaluation(*(np.concatenate(x) for x in zip(*parts, strict=True)))

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
        return Evaluation(
            value=jnp.where(good, objective, jnp.inf),
            nllh=jnp.where(good, -log_likelihood, jnp.inf),
            gradient=gradient,
            curvature=curvature,
        )


def reading_weights(problem: Problem, value: Array, scale: Array, ok: Array) -> tuple[Array, ...]:
    """Derivatives of each reading's log density in prediction and scale, and its information about both."""
    table, models = problem.bindings, problem.noise_models
    zero = jnp.zeros_like(value)
    by_value, by_scale, info_value, info_scale = zero, zero, zero, zero
    log_likelihood = jnp.zeros(value.shape[0])
    for name, rows in table.rows_of.items():
        model, reading, censored = models[name], table.value[rows], table.censored[rows]
        fine = ok[:, rows]
        f = jnp.where(fine, value[:, rows], reading)
        s = jnp.where(fine, scale[:, rows], 1.0)

        def density(f: Array, s: Array, model=model, reading=reading, censored=censored) -> Array:
            exact = model.log_density(reading, f, s)
            if not censored.any():
                return exact
            return jnp.where(censored, model.log_below(reading, f, s), exact)

        def by_prediction(f: Array, s: Array, density=density) -> Array:
            return jax.grad(lambda x: jnp.sum(density(x, s)))(f)

        each = density(f, s)
        slope, d_slope = jax.jvp(lambda x, s=s: by_prediction(x, s), (f,), (jnp.ones_like(f),))
        of_f, of_s = model.information(f, s)
        of_f = jnp.where(censored, jnp.maximum(-d_slope, 0.0), of_f)
        of_s = jnp.where(censored, 0.0, of_s)
        by_value = by_value.at[:, rows].set(jnp.where(fine, slope, 0.0))
        by_scale = by_scale.at[:, rows].set(jnp.where(fine, jax.grad(lambda x, f=f: jnp.sum(density(f, x)))(s), 0.0))
        info_value = info_value.at[:, rows].set(jnp.where(fine, of_f, 0.0))
        info_scale = info_scale.at[:, rows].set(jnp.where(fine, of_s, 0.0))
        log_likelihood += jnp.sum(jnp.where(fine, each, -jnp.inf), axis=1)
    return by_value, by_scale, info_value, info_scale, log_likelihood
