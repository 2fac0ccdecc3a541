"""Pseudo-marginal Metropolis-Hastings: exact posteriors from unbiased estimates of the likelihood.

A random walk whose acceptance takes estimates in the place of likelihoods, and keeps that of the present point, has the
exact posterior as its law (Andrieu & Roberts 2009). Its steps are normal with the covariance of what all chains have
seen while warming up, scaled as is best when estimates are noisy.

References:
    Andrieu & Roberts (2009), doi:10.1214/07-AOS574. Sherlock, Thiery, Roberts & Rosenthal (2015),
    doi:10.1214/14-AOS1278: steps of 2.562 / sqrt(d). Haario, Saksman & Tamminen (2001), doi:10.2307/3318737.
"""

from __future__ import annotations

import time
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from calibration.compiled import kept_program
from calibration.optimise.starts import strictly_inside
from calibration.problem import Problem
from calibration.stochastic.particle_filter import ParticleFilter
from calibration.stochastic.particle_number import Pilot, filter_of, pilot
from calibration.stochastic.start import guessed_covariance, start_of
from calibration.stochastic.tree import tree_of_draws
from twin.errors import ProblemError, SimulationError, TwinWarning
from twin.precision import in_float64
from twin.progress import Progress, progress

CHUNK = 25
STEP = 2.562
FORGIVEN = 100.0
"""Draws that weigh as much as the guess of the covariance."""
NOISY, HOPELESS = 3.3, 100.0
"""Variance of the log-likelihood beyond which chains stick (Sherlock et al. 2015), and beyond which nothing moves."""


