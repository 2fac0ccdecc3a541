"""From a problem to posterior draws in ArviZ's schema."""

from __future__ import annotations

import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from calibration.optimise import Fit, fit
from calibration.predict import draws_to_tree
from calibration.problem import Problem
from calibration.sampling.nuts import Trace, run_nuts
from calibration.sampling.whitening import Whitening, whiten
from twin.errors import ProblemError, SimulationError, TwinWarning
from twin.precision import in_float64
from twin.progress import progress

REDRAWS = 50
SPREAD = 1.0
"""Chains start as far from the fit as the posterior is wide, so that R-hat can see a chain that does not come back."""


@in_float64
def sample(
    problem: Problem,
    seed: int = 0,
    *,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    target_acceptance: float = 0.9,
    max_doublings: int = 8,
    starts: int = 24,
    initial: Fit | None = None,
    predictive: bool = True,
    quiet: bool = False,
) -> xr.DataTree:
    """Draw from the posterior with NUTS, initialised and preconditioned by a multi-start fit.

    Args:
        problem: What to sample.
        seed: Seed of the fit, the chains and the predictive draws.
        chains: Number of chains; they run side by side.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        target_acceptance: Acceptance probability that the step size aims at.
        max_doublings: Trajectories have at most ``2 ** max_doublings`` steps.
        starts: Starts of the fit, if `initial` is not given.
        initial: A fit to begin from.
        predictive: Also draw from the prior and both predictive distributions.
        quiet: Show no progress.

    Returns:
        A tree with groups posterior, posterior_predictive, prior, prior_predictive, log_likelihood, observed_data and
        sample_stats. The posterior is on the linear scale of the parameters; ``theta`` holds the estimation scale.

    Raises:
        ProblemError: a count below 1, or an initial fit of other parameters.
        SimulationError: no chain finds a starting point that can be integrated.
    """
    for what, given in (("chains", chains), ("draws", draws), ("warmup", warmup), ("max_doublings", max_doublings)):
        if given < 1:
            raise ProblemError(f"{what} is {given}", where="sample", expected="at least 1")
    if initial is not None and initial.names != problem.names:
        raise ProblemError(
            f"the fit is of {', '.join(initial.names)}",
            where="sample",
            expected=f"a fit of the same problem, of {', '.join(problem.names)}",
        )
    initial = initial or fit(problem, starts=starts, seed=seed, quiet=quiet)
    begin = time.perf_counter()
    whitening = whiten(initial.best, initial.curvature, problem.lower, problem.upper)

    def log_density(z: jax.Array) -> jax.Array:
        theta = whitening.theta(z)
        return problem.log_posterior(theta) + whitening.log_volume(z)

    key = jax.random.key(seed)
    positions = _starting_points(problem, whitening, chains, seed)
    with progress(f"sampling {problem.name}", warmup + draws, quiet) as line:
        trace = run_nuts(
            log_density,
            positions,
            jax.random.fold_in(key, 1),
            warmup=warmup,
            draws=draws,
            target_acceptance=target_acceptance,
            max_doublings=max_doublings,
            line=line,
        )
    seconds = time.perf_counter() - begin
    theta = np.asarray(jax.vmap(jax.vmap(whitening.theta))(trace.position))
    tree = draws_to_tree(problem, theta, seed=seed, predictive=predictive, sample_stats=_stats(trace))
    tree.attrs |= {
        "seed": seed,
        "warmup": warmup,
        "sampling_seconds": seconds,
        "fit_seconds": initial.seconds,
        "fit_objective": float(initial.objective[0]),
        "fit_hits": initial.hits,
        "fit_starts": len(initial.objective),
        "fit_redrawn": initial.redrawn,
        "fit_failed": initial.failed,
        "sampler": "NUTS",
        "target_acceptance": target_acceptance,
    }
    return tree


def _starting_points(
    problem: Problem, whitening: Whitening, chains: int, seed: int
) -> Float[np.ndarray, "chain parameter"]:
    """Points spread around the fit as widely as the posterior itself, where the integration succeeds."""
    rng = np.random.default_rng([seed, 1])
    found: list[np.ndarray] = []
    batch = jax.jit(lambda z: problem.log_likelihood_many(jax.vmap(whitening.theta)(z)))
    for _ in range(REDRAWS):
        candidates = SPREAD * rng.normal(size=(2 * chains, len(problem.names)))
        finite = np.isfinite(np.asarray(batch(jnp.asarray(candidates))))
        found += list(candidates[finite])
        if len(found) >= chains:
            return np.stack(found[:chains])
    if not found:
        raise SimulationError(
            f"no point near the best fit could be integrated in {REDRAWS * 2 * chains} tries",
            where=problem.name,
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
