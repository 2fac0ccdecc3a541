"""The posterior of the chemical Langevin equation: parameters and Brownian increments together, by NUTS.

The increments are as many as steps, reactions and series make. Given them the course is determined, and the readings
are independent: any noise model and censored readings will do, at the price of many unknowns.
"""

from __future__ import annotations

import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from calibration.problem import Problem
from calibration.sampling.around_fit import SPREAD, thetas_of
from calibration.sampling.nuts import NUTS
from calibration.sampling.whitening import whiten
from calibration.stochastic.langevin_path import LangevinPath
from calibration.stochastic.start import Start, start_of
from calibration.stochastic.tree import tree_of_draws
from twin.errors import ProblemError, SimulationError, TwinWarning
from twin.precision import in_float64
from twin.progress import progress
from twin.stochastic.jump_process import JumpProcess
from twin.stochastic.relaxation import shortest_time_constant

STEPS_PER_RELAXATION = 20
"""Default steps in the shortest time constant along the mean: of a linear death the stationary variance is then too
large by half a step per time constant, 2.5 %."""
FEW = 10.0
"""Molecules below which the equation is not to be trusted."""


@in_float64
def sample_langevin(
    problem: Problem,
    seed: int = 0,
    *,
    dt: float | None = None,
    chains: int = 4,
    warmup: int = 500,
    draws: int = 500,
    target_acceptance: float = 0.9,
    max_doublings: int = 8,
    predictive: bool = True,
    quiet: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a mechanism that follows the chemical Langevin equation, its path included.

    Right where all states count hundreds; a state that the mean leaves below ten molecules is warned of.

    Args:
        problem: Model, readings, estimates and noise of measurement: any noise model, censored readings.
        seed: Seed of the fit, the chains and the predictive draws.
        dt: Longest step; by default a twentieth of the shortest time constant (of the Jacobian along the mean at the
            best vector). Unknowns grow with its inverse.
        chains: Number of chains, lanes of every path.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        target_acceptance: Acceptance probability that the step size aims at.
        max_doublings: Trajectories have at most ``2 ** max_doublings`` steps.
        predictive: Also draw readings, each of a course with increments of its own.
        quiet: Show no progress.

    Returns:
        A tree as that of `calibration.sample_linear_noise`, without ``log_density_one_ahead``; the increments are not
        kept. ``attrs`` has ``dt`` and ``increments``, their number.

    Raises:
        UnsupportedModelError: the model is no jump process, experiments do more than set parameters, or the size of a
            compartment is estimated.
        ProblemError: a count below 1, a step that is not positive, or more than 5,000 increments.
        SimulationError: no chain finds a starting point.

    Example:
        >>> tree = calibration.sample_langevin(problem)
        >>> tree.attrs["dt"], tree.attrs["increments"]
    """
    counts = {"chains": chains, "warmup": warmup, "draws": draws, "max_doublings": max_doublings}
    for what, given in counts.items():
        if given < 1:
            raise ProblemError(f"{what} is {given}", where="sample_langevin", expected="at least 1")
    begin = time.perf_counter()
    start = start_of(problem, seed, quiet=quiet)
    path = LangevinPath(problem, _default_step(problem, start) if dt is None else dt)
    fitted = time.perf_counter()
    size = len(problem.names)
    whitening = whiten(start.theta, start.curvature, problem.lower, problem.upper)

    def log_density(x: Array, _: tuple) -> Array:
        z = x[size:]
        theta = whitening.theta(x[:size])
        prior = problem.prior.log_density(theta) + whitening.log_volume(x[:size]) - 0.5 * jnp.sum(z**2)
        return path.log_likelihood(theta[None], z[None])[0] + prior

    positions = _beginnings(jax.jit(jax.vmap(lambda x: log_density(x, ()))), size, path, chains, seed)
    sampler = NUTS(log_density, target_acceptance=target_acceptance, max_doublings=max_doublings)
    with progress(f"sampling {problem.name}, {path.size} increments", warmup + draws, quiet) as line:
        key = jax.random.fold_in(jax.random.key(seed), 1)
        trace = sampler.run(positions, key, warmup=warmup, draws=draws, line=line)
    theta = thetas_of(whitening, trace.position[..., :size])
    stats = {
        "diverging": trace.diverging,
        "acceptance_rate": trace.acceptance,
        "n_steps": trace.leapfrogs,
        "energy": trace.energy,
        "lp": trace.log_density,
        "step_size": np.full(trace.diverging.shape, trace.step_size),
    }
    attrs = {
        "sampler": "NUTS",
        "likelihood": "chemical Langevin equation",
        "warmup": warmup,
        "target_acceptance": target_acceptance,
        "dt": path.dt,
        "increments": path.size,
        "fit_theta": start.theta.tolist(),
        "fit_seconds": fitted - begin,
        "sampling_seconds": time.perf_counter() - fitted,
    }
    _warn_of_few(problem, theta)
    return tree_of_draws(path, theta, seed=seed, predictive=predictive, sample_stats=stats, attrs=attrs)


def _default_step(problem: Problem, start: Start) -> float:
    """A share of the shortest time constant of all series at the best vector."""
    predictor, table = problem.predictor, problem.bindings
    p = np.asarray(predictor.model_parameters(predictor.values(jnp.asarray(start.theta)[None]), 1))[:, :, 0]
    process = JumpProcess(problem.model)
    shortest = np.inf
    for index, each in enumerate(table.experiments):
        span = float(table.times[:, index].max()) - each.t0
        if span > 0:
            shortest = min(shortest, span, shortest_time_constant(process, p[:, index], each.t0, span))
    if not np.isfinite(shortest):
        raise ProblemError("all readings are at the beginning", where="sample_langevin", expected="a later time")
    return shortest / STEPS_PER_RELAXATION


def _beginnings(log_density, size: int, path: LangevinPath, chains: int, seed: int) -> np.ndarray:
    """Parameters spread around the fit as widely as the posterior, paths near the mean, where all is finite."""
    rng = np.random.default_rng([seed, 1])
    found: list[np.ndarray] = []
    for _ in range(10):
        tried = np.concatenate(
            [SPREAD * rng.normal(size=(chains, size)), 0.1 * rng.normal(size=(chains, path.size))], axis=1
        )
        found += list(tried[np.isfinite(np.asarray(log_density(tried)))])
        if len(found) >= chains:
            return np.stack(found[:chains])
    raise SimulationError(
        f"{len(found)} of {chains} chains found a finite path near the best vector",
        where=path.problem.name,
        fix="narrow the priors, or take sample_pseudo_marginal (few molecules)",
    )


def _warn_of_few(problem: Problem, theta: np.ndarray) -> None:
    """Say where the mean leaves few molecules, of which the equation knows nothing."""
    predictor = problem.predictor
    middle = np.median(theta.reshape(-1, theta.shape[-1]), axis=0)
    trajectory, ok = predictor.trajectories(predictor.values(jnp.asarray(middle)[None]))
    process = JumpProcess(problem.model)
    defaults = {**problem.model.default_parameters, **problem.fixed}
    molecule = process.molecules(np.array([defaults[name] for name in process.system.parameters]))
    counts = np.where(np.asarray(ok), np.asarray(trajectory.y), np.inf).min(axis=(1, 2)) / molecule
    few = [name for name, count in zip(problem.model.state_names, counts, strict=True) if count < FEW]
    if few:
        warnings.warn(
            f"on average {', '.join(few)} of {problem.name!r} counts fewer than {FEW:g} molecules at a reading: the "
            "Langevin equation may be wrong there; compare with sample_pseudo_marginal",
            TwinWarning,
            3,
        )
