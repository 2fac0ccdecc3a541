"""The exact likelihood of readings of a jump process with few molecules: the master equation over a box of states.

Each series is one cell, which begins in the model's initial state. The law of its state is carried from reading time to
reading time (`twin.stochastic.state_projection`), weighted by the density of the readings there and normalised: the
filter of a hidden Markov chain. Cells that are looked at once (snapshots) and have the same parameters share one law.

References:
    Munsky & Khammash (2006), doi:10.1063/1.2145882. Fox, Neuert & Munsky (2016), doi:10.1063/1.4960505: bounds of the
    likelihood from those of the projection.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from calibration.compiled import compiled
from calibration.lanes import differentiable
from calibration.prediction import Prediction, Values
from calibration.problem import Problem
from calibration.readout import Trajectory
from calibration.stochastic.intervals import check_stochastic
from twin.errors import ProblemError, SimulationError
from twin.precision import float64, in_float64
from twin.stochastic.state_projection import StateProjection

BATCH = 32
"""Vectors of one compiled call of `check`."""
TOLERANCE = 0.01
"""Log-likelihoods may be too low by so much: a hundredth of what moves a 95 % profile interval's end (1.92) is 0.02."""


class MasterEquationLikelihood:
    """The probability of readings of a mechanism whose molecules react by chance, without approximation.

    Args:
        problem: Model, readings, estimates and noise of measurement; all noise models and censored readings are taken.
            Counts without error: normal noise of 0.1, with which no two numbers are confused; densities are then those
            of the counts times 3.99 per reading.
        most: Largest number of molecules of every state. Too small a number is an error, not a bias.
        tolerance: By how much the log-likelihood may be too low for what is left out beyond these numbers.

    Attributes:
        names: Entries of the vector.
        lower: Lower bounds, estimation scale.
        upper: Upper bounds, estimation scale.
        snapshots: Whether every cell is looked at once, so that cells of one experiment share a law.

    Raises:
        UnsupportedModelError: the model is no jump process, states are no numbers of molecules, or experiments do more
            than set parameters.
        ProblemError: `most` does not fit the model, or the initial state is no cell of the box.

    Example:
        >>> likelihood = MasterEquationLikelihood(problem, most={"on": 1, "m": 60})
        >>> likelihood.log_likelihood(problem.nominal)
    """

    def __init__(self, problem: Problem, most: dict[str, int], *, tolerance: float = TOLERANCE) -> None:
        check_stochastic(problem, "master equation")
        self.problem, self.name, self.tolerance = problem, problem.name, float(tolerance)
        self.names, self.lower, self.upper = problem.names, problem.lower, problem.upper
        self.programs: dict[Hashable, Callable] = {}
        self.projection = StateProjection(problem.model, most)
        self._order = _order_of(problem)
        self.snapshots = self._order.shared
        self._check_start()
        self._log_likelihood = differentiable(self.log_likelihood_many, self.log_likelihood_and_gradient_many)

    @in_float64
    def _check_start(self) -> None:
        p = self._parameters(self.problem.predictor.values(jnp.asarray(self.problem.nominal)[None]))
        outside = np.asarray(jnp.sum(self.projection.start(p), axis=0)) == 0
        if outside.any():
            y = np.asarray(self.projection.process.system.initial(p))[:, outside][:, 0]
            raise ProblemError(
                f"the initial state is {dict(zip(self.problem.model.state_names, y.tolist(), strict=True))}",
                where="master equation",
                expected="whole numbers of molecules, none above `most`",
            )

    def log_likelihood(self, theta: Float[ArrayLike, " parameter"]) -> Float[Array, ""]:
        """Logarithm of the density of all readings.

        Raises:
            SimulationError: it may be too low by more than the tolerance (told for numbers, not for tracers; `missing`
                says by how much).
        """
        with float64():
            vector = jnp.asarray(theta, dtype=jnp.float64)
            if vector.shape != (len(self.names),):
                raise ProblemError(f"theta has shape {vector.shape}", where=self.name, expected=f"({len(self.names)},)")
            if not isinstance(vector, jax.core.Tracer):
                self.check(np.asarray(vector)[None])
            return self._log_likelihood(vector)

    def log_prior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Logarithm of the prior density on the estimation scale."""
        return self.problem.log_prior(theta)

    def log_posterior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log-likelihood plus log-prior (not normalised)."""
        return self.log_likelihood(theta) + self.log_prior(theta)

    def check(self, thetas: Float[np.ndarray, "draw parameter"]) -> float:
        """The largest `missing` of some vectors.

        Raises:
            SimulationError: it is above the tolerance.
        """
        size = min(len(thetas), BATCH)
        padded = np.concatenate([thetas, np.repeat(thetas[-1:], -len(thetas) % size, axis=0)])
        worst = max(float(np.max(self.missing(part))) for part in padded.reshape(-1, size, thetas.shape[1]))
        if not worst <= self.tolerance:
            raise SimulationError(
                f"the log-likelihood may be too low by {worst:.2g}: too much flows out of the box of states",
                where=f"master equation of {self.name}",
                expected=f"at most {self.tolerance:g}",
                fix="raise `most`, or narrow the priors",
            )
        return worst

    @compiled
    def missing(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, " draw"]:
        """By how much log-likelihoods may be too low: a bound.

        It takes every way out of the box as one that would have explained all readings from there on as well as the
        best state of the box does.
        """
        return jnp.sum(self._series(thetas)[1], axis=0)

    @compiled
    def log_likelihood_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, " draw"]:
        """Log-likelihood of many vectors, too low by at most `missing`; minus infinity where readings cannot be."""
        return jnp.sum(self._series(thetas)[0], axis=0)

    @compiled
    def log_likelihood_and_gradient_many(
        self, thetas: Float[Array, "draw parameter"]
    ) -> tuple[Float[Array, " draw"], Float[Array, "draw parameter"]]:
        """Log-likelihood and its gradient for many vectors, in forward mode."""

        def push(direction: Array) -> tuple[Array, Array]:
            along = jnp.broadcast_to(direction, thetas.shape)
            return jax.jvp(lambda x: jnp.sum(self._series(x)[0], axis=0), (thetas,), (along,))

        values, gradient = jax.vmap(push, out_axes=(None, 1))(jnp.eye(thetas.shape[1]))
        return values, jnp.where(jnp.isfinite(values)[:, None], gradient, 0.0)

    def _parameters(self, values: Values) -> Float[Array, "parameter lane"]:
        """Parameters of the columns: lanes of the law, one per series or, for snapshots, per experiment."""
        draws = next(iter(values.values())).shape[1]
        p = self.problem.predictor.model_parameters(values, draws)
        return p[:, self._order.first].reshape(len(p), -1)

    def _series(
        self, thetas: Float[Array, "draw parameter"]
    ) -> tuple[Float[Array, "series draw"], Float[Array, "series draw"]]:
        """Log density of the readings of every series, and by how much it may be too low."""
        order, box, draws = self._order, self.projection, thetas.shape[0]
        values = self.problem.predictor.values(thetas)
        p = self._parameters(values)
        hazards, law = box.hazards(p), box.start(p)
        # Weights of the cells by the readings of a series at one time, the largest of them 1.
        weights = self._log_weights(values, draws)
        most = jax.lax.stop_gradient(jnp.max(weights, axis=2, keepdims=True))
        most = jnp.where(jnp.isfinite(most), most, 0.0)
        shares, most = jnp.exp(weights - most), most[:, :, 0]
        lengths = jnp.repeat(jnp.asarray(order.lengths), draws, axis=1)
        if order.shared:
            _, laws = jax.lax.scan(lambda law, length: (box.advance(law, hazards, length),) * 2, law, lengths)
            laws = laws.reshape(len(lengths), box.cells + 1, -1, draws)[order.when, :, order.column]
            density, lost = jnp.einsum("scd,scd->sd", laws[:, :-1], shares[0]), laws[:, -1]
            return _log(density) + most[0], jnp.log1p(lost / density)

        def follow(law: Array, at: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
            length, share = at
            law = box.advance(law, hazards, length)
            share = jnp.moveaxis(share, 0, 1).reshape(box.cells, -1)
            joint = law[:-1] * share
            density = jnp.sum(joint, axis=0)
            known = jnp.where(density > 0, density, 1.0)
            return jnp.concatenate([joint / known, 0 * law[-1:]]), (density, law[-1])

        _, (density, lost) = jax.lax.scan(follow, law, (lengths, shares))
        density, lost = (x.reshape(len(lengths), -1, draws) for x in (density, lost))
        # A way that leaves in one interval can at best have weight 1 at all readings from there on.
        worse = jnp.cumprod(1.0 / density[::-1], axis=0)[::-1]
        return jnp.sum(_log(density) + most, axis=0), jnp.log1p(jnp.sum(lost * worse, axis=0))

    def _log_weights(self, values: Values, draws: int) -> Float[Array, "time series cell draw"]:
        """Log density of the readings of every series at each of its times, given each cell of the box."""
        problem, order, cells = self.problem, self._order, self.projection.cells
        table, readout = problem.bindings, problem.predictor.readout
        wide = {name: jnp.tile(value, (1, cells)) for name, value in values.items()}
        p = problem.predictor.model_parameters(wide, cells * draws)[:, table.lane]
        y = jnp.repeat(jnp.asarray(self.projection.counts, dtype=p.dtype), draws, axis=1)
        times = jnp.asarray(table.times)[table.sample, table.lane]
        t = jnp.broadcast_to(times[:, None], p.shape[1:])
        trajectory = Trajectory(t, jnp.broadcast_to(y[:, None], (len(y), *t.shape)), p)
        value, scale = readout(trajectory, readout.direct(wide, trajectory))
        each = problem.pointwise(Prediction(value.T, scale.T, jnp.isfinite(value).T)).T
        each = each.reshape(-1, cells, draws)
        shape = (1 if order.shared else len(table.times), len(table.series), cells, draws)
        row = 0 * table.sample if order.shared else table.sample
        return jnp.zeros(shape).at[row, table.lane].add(each)


class _Order(NamedTuple):
    """How laws and readings go together.

    Args:
        shared: Whether series that are looked at once share the law of their experiment.
        first: A series of every column of laws.
        column: Column of every series.
        when: Index of the time of every series among those of its column, if it is looked at once.
        lengths: Time from one to the next; zero where a column has no more of them.
    """

    shared: bool
    first: Int[np.ndarray, " column"]
    column: Int[np.ndarray, " series"]
    when: Int[np.ndarray, " series"]
    lengths: Float[np.ndarray, "time column"]


def _order_of(problem: Problem) -> _Order:
    table = problem.bindings
    experiments = [name for name, _ in table.series]
    once = bool((table.times == table.times[0]).all())
    if once and _same_within(problem, experiments):
        names = list(dict.fromkeys(experiments))
        column = np.array([names.index(name) for name in experiments])
        first = np.array([experiments.index(name) for name in names])
        times = [np.unique(table.times[0, column == index]) for index in range(len(names))]
        when = np.array([np.searchsorted(times[c], t) for c, t in zip(column, table.times[0], strict=True)])
        shared = True
    else:
        column = first = np.arange(len(experiments))
        times, when, shared = list(table.times.T), np.zeros(len(experiments), dtype=int), False
    rows = max(map(len, times))
    padded = np.stack([np.pad(each, (0, rows - len(each)), mode="edge") for each in times], axis=1)
    begin = np.array([table.experiments[index].t0 for index in first])
    lengths = np.diff(padded, axis=0, prepend=begin[None])
    return _Order(shared, first, column, when, lengths)


@in_float64
def _same_within(problem: Problem, experiments: list[str]) -> bool:
    """Whether series of one experiment have the same parameters: those of a vector of no special numbers."""
    share = np.random.default_rng(0).uniform(0.3, 0.7, len(problem.names))
    theta = problem.lower + share * (problem.upper - problem.lower)
    first = [experiments.index(name) for name in experiments]
    values = problem.predictor.values(jnp.asarray(theta)[None]).values()
    return all(bool(jnp.all(value == value[np.array(first)])) for value in values)


def _log(density: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logarithm; minus infinity, with a derivative of zero, where nothing is possible."""
    possible = density > 0
    return jnp.where(possible, jnp.log(jnp.where(possible, density, 1.0)), -jnp.inf)
