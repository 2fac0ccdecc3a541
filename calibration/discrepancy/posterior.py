"""The posterior of parameters and discrepancy together, its size and where in time it sits."""

from __future__ import annotations

from dataclasses import dataclass

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Bool, Float

from calibration.discrepancy.likelihood import MarginalLikelihood, correlation, covariance
from calibration.optimise import Fit, fit
from calibration.problem import Problem
from calibration.sampling.nuts import NUTS
from calibration.sampling.whitening import whiten
from calibration.shared_program import SharedProgram
from twin.errors import ProblemError, SimulationError
from twin.precision import in_float64
from twin.progress import progress

AMPLITUDE_MEAN = 1.0
"""Mean of the exponential prior of the amplitude, in units of the noise: above 3 with probability 0.05. The exponential
is the penalised-complexity prior of a standard deviation (Simpson et al. 2017, doi:10.1214/16-STS576)."""
PRACTICAL, CERTAINTY = 0.5, 0.95
"""A discrepancy is flagged if its amplitude exceeds half the noise scale with a posterior probability above 0.95. A
choice of ours: at half the noise scale it adds an eighth to the standard deviation of a reading. The false-alarm rate
is measured, see docs/discrepancy.md."""
SPREAD = 0.5
TRIES = 20


@dataclass(frozen=True)
class Discrepancy:
    """Posterior of a problem with a discrepancy.

    Args:
        likelihood: The likelihood it is of.
        theta: Draws of the vector, estimation scale.
        amplitude: Draws of the amplitude, in units of the noise scale.
        length: Draws of the length-scale, in units of time.
        diverging: Number of divergent transitions.
    """

    likelihood: MarginalLikelihood
    theta: Float[np.ndarray, "chain draw parameter"]
    amplitude: Float[np.ndarray, "chain draw observable"]
    length: Float[np.ndarray, "chain draw observable"]
    diverging: int

    def table(self, prob: float = 0.9) -> pd.DataFrame:
        """Size of the discrepancy by observable, with a central interval and convergence.

        Returns:
            Columns observable, median, lower, upper (amplitude in noise scales), above_noise (posterior probability
            that the amplitude exceeds 1), prior_above_noise, practical (that it exceeds `PRACTICAL`), flagged (that
            probability is above `CERTAINTY`), length (posterior median), r_hat, ess_bulk.
        """
        rows = []
        tails = [0.5 * (1 - prob), 0.5, 0.5 * (1 + prob)]
        for index, name in enumerate(self.likelihood.observables):
            draws = self.amplitude[..., index]
            lower, median, upper = np.quantile(draws, tails)
            data = xr.DataArray(draws, dims=("chain", "draw"), name="amplitude").to_dataset()
            rows.append(
                {
                    "observable": name,
                    "median": median,
                    "lower": lower,
                    "upper": upper,
                    "above_noise": float(np.mean(draws > 1)),
                    "prior_above_noise": float(np.exp(-1 / AMPLITUDE_MEAN)),
                    "practical": (practical := float(np.mean(draws > PRACTICAL))),
                    "flagged": practical > CERTAINTY,
                    "length": float(np.median(self.length[..., index])),
                    "r_hat": float(az.rhat(data)["amplitude"]),
                    "ess_bulk": float(az.ess(data)["amplitude"]),
                }
            )
        return pd.DataFrame(rows)

    @in_float64
    def course(
        self,
        times: Float[np.ndarray, " time"],
        observable: str,
        series: tuple[str, str] | None = None,
        *,
        draws: int = 200,
        seed: int = 0,
    ) -> Float[np.ndarray, "draw time"]:
        """Draws of the discrepancy over time, in units of the noise scale.

        Args:
            times: Where.
            observable: Of which observable.
            series: Of which (experiment, subject), where every series has a discrepancy of its own.
            draws: How many draws.
            seed: Seed.

        Raises:
            ProblemError: no such observable; a series is named and there is one discrepancy for all, or none is named
                and every series has its own.
        """
        like = self.likelihood
        if observable not in like.observables:
            raise ProblemError(f"{observable!r} is not read", where="course", expected=", ".join(like.observables))
        index = like.observables.index(observable)
        rows, times = like.rows[index], np.asarray(times, dtype=float)
        across = np.abs(like.time[rows][:, None] - times[None, :])
        across = np.where(self._of(series)[rows][:, None], across, np.inf)
        among = np.abs(times[:, None] - times[None, :])

        def conditional(residual: Array, amplitude: Array, length: Array, normal: Array) -> Array:
            mean, left = condition(residual, like.distances[index], across, among, amplitude, length)
            return mean + root_of(left) @ normal

        rng = np.random.default_rng(seed)
        amplitude, length = (x[..., index].reshape(-1) for x in (self.amplitude, self.length))
        chosen = rng.integers(len(length), size=draws)
        normal = rng.normal(size=(draws, len(times)))
        theta = self.theta.reshape(-1, self.theta.shape[-1])[chosen]
        residual = like.residuals_many(jnp.asarray(theta))[0][:, rows]
        given = (residual, *(jnp.asarray(x) for x in (amplitude[chosen], length[chosen], normal)))
        return np.asarray(SharedProgram(jax.vmap(conditional))(*given))

    def _of(self, series: tuple[str, str] | None) -> Bool[np.ndarray, " reading"]:
        """Which readings belong to the process of a series."""
        like = self.likelihood
        table = like.problem.bindings
        if like.shared:
            if series is not None:
                raise ProblemError(
                    f"all series have one discrepancy, {series} too", where="course", fix="name no series"
                )
            return np.ones(len(like.time), dtype=bool)
        if series is None:
            raise ProblemError(
                "every series has its own discrepancy",
                where="course",
                fix="name a series, or sample with shared=True",
            )
        if tuple(series) not in table.series:
            raise ProblemError(f"there is no series {series}", where="course", expected=f"one of {table.series}")
        return table.lane == table.series.index(tuple(series))


