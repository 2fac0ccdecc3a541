"""NUTS from a fit on: whitened coordinates, starting points that can be integrated, draws on the estimation scale."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.sampling.nuts import NUTS, Trace
from calibration.sampling.whitening import Whitening, whiten
from calibration.shared_program import SharedProgram
from twin.errors import SimulationError, TwinWarning
from twin.progress import progress

REDRAWS = 50
SPREAD = 1.0
"""Chains start as far from the fit as the posterior is wide, so that R-hat can see a chain that does not come back."""


class Density(Protocol):
    """What is sampled: a `Problem`, or another likelihood with the problem's priors."""

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def lower(self) -> Float[np.ndarray, " parameter"]: ...

    @property
    def upper(self) -> Float[np.ndarray, " parameter"]: ...

    def log_posterior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log-likelihood plus log-prior; mapped, it runs all vectors as lanes."""
        ...

    def log_likelihood_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, " draw"]:
        """Log-likelihood of many vectors; minus infinity where the integration fails."""
        ...


class AroundFit(NamedTuple):
    """Draws on the estimation scale, and what the sampler says of each [chain, draw]."""

    theta: Float[np.ndarray, "chain draw parameter"]
    stats: dict[str, np.ndarray]


def nuts_around(
    density: Density,
    best: Float[np.ndarray, " parameter"],
    curvature: Float[np.ndarray, "parameter parameter"],
    key: Array,
    *,
    seed: int,
    chains: int,
    warmup: int,
    draws: int,
    target_acceptance: float,
    max_doublings: int,
    quiet: bool,
) -> AroundFit:
    """Draw with NUTS in coordinates whitened around a fit.

    Args:
        density: What to sample.
        best: The fit, estimation scale.
        curvature: Positive semi-definite Hessian of the negative log-posterior there.
        key: Random key of the chains; consumed.
        seed: Seed of their starting points.
        chains: Number of chains, lanes of every solve.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        target_acceptance: Acceptance probability that the step size aims at.
        max_doublings: Trajectories have at most ``2 ** max_doublings`` steps.
        quiet: Show no progress.

    Raises:
        SimulationError: no chain finds a starting point that can be integrated.
    """
    whitening = whiten(best, curvature, density.lower, density.upper)

    def log_density(z: Array, _: Any) -> Array:
        return density.log_posterior(whitening.theta(z)) + whitening.log_volume(z)

    positions = starting_points(density, whitening, chains, seed)
    sampler = NUTS(log_density, target_acceptance=target_acceptance, max_doublings=max_doublings)
    with progress(f"sampling {density.name}", warmup + draws, quiet) as line:
        trace = sampler.run(positions, key, warmup=warmup, draws=draws, line=line)
    return AroundFit(thetas_of(whitening, trace.position), _stats(trace))


def thetas_of(whitening: Whitening, z: Float[np.ndarray, "chain draw parameter"]) -> np.ndarray:
    """Draws on the estimation scale."""
    return np.asarray(jax.vmap(jax.vmap(whitening.theta))(jnp.asarray(z)))


def starting_points(
    density: Density, whitening: Whitening, chains: int, seed: int
) -> Float[np.ndarray, "chain parameter"]:
    """Points spread around the fit as widely as the posterior itself, where the integration succeeds."""
    rng = np.random.default_rng([seed, 1])
    found: list[np.ndarray] = []
    batch = SharedProgram(lambda z: density.log_likelihood_many(jax.vmap(whitening.theta)(z)))
    for _ in range(REDRAWS):
        candidates = SPREAD * rng.normal(size=(2 * chains, len(density.names)))
        finite = np.isfinite(np.asarray(batch(jnp.asarray(candidates))))
        found += list(candidates[finite])
        if len(found) >= chains:
            return np.stack(found[:chains])
    if not found:
        raise SimulationError(
            f"no point near the best fit could be integrated in {REDRAWS * 2 * chains} tries",
            where=density.name,
            fix="raise max_steps or narrow the priors",
        )
    warnings.warn("fewer starting points than chains could be integrated; some chains share one", TwinWarning, 2)
    return np.stack([found[index % len(found)] for index in range(chains)])


def _stats(trace: Trace) -> dict[str, np.ndarray]:
    chains, draws = trace.diverging.shape
    return {
        "diverging": trace.diverging,
        "acceptance_rate": trace.acceptance,
        "n_steps": trace.leapfrogs,
        "energy": trace.energy,
        "lp": trace.log_density,
        "step_size": np.full((chains, draws), trace.step_size),
    }
