"""The posterior by the linear noise approximation: a fit from several starts, then the No-U-Turn sampler around it.

References:
    Komorowski et al. (2009), doi:10.1186/1471-2105-10-343. Fearnhead, Giagos & Sherlock (2014), doi:10.1111/biom.12152.
"""

from __future__ import annotations

import time

import jax
import xarray as xr

from calibration.problem import Problem
from calibration.sampling.around_fit import nuts_around
from calibration.stochastic.linear_noise import LinearNoiseLikelihood
from calibration.stochastic.start import fit_by_chance
from calibration.stochastic.tree import tree_of_draws
from twin.errors import ProblemError
from twin.precision import in_float64


@in_float64
def sample_linear_noise(
    problem: Problem | LinearNoiseLikelihood,
    seed: int = 0,
    *,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    starts: int = 4,
    target_acceptance: float = 0.9,
    max_doublings: int = 8,
    predictive: bool = True,
    quiet: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a mechanism with intrinsic noise, by the linear noise approximation and NUTS.

    What is drawn is the posterior of the approximation: right where molecules are many (`docs/stochastic.md`).
    `sample_pseudo_marginal` needs no approximation.

    Args:
        problem: Model, readings, estimates and normal or log-normal noise of measurement; or its likelihood, whose
            compiled programs then serve again.
        seed: Seed of the fit, the chains and the predictive draws.
        chains: Number of chains; they are lanes of every solve.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        starts: Searches of the fit.
        target_acceptance: Acceptance probability that the step size aims at.
        max_doublings: Trajectories have at most ``2 ** max_doublings`` steps.
        predictive: Also draw readings, each of a fluctuating course of its own, and add the densities of the readings.
        quiet: Show no progress.

    Returns:
        A tree as that of `calibration.sample`, without draws from the prior. ``posterior_predictive`` holds readings of
        fluctuating courses (``mean``: without noise of measurement). ``log_density_one_ahead`` has the log density of
        every reading given those before it in its series: the terms of the log-likelihood. Leave-one-out is not made
        of them, since a reading tells of its neighbours; the group ``log_likelihood``, from which ArviZ would, is
        left out. ``attrs`` has ``fit_theta`` and ``fit_log_posterior``.

    Raises:
        UnsupportedModelError: the model is no jump process, noise is neither normal nor log-normal, readings are
            censored, or experiments do more than set parameters.
        ProblemError: a count below 1.
        SimulationError: nothing can be integrated.

    Example:
        >>> tree = calibration.sample_linear_noise(problem)
        >>> arviz_stats.summary(tree, var_names=list(problem.names))
    """
    counts = {"chains": chains, "warmup": warmup, "draws": draws, "starts": starts, "max_doublings": max_doublings}
    for what, given in counts.items():
        if given < 1:
            raise ProblemError(f"{what} is {given}", where="sample_linear_noise", expected="at least 1")
    likelihood = problem if isinstance(problem, LinearNoiseLikelihood) else LinearNoiseLikelihood(problem)
    begin = time.perf_counter()
    start = fit_by_chance(likelihood, starts, seed, quiet=quiet)
    fitted = time.perf_counter()
    found = nuts_around(
        likelihood,
        start.theta,
        start.curvature,
        jax.random.fold_in(jax.random.key(seed), 1),
        seed=seed,
        chains=chains,
        warmup=warmup,
        draws=draws,
        target_acceptance=target_acceptance,
        max_doublings=max_doublings,
        quiet=quiet,
    )
    attrs = {
        "sampler": "NUTS",
        "likelihood": "linear noise approximation",
        "warmup": warmup,
        "target_acceptance": target_acceptance,
        "fit_theta": start.theta.tolist(),
        "fit_log_posterior": start.log_posterior,
        "fit_seconds": fitted - begin,
        "sampling_seconds": time.perf_counter() - fitted,
    }
    return tree_of_draws(
        likelihood, found.theta, seed=seed, predictive=predictive, sample_stats=found.stats, attrs=attrs
    )
