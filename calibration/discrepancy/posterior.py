"""The posterior of parameters and discrepancy together, its size and where in time it sits."""

from __future__ import annotations

from dataclasses import dataclass

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from calibration.discrepancy.likelihood import MarginalLikelihood, covariance, matern
from calibration.optimise import Fit, fit
from calibration.problem import Problem
from calibration.sampling.nuts import NUTS
from calibration.sampling.whitening import whiten
from twin.errors import ProblemError, SimulationError
from twin.precision import in_float64
from twin.progress import progress

AMPLITUDE_MEAN = 1.0
"""Mean of the exponential prior of the amplitude, in units of the noise: above 3 with probability 0.05. The exponential
is the penalised-complexity prior of a standard deviation (Simpson et al. 2017, doi:10.1214/16-STS576)."""
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
            that the amplitude exceeds 1), prior_above_noise, length (posterior median), r_hat, ess_bulk.
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
                    "length": float(np.median(self.length[..., index])),
                    "r_hat": float(az.rhat(data)["amplitude"]),
                    "ess_bulk": float(az.ess(data)["amplitude"]),
                }
            )
        return pd.DataFrame(rows)

    @in_float64
    def course(
        self, times: Float[np.ndarray, " time"], observable: str, *, draws: int = 200, seed: int = 0
    ) -> Float[np.ndarray, "draw time"]:
        """Draws of a shared discrepancy over time, in units of the noise scale.

        Args:
            times: Where.
            observable: Of which observable.
            draws: How many draws.
            seed: Seed.

        Raises:
            ProblemError: no such observable, or every series has a discrepancy of its own.
        """
        like = self.likelihood
        if observable not in like.observables:
            raise ProblemError(f"{observable!r} is not read", where="course", expected=", ".join(like.observables))
        if not like.shared:
            raise ProblemError("every series has its own discrepancy", where="course", fix="sample with shared=True")
        index = like.observables.index(observable)
        rows, times = like.rows[index], np.asarray(times, dtype=float)
        across = jnp.asarray(np.abs(like.time[rows][:, None] - times[None, :]))
        among = jnp.asarray(np.abs(times[:, None] - times[None, :]))

        @jax.jit
        def conditional(theta: Array, amplitude: Array, length: Array, normal: Array) -> Array:
            residual = like.residuals(theta)[0][rows]
            root = jnp.linalg.cholesky(covariance(like.distances[index], amplitude, length))
            half = jax.scipy.linalg.solve_triangular(root, amplitude**2 * matern(across, length), lower=True)
            mean = half.T @ jax.scipy.linalg.solve_triangular(root, residual, lower=True)
            left = amplitude**2 * matern(among, length) - half.T @ half
            # What the readings determine has rounding errors for eigenvalues.
            values, vectors = jnp.linalg.eigh(left)
            return mean + vectors @ (jnp.sqrt(jnp.maximum(values, 0.0)) * normal)

        rng = np.random.default_rng(seed)
        flat = [self.theta.reshape(-1, self.theta.shape[-1])]
        flat += [x[..., index].reshape(-1) for x in (self.amplitude, self.length)]
        chosen = rng.integers(len(flat[0]), size=draws)
        normal = rng.normal(size=(draws, len(times)))
        return np.asarray(jax.vmap(conditional)(*(jnp.asarray(x[chosen]) for x in flat), jnp.asarray(normal)))


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
    finite = np.isfinite(np.asarray(jax.jit(jax.vmap(log_density))(candidates)))
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
