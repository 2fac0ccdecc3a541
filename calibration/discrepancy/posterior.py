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

from calibration.discrepancy.along import Along
from calibration.discrepancy.kernel import (
    Places,
    Scales,
    condition,
    interpolation,
    length_prior,
    reach_prior,
    root_of,
)
from calibration.discrepancy.likelihood import MarginalLikelihood
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
PRIOR_DRAWS = 20_000


@dataclass(frozen=True)
class Discrepancy:
    """Posterior of a problem with a discrepancy.

    Args:
        likelihood: The likelihood it is of.
        theta: Draws of the vector, estimation scale.
        amplitude: Draws of the amplitude, in units of the noise scale; where every dose has its own, their root mean
            square over the readings.
        length: Draws of the length-scale, in units of time.
        diverging: Number of divergent transitions.
        reach: Draws of the length-scale in the dose, where the discrepancy goes along one; else None.
        at_dose: Draws of the amplitude of every dose; else None.
    """

    likelihood: MarginalLikelihood
    theta: Float[np.ndarray, "chain draw parameter"]
    amplitude: Float[np.ndarray, "chain draw observable"]
    length: Float[np.ndarray, "chain draw observable"]
    diverging: int
    reach: Float[np.ndarray, "chain draw observable"] | None = None
    at_dose: Float[np.ndarray, "chain draw observable dose"] | None = None

    @property
    def scales(self) -> Scales:
        """Amplitudes and length-scales of all observables, chains one after the other: [draw, observable, ...]."""
        amplitude = self.amplitude if self.at_dose is None else self.at_dose
        drawn = [None if x is None else x.reshape(-1, *x.shape[2:]) for x in (amplitude, self.length, self.reach)]
        return Scales(*drawn)  # type: ignore[arg-type]

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
                    "prior_above_noise": self._prior_above_noise(index),
                    "practical": (practical := float(np.mean(draws > PRACTICAL))),
                    "flagged": practical > CERTAINTY,
                    "length": float(np.median(self.length[..., index])),
                    "r_hat": float(az.rhat(data)["amplitude"]),
                    "ess_bulk": float(az.ess(data)["amplitude"]),
                }
            )
        return pd.DataFrame(rows)

    def _prior_above_noise(self, index: int) -> float:
        """Prior probability that the amplitude of an observable exceeds the noise."""
        if self.likelihood.doses is None:
            return float(np.exp(-1 / AMPLITUDE_MEAN))
        shape = (PRIOR_DRAWS, len(self.likelihood.observables), len(self.likelihood.doses))
        drawn = np.random.default_rng(0).exponential(AMPLITUDE_MEAN, shape)
        return float(np.mean(_over_readings(self.likelihood, drawn)[:, index] > 1))

    def by_dose(self, prob: float = 0.9) -> pd.DataFrame:
        """How large the discrepancy is at each dose that was read.

        Args:
            prob: Probability of the central interval.

        Returns:
            Columns observable, dose, readings, median, lower, upper (amplitude at that dose, in noise scales),
            practical (posterior probability that it exceeds `PRACTICAL`), flagged (that probability is above
            `CERTAINTY`).

        Raises:
            ProblemError: it goes along no dose.
        """
        like = self.likelihood
        if like.dose is None or like.doses is None or self.at_dose is None:
            raise ProblemError("the discrepancy goes along no dose", where="by_dose", fix="sample with `along`")
        rows, tails = [], [0.5 * (1 - prob), 0.5, 0.5 * (1 + prob)]
        for index, name in enumerate(like.observables):
            for place, dose in enumerate(like.doses):
                if not (readings := int(np.sum(like.dose[like.rows[index]] == dose))):
                    continue
                draws = self.at_dose[..., index, place]
                lower, median, upper = np.quantile(draws, tails)
                practical = float(np.mean(draws > PRACTICAL))
                rows.append(
                    {
                        "observable": name,
                        "dose": float(dose),
                        "readings": readings,
                        "median": median,
                        "lower": lower,
                        "upper": upper,
                        "practical": practical,
                        "flagged": practical > CERTAINTY,
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
        dose: float | None = None,
        draws: int = 200,
        seed: int = 0,
    ) -> Float[np.ndarray, "draw time"]:
        """Draws of the discrepancy over time, in units of the noise scale.

        Args:
            times: Where.
            observable: Of which observable.
            series: Of which (experiment, subject), where every series has a discrepancy of its own.
            dose: At which dose, where the discrepancy goes along one.
            draws: How many draws.
            seed: Seed.

        Raises:
            ProblemError: no such observable; a series is named and there is one discrepancy for all, or none is named
                and every series has its own; the same of a dose.
        """
        like = self.likelihood
        if observable not in like.observables:
            raise ProblemError(f"{observable!r} is not read", where="course", expected=", ".join(like.observables))
        if (dose is None) != (like.dose is None):
            raise ProblemError(
                "the discrepancy goes along a dose, and none is named" if dose is None else "it goes along no dose",
                where="course",
                fix="name a dose" if dose is None else "name none, or sample with `along`",
            )
        index = like.observables.index(observable)
        times, process = np.asarray(times, dtype=float), self._process(series)
        read = like.places.at(rows := like.rows[index])
        others = Places(times, np.full(len(times), process))
        if dose is not None and like.doses is not None:
            at = np.full(len(times), float(dose))
            others = others._replace(dose=at, weight=interpolation(at, like.doses))

        def conditional(residual: Array, scales: Scales, normal: Array) -> Array:
            mean, left = condition(residual, read, others, scales)
            return mean + root_of(left) @ normal

        rng = np.random.default_rng(seed)
        chosen = rng.integers(self.length[..., 0].size, size=draws)
        normal = rng.normal(size=(draws, len(times)))
        theta = self.theta.reshape(-1, self.theta.shape[-1])[chosen]
        residual = like.residuals_many(jnp.asarray(theta))[0][:, rows]
        scales = jax.tree.map(lambda x: jnp.asarray(x[chosen, index]), self.scales)
        return np.asarray(SharedProgram(jax.vmap(conditional))(residual, scales, jnp.asarray(normal)))

    def _process(self, series: tuple[str, str] | None) -> int:
        """Number of the process of a series."""
        like = self.likelihood
        table = like.problem.bindings
        if like.shared:
            if series is not None:
                raise ProblemError(
                    f"all series have one discrepancy, {series} too", where="course", fix="name no series"
                )
            return 0
        if series is None:
            raise ProblemError(
                "every series has its own discrepancy",
                where="course",
                fix="name a series, or sample with shared=True",
            )
        if tuple(series) not in table.series:
            raise ProblemError(f"there is no series {series}", where="course", expected=f"one of {table.series}")
        return table.series.index(tuple(series))


@in_float64
def sample_discrepancy(
    problem: Problem,
    *,
    shared: bool = True,
    along: Along | None = None,
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
        along: A number of the series along which the one discrepancy may differ, with a length-scale of its own: a
            mapping of experiments to numbers (doses), the name of a parameter or state that experiments set, a formula
            of the subjects' covariates, or "study" for the numbers that the study gives its experiments. Where they
            span powers of ten, take logarithms.
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
    likelihood = MarginalLikelihood(problem, shared=shared, along=along)
    priors = [length_prior(likelihood.time[rows]) for rows in likelihood.rows]
    if likelihood.dose is not None:
        priors += [reach_prior(likelihood.dose[rows]) for rows in likelihood.rows]
    centre, spread = (np.array(x) for x in zip(*priors, strict=True))
    best = initial if initial is not None else fit(problem, starts=starts, seed=seed, quiet=quiet)
    whitening = whiten(best.best, best.curvature, problem.lower, problem.upper)
    size, count = len(problem.names), len(likelihood.observables)

    # Amplitudes: one per observable, or one per observable and dose.
    shape = (count,) if likelihood.doses is None else (count, len(likelihood.doses))
    first = size + int(np.prod(shape))

    def parts(z: Array) -> tuple[Array, Array, Array, Array | None]:
        amplitude, lengths = jnp.exp(z[size:first]).reshape(shape), jnp.exp(centre + spread * z[first:])
        reach = None if likelihood.dose is None else lengths[count:]
        return whitening.theta(z[:size]), amplitude, lengths[:count], reach

    def log_density(z: Array, _: None = None) -> Array:
        theta, amplitude, length, reach = parts(z)
        # Exponential prior of the amplitudes with the volume of their logarithms; standard normal log length-scales.
        prior = jnp.sum(z[size:first]) - jnp.sum(amplitude) / AMPLITUDE_MEAN - 0.5 * jnp.sum(z[first:] ** 2)
        prior += problem.log_prior(theta) + whitening.log_volume(z[:size])
        return likelihood(theta, amplitude, length, reach) + prior

    rng = np.random.default_rng([seed, 5])
    candidates = jnp.asarray(SPREAD * rng.normal(size=(TRIES * chains, first + len(priors))))
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
    drawn = jax.vmap(jax.vmap(parts))(jnp.asarray(trace.position))
    theta, amplitude, length, reach = (None if x is None else np.asarray(x) for x in drawn)
    diverging = int(trace.diverging.sum())
    if reach is None:
        return Discrepancy(likelihood, theta, amplitude, length, diverging)  # type: ignore[arg-type]
    overall = _over_readings(likelihood, amplitude)  # type: ignore[arg-type]
    return Discrepancy(likelihood, theta, overall, length, diverging, reach, amplitude)  # type: ignore[arg-type]


def _over_readings(
    likelihood: MarginalLikelihood, at_dose: Float[np.ndarray, "*draw observable dose"]
) -> Float[np.ndarray, "*draw observable"]:
    """Root mean square of the amplitudes over the readings of each observable."""
    weight = likelihood.places.weight
    share = np.stack([weight[rows].mean(axis=0) for rows in likelihood.rows])  # type: ignore[index]
    return np.sqrt(np.sum(share * at_dose**2, axis=-1))
