"""A discrepancy inside the dynamics: every chosen state scatters in proportion to itself, and how much has a posterior.

    dX = f(X, theta) dt + s X dW

Unlike a process added to the observable, what scatters is carried on by the mechanism: a state that strayed goes on
from where it is. Deviations from the mean are linearised (`calibration.stochastic.linear_noise`), so that readings have
a closed-form density by a Kalman filter.

References:
    Overgaard, Jonsson, Tornøe & Madsen (2005), doi:10.1007/s10928-005-2104-x (diffusion as a sign of what a mechanism
    misses). Simpson et al. (2017), doi:10.1214/16-STS576 (the prior of its size).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import arviz as az
import jax
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from calibration.optimise import Fit, fit
from calibration.problem import Problem
from calibration.sampling.around_fit import nuts_around
from calibration.stochastic.linear_noise import LinearNoiseLikelihood
from calibration.stochastic.smoother import draw_courses
from calibration.stochastic.start import start_near
from twin.errors import ProblemError, suggestion
from twin.model.parts import Parameter
from twin.precision import in_float64
from twin.study import Estimate, Prior

MEAN = 1 / 3
"""Mean of the exponential prior of the size times the square root of the span: a state that nothing draws back would
stray by more than its own size until the last reading with probability 0.05."""
PRACTICAL, CERTAINTY = 0.1, 0.95
"""Flagged if a state that nothing draws back would stray by more than a tenth, with a probability above 0.95."""
RANGE = (1e-3, 30.0)
"""Bounds of the size, in units of its prior mean; the prior leaves 0.001 below and 1e-13 above."""


def size_name(state: str) -> str:
    """Parameter that is the size of a state's noise."""
    return f"diffusion_{state}"


@dataclass(frozen=True)
class Diffusion:
    """Posterior of a problem whose states scatter.

    Args:
        likelihood: The likelihood it is of; its problem has the sizes among its parameters.
        states: States that scatter.
        theta: Draws of the vector, estimation scale.
        span: Time from the first moment to the last reading, that of the longest series.
        diverging: Number of divergent transitions.
    """

    likelihood: LinearNoiseLikelihood
    states: tuple[str, ...]
    theta: Float[np.ndarray, "chain draw parameter"]
    span: float
    diverging: int

    @property
    def size(self) -> Float[np.ndarray, "chain draw state"]:
        """Draws of the sizes [time^(-1/2)]."""
        problem = self.likelihood.problem
        rows = [problem.names.index(size_name(name)) for name in self.states]
        return np.exp(self.theta[..., rows])  # estimated as logarithms

    def table(self, prob: float = 0.9) -> pd.DataFrame:
        """How far each state strays over the span where nothing draws it back, as a share of itself.

        Args:
            prob: Probability of the central interval.

        Returns:
            Columns state, median, lower, upper (size times the square root of the span), prior_median, practical
            (posterior probability that it exceeds `PRACTICAL`), flagged (that probability is above `CERTAINTY`), r_hat,
            ess_bulk.
        """
        rows, strayed = [], self.size * math.sqrt(self.span)
        for index, name in enumerate(self.states):
            draws = strayed[..., index]
            lower, median, upper = np.quantile(draws, [0.5 * (1 - prob), 0.5, 0.5 * (1 + prob)])
            data = xr.DataArray(draws, dims=("chain", "draw"), name="size").to_dataset()
            practical = float(np.mean(draws > PRACTICAL))
            rows.append(
                {
                    "state": name,
                    "median": median,
                    "lower": lower,
                    "upper": upper,
                    "prior_median": MEAN * math.log(2),
                    "practical": practical,
                    "flagged": practical > CERTAINTY,
                    "r_hat": float(az.rhat(data)["size"]),
                    "ess_bulk": float(az.ess(data)["size"]),
                }
            )
        return pd.DataFrame(rows)

    def course(
        self, state: str, series: tuple[str, str] | None = None, *, draws: int = 200, seed: int = 0
    ) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, "draw time"]]:
        """How far a state strayed from the mean, as a share of the mean, at the times of readings.

        Args:
            state: A state that scatters or is carried along.
            series: Of which (experiment, subject); default the first.
            draws: How many draws.
            seed: Seed.

        Returns:
            Times and drawn courses.

        Raises:
            ProblemError: no such state or series.
        """
        problem = self.likelihood.problem
        names, known = problem.model.state_names, problem.bindings.series
        if state not in names:
            raise ProblemError(f"there is no state {state!r}", where="course", fix=suggestion(state, names))
        if series is not None and tuple(series) not in known:
            raise ProblemError(f"there is no series {series}", where="course", expected=f"one of {known}")
        flat = self.theta.reshape(-1, self.theta.shape[-1])
        chosen = flat[np.random.default_rng([seed, 6]).integers(len(flat), size=draws)]
        found = draw_courses(self.likelihood, chosen, 0 if series is None else known.index(tuple(series)), seed)
        time, first = np.unique(found.time, return_index=True)
        row = names.index(state)
        mean = found.mean[:, first, row]
        return time, found.deviation[:, first, row] / np.where(mean == 0, np.nan, mean)