@in_float64
def sample_pseudo_marginal(
    problem: Problem | ParticleFilter,
    seed: int = 0,
    *,
    particles: int | None = None,
    chains: int = 4,
    warmup: int = 500,
    draws: int = 1000,
    method: str = "direct",
    max_events: int = 100_000,
    start: Float[ArrayLike, " parameter"] | None = None,
    covariance: Float[ArrayLike, "parameter parameter"] | None = None,
    predictive: bool = True,
    quiet: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a jump process, without approximation: any noise model, censored readings.

    Args:
        problem: Model, readings, estimates and noise of measurement; or a filter of it, whose `particles`, `method` and
            `max_events` then count.
        seed: Seed of everything.
        particles: Particles per series; by default as many as make the variance of the log-likelihood about 1.
        chains: Number of chains; they run side by side.
        warmup: Steps for adaptation, per chain.
        draws: Steps kept, per chain.
        method: "direct" (exact) or "tau_leap".
        max_events: Most reactions per particle from one reading time to the next.
        start: Vector near the middle of the posterior, estimation scale; by default the best one by the linear noise
            approximation, or by the problem's own likelihood where that does not apply.
        covariance: Guess of the posterior's covariance there, from which the chains start scattered.
        predictive: Also draw readings, each of a course by chance of its own.
        quiet: Show no progress.

    Returns:
        A tree as that of `calibration.sample`, without draws from the prior and without the densities of single
        readings, which a filter of whole series does not estimate. ``sample_stats`` has ``log_likelihood_estimate``,
        ``accepted`` and ``lp``. ``attrs`` has ``particles``, ``log_likelihood_variance`` (of estimates in the middle of
        the posterior), ``acceptance_rate`` and ``failed_particles`` (share of ways from one reading time to the next
        that failed).

    Raises:
        UnsupportedModelError: the model is no jump process, experiments do more than set parameters, or the size of a
            compartment is estimated.
        ProblemError: shapes that do not fit, a covariance that is not positive definite, or a count below 1.
        SimulationError: no estimate at the start is finite, too many particles would be needed, or a chain finds no
            finite estimate.

    Example:
        >>> tree = calibration.sample_pseudo_marginal(problem)
        >>> tree.attrs["particles"], tree.attrs["log_likelihood_variance"]
    """
    counts = {"chains": chains, "warmup": warmup, "draws": draws}
    for what, given in counts.items():
        if given < 1:
            raise ProblemError(f"{what} is {given}", where="sample_pseudo_marginal", expected="at least 1")
    made = None if isinstance(problem, Problem) else problem
    problem = problem if made is None else made.problem
    begin = time.perf_counter()
    first, spread = _beginning(problem, start, covariance, seed, quiet)
    if made is None and particles is not None:
        made = ParticleFilter(problem, particles, method=method, max_events=max_events)
    if made is None:
        before = filter_of(problem, first, seed, method=method, max_events=max_events)
    else:
        before = _checked(pilot(made, first, seed))
    filtered = before.filtered
    prepared = time.perf_counter()
    walk = _Walk(filtered, np.linalg.cholesky(spread), seed)
    count = filtered.particles
    with progress(f"sampling {problem.name}, {count} particles", warmup + draws, quiet) as line:
        walk.begin(first, chains)
        middle = walk.warm_up(warmup, line)
        steps = walk.draw(draws, warmup, line)
    after = pilot(filtered, middle, seed + 1)
    _warn(after, steps)
    stats = {"log_likelihood_estimate": steps.estimate, "accepted": steps.accepted, "lp": steps.log_posterior}
    attrs = {
        "sampler": "pseudo-marginal Metropolis-Hastings",
        "likelihood": "particle filter",
        "warmup": warmup,
        "particles": count,
        "log_likelihood_variance": after.variance,
        "acceptance_rate": float(steps.accepted.mean()),
        "failed_particles": float(steps.failed.mean() / filtered.ways),
        "fit_seconds": prepared - begin,
        "sampling_seconds": time.perf_counter() - prepared,
    }
    return tree_of_draws(filtered, steps.theta, seed=seed, predictive=predictive, sample_stats=stats, attrs=attrs)


class _Steps(NamedTuple):
    """What the chains did.

    Args:
        theta: Where they were, estimation scale.
        estimate: Estimate of the log-likelihood that belongs to it.
        log_posterior: The same and the log-prior.
        accepted: Whether a proposal was taken.
        failed: Ways of particles that failed for the proposal.
    """

    theta: Float[np.ndarray, "chain draw parameter"]
    estimate: Float[np.ndarray, "chain draw"]
    log_posterior: Float[np.ndarray, "chain draw"]
    accepted: Bool[np.ndarray, "chain draw"]
    failed: Int[np.ndarray, "chain draw"]


class _Walk:
    """Chains with one proposal, which they adapt together while they warm up.

    Args:
        filtered: The particle filter.
        factor: Cholesky factor of the guess of the covariance.
        seed: Seed.
    """

    def __init__(self, filtered: ParticleFilter, factor: Float[np.ndarray, "parameter parameter"], seed: int) -> None:
        self.filtered, self.problem, self._guess = filtered, filtered.problem, factor
        self._key, self._seed = jax.random.fold_in(jax.random.key(seed), 3), seed
        self._scale = STEP / np.sqrt(len(factor))
        self._step, self._chunks = self._scale * factor, 0
        self._run = kept_program(filtered, "pseudo marginal", lambda: _chunk_of(filtered))

    def begin(self, first: Float[np.ndarray, " parameter"], chains: int) -> None:
        """Chains scattered as widely as the guess of the posterior; each takes its first proposal with an estimate."""
        rng = np.random.default_rng([self._seed, 1])
        thetas = first + rng.normal(size=(chains, len(first))) @ self._guess.T
        thetas = strictly_inside(thetas, self.problem.lower, self.problem.upper)
        self._state = (thetas, np.full(chains, -np.inf))

    def _advance(self) -> list[np.ndarray]:
        key = jax.random.fold_in(self._key, self._chunks)
        # As NumPy arrays: JAX compiles anew for every mixture of weak types that its own arrays carry.
        state, trace = jax.tree.map(np.asarray, self._run(self._state, key, self._step))
        self._state, self._chunks = state, self._chunks + 1
        return list(trace)

    def warm_up(self, length: int, line: Progress) -> Float[np.ndarray, " parameter"]:
        """Adapt, and return the mean of what was seen in the second half.

        Raises:
            SimulationError: a chain has found no finite estimate.
        """
        seen = []
        for _ in range(-(-length // CHUNK)):
            seen.append(self._advance()[0])
            # The first half of what was seen is forgotten: chains were on their way.
            recent = np.concatenate(seen[len(seen) // 2 :])
            self._step = self._scale * self._adapted(recent.reshape(-1, recent.shape[-1]))
            line.update(self._chunks * CHUNK, "warming up")
        nowhere = ~np.isfinite(self._state[1])
        if nowhere.any():
            raise SimulationError(
                f"{int(nowhere.sum())} of {len(nowhere)} chains found no finite estimate of the likelihood in "
                f"{self._chunks * CHUNK} steps",
                where=self.problem.name,
                fix="give start= and a smaller covariance=, more particles=, or a longer warmup",
            )
        return recent.reshape(-1, recent.shape[-1]).mean(axis=0)

    def _adapted(self, seen: Float[np.ndarray, "draw parameter"]) -> Float[np.ndarray, "parameter parameter"]:
        """Factor of the covariance of what was seen, shrunk towards the guess while little was."""
        weight = len(seen) / (len(seen) + FORGIVEN)
        spread = np.cov(seen, rowvar=False).reshape(self._guess.shape)
        return np.linalg.cholesky(weight * spread + (1 - weight) * self._guess @ self._guess.T)

    def draw(self, length: int, before: int, line: Progress) -> _Steps:
        """Steps with the proposal as it is."""
        kept = []
        for index in range(-(-length // CHUNK)):
            kept.append(self._advance())
            line.update(before + (index + 1) * CHUNK, "drawing")
        theta, estimate, *rest = (np.moveaxis(np.concatenate(x)[:length], 0, 1) for x in zip(*kept, strict=True))
        return _Steps(theta, estimate, estimate + np.asarray(self.problem.prior.log_density(theta)), *rest)


def _chunk_of(filtered: ParticleFilter):
    """From positions with their estimates, a key and a factor of the proposal to positions, and what was seen."""
    prior = filtered.problem.prior

    def walk(state: tuple[Array, Array], key: Array, step: Array):
        def move(state: tuple[Array, Array], key: Array):
            theta, present = state
            shift, particles, choice = jax.random.split(key, 3)
            proposal = theta + jax.random.normal(shift, theta.shape) @ step.T
            density = prior.log_density(proposal)
            # Outside the bounds nothing is simulated but the present point, and the proposal is refused.
            inside = jnp.isfinite(density)
            estimate, failed = filtered.log_likelihood_many(jnp.where(inside[:, None], proposal, theta), particles)
            ratio = estimate + density - present - prior.log_density(theta)
            taken = inside & jnp.isfinite(estimate) & (jnp.log(jax.random.uniform(choice, ratio.shape)) < ratio)
            theta = jnp.where(taken[:, None], proposal, theta)
            present = jnp.where(taken, estimate, present)
            return (theta, present), (theta, present, taken, failed)

        return jax.lax.scan(move, state, jax.random.split(key, CHUNK))

    return walk


def _beginning(
    problem: Problem, start: ArrayLike | None, covariance: ArrayLike | None, seed: int, quiet: bool
) -> tuple[Float[np.ndarray, " parameter"], Float[np.ndarray, "parameter parameter"]]:
    """The start and the guess of the covariance, checked; found where they are not given."""
    size = len(problem.names)
    given = None if start is None else np.asarray(start, dtype=float)
    if given is not None and given.shape != (size,):
        raise ProblemError(f"start has shape {given.shape}", where="sample_pseudo_marginal", expected=f"({size},)")
    if given is not None and not np.all((given >= problem.lower) & (given <= problem.upper)):
        raise ProblemError(
            "start lies outside the bounds", where="sample_pseudo_marginal", expected="a vector on the estimation scale"
        )
    spread = None if covariance is None else np.asarray(covariance, dtype=float)
    if spread is not None and not _positive_definite(spread, size):
        raise ProblemError(
            f"the covariance has shape {spread.shape} or is not positive definite",
            where="sample_pseudo_marginal",
            expected=f"a positive definite ({size}, {size})",
        )
    if given is None or spread is None:
        found = start_of(problem, seed, quiet=quiet)
        given = found.theta if given is None else given
        spread = guessed_covariance(problem, found) if spread is None else spread
    return given, spread


def _positive_definite(given: np.ndarray, size: int) -> bool:
    if given.shape != (size, size) or not np.isfinite(given).all() or not np.allclose(given, given.T):
        return False
    return bool(np.linalg.eigvalsh(given)[0] > 0)


def _checked(found: Pilot) -> Pilot:
    if found.finite == 0.0 or found.variance > HOPELESS:
        raise SimulationError(
            f"at the start {found.finite:.0%} of the estimates of the log-likelihood by {found.filtered.particles} "
            f"particles are finite, with variance {found.variance:.3g}",
            where=found.filtered.problem.name,
            expected=f"a variance below {HOPELESS:g}, at best about 1: chains would not move",
            fix="give another start=, more particles, or none: then as many are taken as are needed",
        )
    return found


def _warn(after: Pilot, steps: _Steps) -> None:
    """Say what makes the draws worth less than they look."""
    name, count = after.filtered.problem.name, after.filtered.particles
    if not after.variance <= NOISY:
        warnings.warn(
            f"in the middle of the posterior of {name!r} estimates of the log-likelihood have variance "
            f"{after.variance:.1f}: above {NOISY} chains stick; take more than {count} particles",
            TwinWarning,
            4,
        )
    if steps.failed.any():
        share = steps.failed.mean() / after.filtered.ways
        warnings.warn(
            f"{share:.2g} of the ways of particles of {name!r} failed (too many reactions, a hazard below zero) and "
            "weigh nothing: where that happens the likelihood is too low; raise max_events",
            TwinWarning,
            4,
        )
