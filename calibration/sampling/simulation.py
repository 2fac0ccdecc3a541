"""Simulation-based calibration: are posteriors of simulated data right on average?

Vectors are drawn from the prior, readings are simulated from them at the problem's own design, and each simulation gets
a posterior of its own. If simulator, likelihood, prior and sampler agree, the rank of the true value among the
posterior draws is uniform, for every entry and for any function of vector and readings; the log-likelihood is such a
function that sees errors which the entries miss.

Simulations are lanes: the readings are an argument of one compiled program. Each simulation has a tempered population
from the prior, which finds its modes without a fit, and for "nuts" chains that begin in that population, in coordinates
whitened by it. Where the integration fails there is no posterior; vectors are drawn from the rest of the prior.

References:
    Talts, Betancourt, Simpson, Vehtari & Gelman, arXiv:1804.06788 (2018), algorithm 1; Modrak et al., Bayesian Analysis
    20:461-488 (2025), for the log-likelihood as a test quantity.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float, Int
from scipy import stats

from calibration.problem import Problem
from calibration.sampling.nuts import NUTS
from calibration.sampling.path import Path, path_of
from calibration.sampling.smc import TemperedSMC
from calibration.sampling.whitening import logistic, to_unbounded
from calibration.varied_readings import Varied, VariedReadings
from twin.errors import ProblemError, SimulationError
from twin.precision import in_float64
from twin.progress import Progress, progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANKED = 63
"""Draws among which the true value is ranked: 64 ranks fall into bins of equal width."""
BINS = 16
PER_BIN = 5
"""Least expected count of a bin; with fewer simulations there are fewer bins (Cochran 1954)."""
PARTICLES = {"smc": 2 * (RANKED + 1), "nuts": 64}
"""Particles are resampled, so neighbours may be siblings: ranks use every second."""
MOVES = {"smc": 6, "nuts": 3}
CHAINS, WARMUP, DRAWS = 2, 100, 252
TARGET_ACCEPTANCE, MAX_DOUBLINGS = 0.9, 7
LANES = 1536
"""Trajectories solved side by side, at most."""
TRIES = 50
LOG_LIKELIHOOD = "log_likelihood"


@dataclass(frozen=True)
class RankStatistics:
    """Ranks of true values among posterior draws.

    Args:
        names: Entries of the vector, and the log-likelihood.
        ranks: From 0 to `draws`, uniform if all is well.
        draws: Draws among which each value was ranked.
        truth: True vectors, estimation scale.
        mean: Posterior means, estimation scale.
        sd: Posterior standard deviations, estimation scale.
        prior_sd: Standard deviations of the vectors drawn.
        redrawn: Vectors drawn again because their readings could not be simulated.
        method: The sampler.
        problem: Name of the problem.
        seconds: Wall time.
    """

    names: tuple[str, ...]
    ranks: Int[np.ndarray, "simulation quantity"]
    draws: int
    truth: Float[np.ndarray, "simulation parameter"]
    mean: Float[np.ndarray, "simulation parameter"]
    sd: Float[np.ndarray, "simulation parameter"]
    prior_sd: Float[np.ndarray, " parameter"]
    redrawn: int
    method: str
    problem: str
    seconds: float

    @property
    def bins(self) -> int:
        """Bins of the test: a power of two that divides the ranks, with enough simulations in each."""
        bins = BINS
        while bins > 2 and len(self.ranks) / bins < PER_BIN:
            bins //= 2
        return bins

    def counts(self) -> Int[np.ndarray, "quantity bin"]:
        """Simulations in each bin of ranks."""
        binned = self.ranks * self.bins // (self.draws + 1)
        return np.stack([np.bincount(column, minlength=self.bins) for column in binned.T])

    @property
    def p_values(self) -> dict[str, float]:
        """Probability of ranks at least as uneven, by a chi-squared test of each quantity."""
        return {name: float(stats.chisquare(row).pvalue) for name, row in zip(self.names, self.counts(), strict=True)}

    def is_calibrated(self, level: float = 0.01) -> bool:
        """Whether no quantity is rejected at a level for all together (Holm's step is not needed: Bonferroni)."""
        return min(self.p_values.values()) >= level / len(self.names)

    def table(self) -> pd.DataFrame:
        """One row per quantity: p-value, mean rank (0.5 if unbiased), and what a posterior narrows.

        ``contraction`` is 1 - (posterior variance / prior variance), ``z_score`` the mean of (posterior mean - truth) /
        posterior standard deviation.
        """
        z = (self.mean - self.truth) / self.sd
        contraction = 1 - np.median(self.sd, axis=0) ** 2 / self.prior_sd**2
        frame = pd.DataFrame(
            {
                "p_value": list(self.p_values.values()),
                "mean_rank": self.ranks.mean(axis=0) / self.draws,
                "z_score": [*z.mean(axis=0), np.nan],
                "contraction": [*contraction, np.nan],
            },
            index=pd.Index(self.names, name="quantity"),
        )
        return frame

    def to_dataset(self) -> xr.Dataset:
        """Ranks, truths and moments of the posteriors."""
        entries = list(self.names[:-1])
        return xr.Dataset(
            {
                "rank": (("simulation", "quantity"), self.ranks),
                "truth": (("simulation", "entry"), self.truth),
                "mean": (("simulation", "entry"), self.mean),
                "sd": (("simulation", "entry"), self.sd),
            },
            coords={"quantity": list(self.names), "entry": entries},
            attrs={"draws": self.draws, "method": self.method, "problem": self.problem, "redrawn": self.redrawn},
        )

    def plot(self) -> Figure:
        """Differences of the ranks' distribution functions from the uniform one, with simultaneous bands."""
        from calibration.sampling.figures import rank_figure

        return rank_figure(self)

    def __str__(self) -> str:
        verdict = "uniform" if self.is_calibrated() else "NOT uniform"
        worst = min(self.p_values, key=lambda name: self.p_values[name])
        again = f"; {self.redrawn} vectors could not be simulated" if self.redrawn else ""
        return (
            f"{self.problem}: ranks of {len(self.ranks)} simulations ({self.method}) are {verdict} at 1 %, least "
            f"p-value {self.p_values[worst]:.2g} ({worst}) of {len(self.names)}{again}; {self.seconds:.0f} s"
        )


class _Chain(NamedTuple):
    """What a chain of one simulation needs: its readings and its coordinates."""

    readings: Varied
    centre: Float[Array, "chain parameter"]
    factor: Float[Array, "chain parameter parameter"]


@in_float64
def sbc(
    problem: Problem, simulations: int = 200, seed: int = 0, *, method: str = "smc", quiet: bool = False
) -> RankStatistics:
    """Check posteriors against the truths that their data were simulated from.

    Args:
        problem: Its design, priors and noise are used; its readings only where they are limits of detection.
        simulations: How many.
        seed: Seed of everything.
        method: "smc", or "nuts", whose trajectories wait for the longest of all simulations: several times slower.
        quiet: Show no progress.

    Raises:
        ProblemError: too few simulations, or an unknown method.
        SimulationError: hardly any vector of the prior can be simulated.

    Example:
        >>> found = calibration.sbc(problem, simulations=200)
        >>> print(found)
        >>> found.plot().savefig("ranks.png")
    """
    if simulations < 2 * PER_BIN:
        raise ProblemError(f"simulations is {simulations}", where="sbc", expected=f"at least {2 * PER_BIN}")
    if method not in PARTICLES:
        raise ProblemError(f"the method is {method!r}", where="sbc", expected=" or ".join(PARTICLES))
    begin = time.perf_counter()
    rng = np.random.default_rng([seed, 5])
    work = _Work(problem, method)
    truth, readings, redrawn = _simulate(work, simulations, seed, rng)
    batch = max(1, min(simulations, LANES // PARTICLES[method]))
    parts: list[np.ndarray] = []
    with progress(f"calibrating {problem.name}", simulations, quiet) as line:
        for start in range(0, simulations, batch):
            # The last batch is filled up, so that nothing is compiled again.
            rows = np.arange(start, start + batch) % simulations
            chosen = jax.tree.map(lambda x: x[rows], readings)  # noqa: B023, used within the turn
            drawn = work.posteriors(chosen, jax.random.key(seed * 10_007 + start), rng)
            parts.append(drawn[: simulations - start])
            line.update(min(start + batch, simulations))
    theta = np.concatenate(parts)
    likelihood = work.log_likelihoods(np.concatenate([truth[:, None], theta], axis=1), readings, batch)
    ranks = np.sum(theta < truth[:, None], axis=1)
    # Ties are broken at random: a likelihood of few censored readings is the same for many vectors.
    noise = rng.uniform(size=likelihood.shape)
    lower = likelihood[:, 1:] < likelihood[:, :1]
    tied = (likelihood[:, 1:] == likelihood[:, :1]) & (noise[:, 1:] < noise[:, :1])
    return RankStatistics(
        names=(*problem.names, LOG_LIKELIHOOD),
        ranks=np.column_stack([ranks, np.sum(lower | tied, axis=1)]),
        draws=theta.shape[1],
        truth=truth,
        mean=theta.mean(axis=1),
        sd=theta.std(axis=1, ddof=1),
        prior_sd=truth.std(axis=0, ddof=1),
        redrawn=redrawn,
        method=method,
        problem=problem.name,
        seconds=time.perf_counter() - begin,
    )


class _Work:
    """The compiled parts that all batches share."""

    def __init__(self, problem: Problem, method: str) -> None:
        self.problem, self.method = problem, method
        self.likelihood = VariedReadings(problem)
        self.bare = logistic(problem.lower, problem.upper)
        own = path_of(problem)

        def target(u: Array, readings: Varied) -> Array:
            return own.reference(u) + self.likelihood(self.bare.theta(u), readings)

        self.path = Path(own.reference, target, own.draw)
        self.population = TemperedSMC(self.path, MOVES[method])
        self.chains = NUTS(
            lambda z, chain: target(chain.centre + chain.factor @ z, chain.readings),
            target_acceptance=TARGET_ACCEPTANCE,
            max_doublings=MAX_DOUBLINGS,
        )
        self.succeeds = jax.jit(lambda u: jnp.isfinite(problem.log_likelihood_many(jax.vmap(self.bare.theta)(u))))
        self._thetas = jax.jit(jax.vmap(jax.vmap(self.bare.theta)))
        of_tables = jax.vmap(jax.vmap(self.likelihood, in_axes=(0, None)))
        self._likelihoods = jax.jit(of_tables)

    def posteriors(self, readings: Varied, key: Array, rng: np.random.Generator) -> np.ndarray:
        """Thinned posterior draws of each table of readings [table, draw, parameter], estimation scale."""
        runs, particles = len(readings.value), PARTICLES[self.method]
        u = self.reference_draws(runs * particles, rng).reshape(runs, particles, -1)
        first, second = jax.random.split(key)
        found = self.population.run(u, first, Progress("", 1, quiet=True), data=readings).u
        if self.method == "smc":
            chosen = found[:, :: particles // (RANKED + 1)][:, :RANKED]
        else:
            chosen = self._run_chains(found, readings, second, rng)
        return np.asarray(self._thetas(chosen))

    def _run_chains(self, u: np.ndarray, readings: Varied, key: Array, rng: np.random.Generator) -> np.ndarray:
        runs, particles, size = u.shape
        centre = u.mean(axis=1)
        away = u - centre[:, None]
        covariance = np.einsum("rni,rnj->rij", away, away) / particles
        trust = particles / (particles + size + 5.0)
        diagonal = np.einsum("rii->ri", covariance)[:, :, None] * np.eye(size)
        factor = np.linalg.cholesky(trust * covariance + (1 - trust) * diagonal + 1e-12 * np.eye(size))
        repeated: Any = jax.tree.map(
            lambda x: np.repeat(np.asarray(x), CHAINS, axis=0),
            _Chain(readings, centre, factor),  # type: ignore[arg-type]
        )
        begin = np.stack([each[rng.choice(particles, CHAINS, replace=False)] for each in u]).reshape(-1, size)
        z = np.linalg.solve(repeated.factor, (begin - repeated.centre)[..., None])[..., 0]
        trace = self.chains.run(z, key, warmup=WARMUP, draws=DRAWS, line=Progress("", 1, quiet=True), data=repeated)
        back = repeated.centre[:, None] + np.einsum("cij,cnj->cni", repeated.factor, trace.position)
        pooled = back.reshape(runs, CHAINS * DRAWS, size)
        return pooled[:, :: CHAINS * DRAWS // RANKED][:, :RANKED]

    def reference_draws(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Vectors of the prior that can be integrated, in u."""
        kept: list[np.ndarray] = []
        for _ in range(TRIES):
            u = self.path.draw(rng, count)
            kept.extend(u[np.asarray(self.succeeds(u))])
            if len(kept) >= count:
                return np.stack(kept[:count])
        raise _hardly_any(self.problem, len(kept), TRIES * count)

    def log_likelihoods(self, theta: np.ndarray, readings: Varied, batch: int) -> np.ndarray:
        """Log-likelihood of vectors [table, draw, parameter] for their tables."""
        count = len(theta)
        parts = []
        for start in range(0, count, batch):
            rows = np.arange(start, start + batch) % count
            chosen = jax.tree.map(lambda x: x[rows], readings)  # noqa: B023, used within the turn
            parts.append(np.asarray(self._likelihoods(theta[rows], chosen))[: count - start])
        return np.concatenate(parts)


def _simulate(work: _Work, count: int, seed: int, rng: np.random.Generator) -> tuple[np.ndarray, Varied, int]:
    """Vectors of the prior with readings simulated from them, and how many were drawn again."""
    draw = jax.jit(work.likelihood.draw)
    problem = work.problem
    thetas: list[np.ndarray] = []
    tables: list[Varied] = []
    kept = redrawn = 0
    for attempt in range(TRIES):
        theta = problem.prior.draw(rng, count)
        # Drawn values go through the coordinates of the sampler, which may round them at the bounds.
        theta = np.asarray(jax.vmap(work.bare.theta)(to_unbounded(theta, problem.lower, problem.upper)))
        readings, possible = draw(jax.random.fold_in(jax.random.key(seed + 1), attempt), theta)
        good = np.flatnonzero(np.asarray(possible))[: count - kept]
        redrawn += count - int(np.sum(possible)) if kept + len(good) < count else int(np.sum(~np.asarray(possible)))
        thetas.append(theta[good])
        tables.append(jax.tree.map(lambda x: np.asarray(x)[good], readings))  # noqa: B023, used within the turn
        kept += len(good)
        if kept == count:
            return np.concatenate(thetas), jax.tree.map(lambda *x: np.concatenate(x), *tables), redrawn
    raise _hardly_any(problem, kept, TRIES * count)


def _hardly_any(problem: Problem, kept: int, tried: int) -> SimulationError:
    return SimulationError(
        f"only {kept} of {tried} vectors of the prior could be simulated",
        where=problem.name,
        fix="narrow the priors or raise max_steps",
    )