@in_float64
def sample_diffusion(
    problem: Problem,
    states: Sequence[str] | None = None,
    *,
    seed: int = 0,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    starts: int = 24,
    initial: Fit | None = None,
    quiet: bool = False,
) -> Diffusion:
    """Sample parameters and the sizes of noise in the states together, by NUTS.

    Args:
        problem: The problem; noise normal or log-normal, no censored readings, experiments that set parameters at most.
        states: Which states scatter; default all.
        seed: Seed of everything random.
        chains: Chains.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        starts: Starts of the fit, if none is given.
        initial: A fit of the problem without noise in its states.
        quiet: Show no progress.

    Raises:
        ProblemError: no such state, or fewer than three times of readings.
        UnsupportedModelError: the model has events, delays, constraints or rates that depend on time, or what is read
            or done does not allow a Kalman filter.
        SimulationError: no starting point can be integrated.

    Example:
        >>> found = calibration.discrepancy.sample_diffusion(problem)
        >>> found.table()
    """
    widened, chosen, span = _with_sizes(problem, states)
    likelihood = LinearNoiseLikelihood(widened, {name: size_name(name) for name in chosen})
    best = initial if initial is not None else fit(problem, starts=starts, seed=seed, quiet=quiet)
    theta = np.array(widened.nominal)
    theta[[widened.names.index(name) for name in problem.names]] = best.best
    start = start_near(likelihood, theta)
    found = nuts_around(
        likelihood,
        start.theta,
        start.curvature,
        jax.random.fold_in(jax.random.key(seed), 6),
        seed=seed,
        chains=chains,
        warmup=warmup,
        draws=draws,
        target_acceptance=0.9,
        max_doublings=8,
        quiet=quiet,
    )
    return Diffusion(likelihood, chosen, found.theta, span, int(found.stats["diverging"].sum()))


def _with_sizes(problem: Problem, states: Sequence[str] | None) -> tuple[Problem, tuple[str, ...], float]:
    """The problem with a size per state, these states, and the time that its longest series takes."""
    model, table = problem.model, problem.bindings
    chosen = tuple(model.state_names if states is None else states)
    for name in chosen:
        if name not in model.state_names:
            raise ProblemError(
                f"there is no state {name!r}", where="diffusion", fix=suggestion(name, model.state_names)
            )
    if not chosen:
        raise ProblemError("no state is named", where="diffusion", expected="at least one")
    if len(np.unique(table.times)) < 3:
        raise ProblemError("readings are at fewer than three times", where="diffusion", expected="at least three")
    span = max(float(times.max()) - item.t0 for times, item in zip(table.times.T, table.experiments, strict=True))
    mean = MEAN / math.sqrt(span)
    prior = Prior("exponential", scale=mean, linear=True, source="penalises complexity, doi:10.1214/16-STS576")
    names = [size_name(name) for name in chosen]
    taken = [name for name in names if name in model.formula_names or name in problem.names]
    if taken:
        raise ProblemError(f"the name {taken[0]!r} is taken", where="diffusion", fix="rename that part of the model")
    own = [Estimate(name, RANGE[0] * mean, RANGE[1] * mean, "log", prior, nominal=mean) for name in names]
    parameters = (*model.parameters, *(Parameter(name, mean) for name in names))
    widened = problem.rebuilt(model=replace(model, parameters=parameters), estimates=[*problem.estimates, *own])
    return widened, chosen, span