def condition(
    residual: Float[Array, " reading"],
    distance: Float[np.ndarray, "reading reading"],
    across: Float[np.ndarray, "reading time"],
    among: Float[np.ndarray, "time time"],
    amplitude: Float[Array, ""],
    length: Float[Array, ""],
) -> tuple[Float[Array, " time"], Float[Array, "time time"]]:
    """Mean and covariance of the process at other times, given standardised residuals.

    Args:
        residual: (reading - prediction) / noise scale.
        distance: Between the times of readings.
        across: From the times of readings to other times; infinite for other processes.
        among: Between the other times.
        amplitude: Standard deviation of the process, in units of the noise scale.
        length: Length-scale, in units of time.

    References:
        Rasmussen & Williams (2006), equations 2.25 and 2.26.
    """
    root = jnp.linalg.cholesky(covariance(distance, amplitude, length))
    link = amplitude**2 * correlation(across, length)
    half = jax.scipy.linalg.solve_triangular(root, link, lower=True)
    mean = half.T @ jax.scipy.linalg.solve_triangular(root, residual, lower=True)
    return mean, amplitude**2 * correlation(among, length) - half.T @ half


def root_of(covariance: Float[Array, "time time"]) -> Float[Array, "time time"]:
    """A matrix whose product with its transpose is a covariance that may be singular."""
    # What the readings determine has rounding errors for eigenvalues.
    values, vectors = jnp.linalg.eigh(covariance)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))


def length_prior(times: Float[np.ndarray, " reading"]) -> tuple[float, float]:
    """Mean and standard deviation of the log length-scale: the middle 95 % reach from the typical distance of
    neighbouring times to the whole span, since readings cannot tell shorter ones from noise or longer ones from a
    constant."""
    distinct = np.unique(times)
    if len(distinct) < 3:
        raise ProblemError(
            f"an observable is read at {len(distinct)} distinct times",
            where="discrepancy",
            expected="at least 3, to tell a discrepancy from noise",
        )
    shortest, longest = np.log(np.median(np.diff(distinct))), np.log(np.ptp(distinct))
    return float(0.5 * (shortest + longest)), float((longest - shortest) / (2 * 1.96))


@in_float64
def sample_discrepancy(
    problem: Problem,
    *,
    shared: bool = True,
    seed: int = 0,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    starts: int = 24,
    initial: Fit | None = None,
    quiet: bool = False,
) -> Discrepancy:
    """Sample parameters and discrepancy together by NUTS; the process itself is integrated out.

    Discrepancy and parameters are confounded: what parameters can explain, either may. The size is therefore that of
    what is left under these priors, and no statement about times beyond the readings.

    Args:
        problem: The problem; noise normal or log-normal, no censored readings.
        shared: One discrepancy per observable for all series, or one for each of them with common amplitude and
            length-scale.
        seed: Seed of everything random.
        chains: Chains.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        starts: Starts of the fit, if none is given.
        initial: A fit of the problem without discrepancy.
        quiet: Show no progress.

    Raises:
        ProblemError: the noise, the readings or their times do not allow it.
        SimulationError: no starting point can be integrated.

    Example:
        >>> found = calibration.discrepancy.sample_discrepancy(problem)
        >>> found.table()
    """
    likelihood = MarginalLikelihood(problem, shared=shared)
    priors = [length_prior(likelihood.time[rows]) for rows in likelihood.rows]
    centre, spread = (np.array(x) for x in zip(*priors, strict=True))
    best = initial if initial is not None else fit(problem, starts=starts, seed=seed, quiet=quiet)
    whitening = whiten(best.best, best.curvature, problem.lower, problem.upper)
    size, count = len(problem.names), len(likelihood.observables)

    def parts(z: Array) -> tuple[Array, Array, Array]:
        log_amplitude, standard = z[size : size + count], z[size + count :]
        return whitening.theta(z[:size]), jnp.exp(log_amplitude), jnp.exp(centre + spread * standard)

    def log_density(z: Array, _: None = None) -> Array:
        theta, amplitude, length = parts(z)
        # Exponential prior of the amplitude with the volume of its logarithm; standard normal log length-scale.
        prior = jnp.sum(z[size : size + count] - amplitude / AMPLITUDE_MEAN) - 0.5 * jnp.sum(z[size + count :] ** 2)
        prior += problem.log_prior(theta) + whitening.log_volume(z[:size])
        return likelihood(theta, amplitude, length) + prior

    rng = np.random.default_rng([seed, 5])
    candidates = jnp.asarray(SPREAD * rng.normal(size=(TRIES * chains, size + 2 * count)))
    finite = np.isfinite(np.asarray(SharedProgram(jax.vmap(log_density))(candidates)))
    if finite.sum() < chains:
        raise SimulationError(
            f"{int(finite.sum())} of {len(finite)} points near the fit could be integrated, for {chains} chains",
            where=problem.name,
            fix="raise max_steps or narrow the priors",
        )
    sampler = NUTS(log_density, target_acceptance=0.9, max_doublings=8)
    key = jax.random.fold_in(jax.random.key(seed), 5)
    with progress(f"discrepancy of {problem.name}", warmup + draws, quiet) as line:
        trace = sampler.run(np.asarray(candidates)[finite][:chains], key, warmup=warmup, draws=draws, line=line)
    theta, amplitude, length = jax.vmap(jax.vmap(parts))(jnp.asarray(trace.position))
    return Discrepancy(
        likelihood, np.asarray(theta), np.asarray(amplitude), np.asarray(length), int(trace.diverging.sum())
    )
