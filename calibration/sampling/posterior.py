"""From a problem to posterior draws in ArviZ's schema: which sampler, where it starts, what its tree says."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from calibration.optimise import Fit, fit
from calibration.predict import draws_to_tree
from calibration.problem import Problem
from calibration.sampling.around_fit import nuts_around, thetas_of
from calibration.sampling.path import draw_reference, path_of
from calibration.sampling.pathfinder import run_pathfinder
from calibration.sampling.smc import Population, TemperedSMC, combine_evidence
from calibration.sampling.tempering import run_tempering
from calibration.sampling.whitening import logistic, whiten
from twin.errors import ProblemError, TwinWarning, suggestion
from twin.precision import in_float64
from twin.progress import progress

PILOT = 50
"""Particles per run of the population that goes before parallel tempering."""
PATHS = 16
WORST_PARETO_K = 0.7
"""Beyond it importance weights have no usable mean (Vehtari et al., JMLR 25(72), 2024)."""
INDEPENDENT = 1.0
"""Log units between the evidence of runs at which one of them has missed something."""


@in_float64
def sample(
    problem: Problem,
    seed: int = 0,
    *,
    method: str = "nuts",
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    target_acceptance: float = 0.9,
    max_doublings: int = 8,
    moves: int = 4,
    starts: int = 24,
    initial: Fit | None = None,
    predictive: bool = True,
    quiet: bool = False,
) -> xr.DataTree:
    """Draw from the posterior.

    ==============  ==================================================================================================
    ``nuts``        No-U-Turn sampler around the best fit: the one to take where there is one mode
    ``smc``         tempered populations from the prior: several modes, evidence; a chain is a run, a draw a particle
    ``tempering``   parallel tempering: several modes, evidence, and mixing that can be seen in R-hat
    ``pathfinder``  an approximation in seconds, with a Pareto k that says how good it is
    ==============  ==================================================================================================

    Reactions that happen by chance: `calibration.sample_linear_noise`, `calibration.sample_pseudo_marginal`.

    Args:
        problem: What to sample.
        seed: Seed of the fit, the chains and the predictive draws.
        method: "nuts", "smc", "tempering" or "pathfinder".
        chains: Number of chains or runs; they run side by side.
        warmup: Adaptation per chain ("nuts", "tempering").
        draws: Draws kept per chain.
        target_acceptance: Acceptance probability that the step size aims at ("nuts").
        max_doublings: Trajectories have at most ``2 ** max_doublings`` steps ("nuts").
        moves: Transitions of each particle per temperature ("smc").
        starts: Starts of the fit, if `initial` is not given ("nuts").
        initial: A fit to begin from. "nuts" makes one if there is none. "smc" and "tempering" begin from the prior, or
            from a mixture of the prior and heavy-tailed densities around the optima of this fit: shorter, but a mode
            that the fit missed is found less surely.
        predictive: Also draw from the prior and both predictive distributions.
        quiet: Show no progress.

    Returns:
        A tree with groups posterior, posterior_predictive, prior, prior_predictive, log_likelihood, log_prior,
        observed_data and sample_stats. The posterior is on the linear scale of the parameters; ``theta`` holds the
        estimation scale. But for "nuts" ``attrs`` has ``log_evidence`` (natural logarithm of the density of the
        readings under priors and model) and ``log_evidence_error`` (its standard error, between chains or of the
        weights); ``attrs["rejected_failures"]`` counts moves that were rejected because the integration failed.

    Raises:
        ProblemError: an unknown method, a count below 1, or an initial fit of other parameters.
        SimulationError: no chain finds a starting point that can be integrated.

    Example:
        >>> tree = calibration.sample(problem, method="smc")
        >>> tree.attrs["log_evidence"], tree.attrs["log_evidence_error"]
    """
    counts = {"chains": chains, "draws": draws, "warmup": warmup, "max_doublings": max_doublings, "moves": moves}
    for what, given in counts.items():
        if given < 1:
            raise ProblemError(f"{what} is {given}", where="sample", expected="at least 1")
    if method not in METHODS:
        raise ProblemError(
            f"the method is {method!r}", where="sample", expected=", ".join(METHODS), fix=suggestion(method, METHODS)
        )
    if initial is not None and initial.names != problem.names:
        raise ProblemError(
            f"the fit is of {', '.join(initial.names)}",
            where="sample",
            expected=f"a fit of the same problem, of {', '.join(problem.names)}",
        )
    if initial is None and method == "nuts":
        initial = fit(problem, starts=starts, seed=seed, quiet=quiet)
    begin = time.perf_counter()
    task = _Task(problem, seed, chains, warmup, draws, target_acceptance, max_doublings, moves, initial, quiet)
    drawn = METHODS[method](task)
    seconds = time.perf_counter() - begin
    tree = draws_to_tree(problem, drawn.theta, seed=seed, predictive=predictive, sample_stats=drawn.stats)
    if predictive:
        add_log_prior(tree, problem, drawn.theta)
    tree.attrs |= {"seed": seed, "sampling_seconds": seconds, "sampler": NAMES[method], **drawn.attrs}
    if initial is not None:
        tree.attrs |= {
            "fit_seconds": initial.seconds,
            "fit_objective": float(initial.objective[0]),
            "fit_hits": initial.hits,
            "fit_starts": len(initial.objective),
            "fit_redrawn": initial.redrawn,
            "fit_failed": initial.failed,
        }
    return tree


class _Task(NamedTuple):
    """What `sample` was asked for."""

    problem: Problem
    seed: int
    chains: int
    warmup: int
    draws: int
    target_acceptance: float
    max_doublings: int
    moves: int
    initial: Fit | None
    quiet: bool

    @property
    def key(self) -> Array:
        return jax.random.fold_in(jax.random.key(self.seed), 1)


class _Drawn(NamedTuple):
    """Draws on the estimation scale, statistics [chain, draw] and attributes of the tree."""

    theta: Float[np.ndarray, "chain draw parameter"]
    stats: dict[str, np.ndarray]
    attrs: dict[str, Any]


def _nuts(task: _Task) -> _Drawn:
    initial = task.initial
    assert initial is not None  # sample makes one
    found = nuts_around(
        task.problem,
        initial.best,
        initial.curvature,
        task.key,
        seed=task.seed,
        chains=task.chains,
        warmup=task.warmup,
        draws=task.draws,
        target_acceptance=task.target_acceptance,
        max_doublings=task.max_doublings,
        quiet=task.quiet,
    )
    return _Drawn(found.theta, found.stats, {"warmup": task.warmup, "target_acceptance": task.target_acceptance})


def _population(task: _Task, particles: int, moves: int, keep_history: bool = False):
    """Tempered populations, the path they took and the share of the reference that could be integrated."""
    problem = task.problem
    path = path_of(problem, task.initial)
    rng = np.random.default_rng([task.seed, 3])
    reference = draw_reference(path, task.chains * particles, rng, problem.name)
    u = reference.u.reshape(task.chains, particles, -1)
    with progress(f"tempering {problem.name}", 100, task.quiet) as line:
        found: Population = TemperedSMC(path, moves).run(u, task.key, line, keep_history=keep_history)
    return found, path, reference, rng


def _smc(task: _Task) -> _Drawn:
    found, path, reference, _ = _population(task, task.draws, task.moves)
    whitening = logistic(task.problem.lower, task.problem.upper)
    target = jax.jit(jax.vmap(jax.vmap(lambda u: path.target(u, ()))))
    stats = {"lp": np.asarray(target(found.u))}
    attrs = {
        "moves": task.moves,
        "stages": found.stages,
        "acceptance_rate": float(found.acceptance[-1]),
        "rejected_failures": found.rejected_failures,
        "proposals": found.proposals,
        "reference_share": reference.succeeded / reference.tried,
        **_evidence(task.problem, found.log_evidence + reference.log_share),
    }
    return _Drawn(thetas_of(whitening, found.u), stats, attrs)


def _tempering(task: _Task) -> _Drawn:
    pilot, path, reference, rng = _population(task, PILOT, 3, keep_history=True)
    with progress(f"exchanging {task.problem.name}", task.warmup + task.draws, task.quiet) as line:
        found = run_tempering(
            path, pilot, jax.random.fold_in(task.key, 1), rng, warmup=task.warmup, draws=task.draws, line=line
        )
    whitening = logistic(task.problem.lower, task.problem.upper)
    attrs = {
        "warmup": task.warmup,
        "inverse_temperatures": found.inverse_temperatures.tolist(),
        "exchange_rate": found.exchange_rate.tolist(),
        "acceptance_rate": float(found.acceptance[-1]),
        "arrivals": found.arrivals.tolist(),
        "rejected_failures": found.rejected_failures,
        "proposals": found.proposals,
        "reference_share": reference.succeeded / reference.tried,
        **_evidence(task.problem, found.log_evidence + reference.log_share),
    }
    if min(found.arrivals) < 1:
        warnings.warn(
            f"in {int(np.sum(found.arrivals < 1))} of {task.chains} chains nothing travelled from the reference to the "
            "posterior; take more draws",
            TwinWarning,
            4,
        )
    return _Drawn(thetas_of(whitening, found.u), {"lp": found.log_density}, attrs)


def _pathfinder(task: _Task) -> _Drawn:
    problem, initial = task.problem, task.initial
    path = path_of(problem)
    rng = np.random.default_rng([task.seed, 3])
    u = draw_reference(path, PATHS, rng, problem.name).u
    whitening = logistic(problem.lower, problem.upper)
    if initial is not None:
        whitening = whiten(initial.best, initial.curvature, problem.lower, problem.upper)
    z = np.linalg.solve(whitening.factor, (u - whitening.centre).T).T

    def log_density(z: Array) -> Array:
        return problem.log_posterior(whitening.theta(z)) + whitening.log_volume(z)

    with progress(f"approximating {problem.name}", PATHS, task.quiet) as line:
        found = run_pathfinder(log_density, z, task.key, draws=task.chains * task.draws, line=line)
    if not found.pareto_k <= WORST_PARETO_K:
        warnings.warn(
            f"the Pareto k of the weights is {found.pareto_k:.2f}, above {WORST_PARETO_K}: the draws are those of the "
            "approximation; sample with another method",
            TwinWarning,
            4,
        )
    shape = (task.chains, task.draws)
    attrs = {
        "pareto_k": found.pareto_k,
        "paths": PATHS,
        "failed_paths": found.failed,
        "bound": float(found.bound.max()),
        "log_evidence": found.log_evidence + float(np.linalg.slogdet(whitening.factor)[1]),
        "log_evidence_error": found.log_evidence_error,
    }
    theta = thetas_of(whitening, found.position.reshape(*shape, -1))
    return _Drawn(theta, {"lp": found.log_density.reshape(shape)}, attrs)


METHODS: dict[str, Callable[[_Task], _Drawn]] = {
    "nuts": _nuts,
    "smc": _smc,
    "tempering": _tempering,
    "pathfinder": _pathfinder,
}
NAMES = {"nuts": "NUTS", "smc": "tempered SMC", "tempering": "parallel tempering", "pathfinder": "Pathfinder"}


def _evidence(problem: Problem, log_evidence: np.ndarray) -> dict[str, Any]:
    mean, error = combine_evidence(log_evidence)
    if len(log_evidence) > 1 and np.ptp(log_evidence) > 2 * INDEPENDENT:
        warnings.warn(
            f"the log evidence of the chains of {problem.name!r} spans {np.ptp(log_evidence):.1f}: some have missed a "
            "part of the posterior; take more draws",
            TwinWarning,
            5,
        )
    return {"log_evidence": mean, "log_evidence_error": error, "log_evidence_chains": log_evidence.tolist()}


def add_log_prior(tree: xr.DataTree, problem: Problem, theta: np.ndarray) -> None:
    """The log prior of every entry on the estimation scale, as `psense` of ArviZ wants it."""
    each = np.asarray(problem.prior.log_density_each(jnp.asarray(theta)))
    variables = {name: (("chain", "draw"), each[..., index]) for index, name in enumerate(problem.names)}
    coords = {dim: tree["posterior"][dim] for dim in ("chain", "draw")}
    tree["log_prior"] = xr.DataTree(xr.Dataset(variables, coords=coords))
