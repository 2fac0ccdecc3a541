"""The exact posterior by the master equation: a fit from several starts, then the No-U-Turn sampler around it."""

from __future__ import annotations

import time

import jax
import xarray as xr

from calibration.problem import Problem
from calibration.sampling.around_fit import nuts_around
from calibration.stochastic.master_equation import MasterEquationLikelihood
from calibration.stochastic.particle_filter import ParticleFilter
from calibration.stochastic.start import fit_by_chance
from calibration.stochastic.tree import tree_of_draws
from twin.errors import ProblemError
from twin.precision import in_float64


@in_float64
def sample_master_equation(
    problem: Problem | MasterEquationLikelihood,
    seed: int = 0,
    *,
    most: dict[str, int] | None = None,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    starts: int = 4,
    target_acceptance: float = 0.9,
    max_doublings: int = 8,
    predictive: bool = True,
    quiet: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a jump process with few molecules, without approximation, by NUTS.

    Args:
        problem: Model, readings, estimates and noise of measurement; or its likelihood, whose compiled programs then
            serve again.
        seed: Seed of the fit, the chains and the predictive draws.
        most: Largest number of molecules of every state; needed with a problem.
        chains: Number of chains; they are lanes of every step.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        starts: Searches of the fit.
        target_acceptance: Acceptance probability that the step size aims at.
        max_doublings: Trajectories have at most ``2 ** max_doublings`` steps.
        predictive: Also draw readings, each of a course by chance of its own.
        quiet: Show no progress.

    Returns:
        A tree as that of `calibration.sample_linear_noise`, without ``log_density_one_ahead``. ``attrs`` has
        ``missing``, a bound of how much too low the log-likelihood is at any draw, for states that are left out.

    Raises:
        UnsupportedModelError: the model is no jump process, states are no numbers of molecules, or experiments do more
            than set parameters.
        ProblemError: a count below 1, or no `most`.
        SimulationError: the log-likelihood is too low by more than the tolerance, at the best vector or at a draw: too
            much flows beyond `most`.

    Example:
        >>> tree = calibration.sample_master_equation(problem, most={"on": 1, "m": 60})
        >>> tree.attrs["missing"]
    """
    counts = {"chains": chains, "warmup": warmup, "draws": draws, "starts": starts, "max_doublings": max_doublings}
    for what, given in counts.items():
        if given < 1:
            raise ProblemError(f"{what} is {given}", where="sample_master_equation", expected="at least 1")
    if isinstance(problem, MasterEquationLikelihood):
        likelihood = problem
    elif most is None:
        raise ProblemError("most is not given", where="sample_master_equation", expected="a number for every state")
    else:
        likelihood = MasterEquationLikelihood(problem, most)
    begin = time.perf_counter()
    start = fit_by_chance(likelihood, starts, seed, found_by="master equation", quiet=quiet)
    likelihood.check(start.theta[None])
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
        "likelihood": "master equation",
        "warmup": warmup,
        "target_acceptance": target_acceptance,
        "missing": likelihood.check(found.theta.reshape(-1, found.theta.shape[-1])),
        "fit_theta": start.theta.tolist(),
        "fit_log_posterior": start.log_posterior,
        "fit_seconds": fitted - begin,
        "sampling_seconds": time.perf_counter() - fitted,
    }
    # Courses are drawn by the direct method: they may go beyond the box.
    courses = ParticleFilter(likelihood.problem, 1)
    return tree_of_draws(courses, found.theta, seed=seed, predictive=predictive, sample_stats=found.stats, attrs=attrs)
