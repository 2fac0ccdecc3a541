"""The likelihood of readings of a course that scatters, linearised around its mean: a Kalman filter over reading times.

The mean follows the differential equations from the initial state; deviations from it are normal, with transitions
F d + N(0, Q) from one reading time to the next (`twin.stochastic.moments`). All intervals of all series and vectors are
lanes of one integration, so that only products of small matrices are left for the filter. Gradients are those of the
adjoint of both integrations.

References:
    Komorowski et al. (2009), doi:10.1186/1471-2105-10-343. Finkenstaedt et al. (2013), doi:10.1214/13-AOAS669.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from calibration.compiled import compiled
from calibration.lanes import differentiable
from calibration.noise.log_normal import SMALLEST_PREDICTION
from calibration.problem import Problem
from calibration.readout import Trajectory
from calibration.stochastic.intervals import check_stochastic, intervals_of
from twin.compile import compile_model
from twin.errors import ProblemError, UnsupportedModelError
from twin.experiment import Experiment
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.precision import float64
from twin.solve import integrate
from twin.stochastic.moments import covariance_name, propagator_name, transition_model


class LinearNoiseLikelihood:
    """What readings say of a mechanism whose molecules react by chance, as functions of the problem's vector.

    `Problem.log_likelihood` takes the course of a mechanism as determined, all scatter as noise of measurement. Here
    the course itself scatters: fluctuations count, and tell of rates that means do not show.

    Args:
        problem: Model, readings, estimates and normal or log-normal noise of measurement; its own likelihood is not
            used. Noise formulas that depend on the observable take its mean, and logarithms are linearised there, too.
        sizes: States whose courses scatter in proportion to themselves, each with the parameter of the model that is
            the size of its noise [time^(-1/2)]; default: reactions happen by chance.

    Attributes:
        names: Entries of the vector.
        lower: Lower bounds, estimation scale.
        upper: Upper bounds, estimation scale.
        intervals: Between the times of readings.
        reading: The readings, on the scale where their noise is additive.

    Raises:
        UnsupportedModelError: the model is no jump process (with `sizes`: more than differential equations that do
            not depend on time), noise is neither normal nor log-normal, readings are censored, or experiments do more
            than set parameters.

    Example:
        >>> likelihood = LinearNoiseLikelihood(problem)
        >>> jax.grad(likelihood.log_posterior)(problem.nominal)
    """

    def __init__(self, problem: Problem, sizes: Mapping[str, str] | None = None) -> None:
        what = "linear noise"
        check_stochastic(problem, what)
        fix = "take a ParticleFilter" if sizes is None else ""
        for name, noise in problem.noise.items():
            if noise.family not in ("normal", "log_normal"):
                found = f"the noise of {name!r} is {noise.family}"
                raise UnsupportedModelError(found, where=what, expected="normal or log_normal", fix=fix)
        if problem.bindings.censored.any():
            raise UnsupportedModelError("a reading is censored", where=what, expected="numbers", fix=fix)
        self.problem, self.name = problem, problem.name
        self.names, self.lower, self.upper = problem.names, problem.lower, problem.upper
        self.programs: dict[Hashable, Callable] = {}
        self.intervals = intervals_of(problem)
        self._system = compile_model(transition_model(problem.model, None if sizes is None else tuple(sizes.items())))
        table = problem.bindings
        self._logarithmic = np.zeros(len(table.value), dtype=bool)
        for name, rows in table.rows_of.items():
            self._logarithmic[rows] = problem.noise[name].family == "log_normal"
        self.reading = np.where(self._logarithmic, np.log(np.where(self._logarithmic, table.value, 1.0)), table.value)
        count = len(self.intervals.length)
        self._actions = collect_actions(
            self._system, [Experiment()] * count, list(map(float, self.intervals.length)), [False] * count
        )
        self._log_likelihood = differentiable(self.log_likelihood_many, self.log_likelihood_and_gradient_many)

    def log_likelihood(self, theta: Float[ArrayLike, " parameter"]) -> Float[Array, ""]:
        """Logarithm of the density of all readings; minus infinity where an integration fails."""
        with float64():
            vector = jnp.asarray(theta, dtype=jnp.float64)
            if vector.shape != (len(self.names),):
                raise ProblemError(f"theta has shape {vector.shape}", where=self.name, expected=f"({len(self.names)},)")
            return self._log_likelihood(vector)

    def log_prior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Logarithm of the prior density on the estimation scale."""
        return self.problem.log_prior(theta)

    def log_posterior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log-likelihood plus log-prior (not normalised)."""
        return self.log_likelihood(theta) + self.log_prior(theta)

    @compiled
    def pointwise_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, "draw reading"]:
        """Log density of every reading given those before it in its series."""
        readout, transition, ok = self.approximated(thetas)
        each = self._filter(readout, transition)
        return jnp.where(ok & jnp.isfinite(each), each, -jnp.inf).T

    def approximated(
        self, thetas: Float[Array, "draw parameter"]
    ) -> tuple[Linearised, Transition, Bool[Array, "reading draw"]]:
        """Readings near the mean, what intervals do to deviations, and which readings could be integrated.

        Args:
            thetas: Vectors on the estimation scale.
        """
        predictor, table = self.problem.predictor, self.problem.bindings
        values = predictor.values(thetas)
        trajectory, ok = predictor.trajectories(values)
        trajectory = trajectory._replace(y=jnp.where(ok, trajectory.y, 1.0))
        transition, fine = self._transitions(values, trajectory, thetas.shape[0])
        failed = jnp.ones((len(table.series), thetas.shape[0]), bool).at[self.intervals.series].min(fine)
        return Linearised(*self._linearised(values, trajectory), trajectory.y), transition, ok & failed[table.lane]

    @compiled
    def log_likelihood_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, " draw"]:
        """Log-likelihood of many vectors in two solves."""
        return jnp.sum(self.pointwise_many(thetas), axis=1)

    @compiled
    def log_likelihood_and_gradient_many(
        self, thetas: Float[Array, "draw parameter"]
    ) -> tuple[Float[Array, " draw"], Float[Array, "draw parameter"]]:
        """Log-likelihood and its gradient for many vectors."""

        def total(x: Array) -> tuple[Array, Array]:
            values = self.log_likelihood_many(x)
            return jnp.sum(jnp.where(jnp.isfinite(values), values, 0.0)), values

        (_, values), gradient = jax.value_and_grad(total, has_aux=True)(thetas)
        return values, jnp.where(jnp.isfinite(values)[:, None], gradient, 0.0)

    def _linearised(self, values, trajectory: Trajectory) -> tuple[Array, Array, Array]:
        """Predictions at the mean, on the scale where noise is additive; scales of it; derivatives in the states."""
        readout = self.problem.predictor.readout
        direct = readout.direct(values, trajectory)
        logarithmic = self._logarithmic[:, None]

        def predict(y: Array) -> tuple[Array, Array]:
            value, scale = readout(trajectory._replace(y=y), direct)
            logarithm = jnp.log(jnp.maximum(jnp.where(logarithmic, value, 1.0), SMALLEST_PREDICTION))
            return jnp.where(logarithmic, logarithm, value), scale

        value, scale = predict(trajectory.y)

        def along(state: Array) -> Array:
            direction = jnp.broadcast_to(state[:, None, None], trajectory.y.shape)
            return jax.jvp(lambda y: predict(y)[0], (trajectory.y,), (direction,))[1]

        return value, scale, jax.vmap(along, out_axes=-1)(jnp.eye(trajectory.y.shape[0]))

    def _transitions(
        self, values, trajectory: Trajectory, draws: int
    ) -> tuple[Transition, Bool[Array, "interval draw"]]:
        """Propagators and covariances of all intervals, and one that does nothing; whether they could be integrated."""
        model, system, at = self.problem.model, self._system, self.intervals
        size, count = len(model.state_names), len(at.length)
        if not count:
            nothing = Transition(jnp.eye(size)[None, None], jnp.zeros((1, 1, size, size)))
            return nothing, jnp.ones((0, draws), bool)
        p = trajectory.params[:, at.after]
        begin = compile_model(model).initial(p.reshape(len(p), -1)).reshape(size, count, draws)
        known = (at.before >= 0)[:, None]
        starts = jnp.where(known, trajectory.y[:, np.maximum(at.before, 0)], begin)
        schedule = make_schedule(system, self._actions, jnp.concatenate([p, starts]))
        ts = jnp.repeat(jnp.asarray(at.length)[None], draws, axis=1)
        samples = integrate(system, schedule, self.problem.method, self.problem.tolerance, ts, alike=draws)
        fine = samples.status == 0
        z = jnp.where(fine, samples.y[:, 0], 0.0).reshape(-1, count, draws)
        names, place = model.state_names, {name: index for index, name in enumerate(system.states)}
        of_f = [[place[propagator_name(i, j)] for j in names] for i in names]
        of_q = [[place[covariance_name(*sorted((i, j), key=names.index))] for j in names] for i in names]
        f, q = (jnp.moveaxis(z[np.array(rows)], (0, 1), (-2, -1)) for rows in (of_f, of_q))
        alone = jnp.broadcast_to(jnp.eye(size), (1, draws, size, size))
        return Transition(jnp.concatenate([f, alone]), jnp.concatenate([q, 0 * alone])), fine.reshape(count, draws)

    def draw_many(
        self, thetas: Float[Array, "draw parameter"], key: Array
    ) -> tuple[Float[Array, "draw reading"], Float[Array, "draw reading"], Float[Array, "draw reading"]]:
        """Fluctuating courses and readings of them, as the approximation has them; NaN where an integration fails.

        Args:
            thetas: Vectors on the estimation scale.
            key: Random key; consumed.

        Returns:
            The observables without noise of measurement, and with it: one course per vector and series. And what
            `pointwise_many` gives for the readings of the table.
        """
        readout, transition, ok = self.approximated(thetas)
        of_courses, of_noise = jax.random.split(key)
        course = self._draw(readout, transition, of_courses)
        reading = course + readout.scale * jax.random.normal(of_noise, course.shape)
        each = self._filter(readout, transition)
        each = jnp.where(ok & jnp.isfinite(each), each, -jnp.inf)
        course, reading = (jnp.where(self._logarithmic[:, None], jnp.exp(x), x) for x in (course, reading))
        return jnp.where(ok, course, jnp.nan).T, jnp.where(ok, reading, jnp.nan).T, each.T

    def _draw(self, readout: Linearised, transition: Transition, key: Array) -> Float[Array, "reading draw"]:
        """Observables along deviations drawn from their law; one reading of every series at a time."""
        at, (draws, size) = self.intervals, (readout.value.shape[1], readout.slope.shape[-1])
        spread, axes = jnp.linalg.eigh(transition.q)
        # Rounding leaves eigenvalues a little below zero where nothing fluctuates in some direction.
        root = axes * jnp.sqrt(jnp.maximum(spread, 0.0))[..., None, :]

        def move(d: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            index, interval, noise = row
            d = jnp.einsum("sdij,sdj->sdi", transition.f[interval], d) + jnp.einsum(
                "sdij,sdj->sdi", root[interval], noise
            )
            return d, readout.value[index] + jnp.sum(readout.slope[index] * d, axis=-1)

        shape = (at.reading.shape[1], draws, size)
        noise = jax.random.normal(key, (len(at.reading), *shape))
        _, course = jax.lax.scan(move, jnp.zeros(shape), (jnp.asarray(at.reading), jnp.asarray(at.interval), noise))
        return course[at.place]

    def _filter(self, readout: Linearised, transition: Transition) -> Float[Array, "reading draw"]:
        """Log density of every reading given those before it; one reading of every series at a time."""
        at, reading = self.intervals, self.reading
        draws, size = readout.value.shape[1], readout.slope.shape[-1]
        shape = (at.reading.shape[1], draws, size)

        def take(state: tuple[Array, Array], row: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
            (d, c), (index, interval) = state, row
            f, q = transition.f[interval], transition.q[interval]
            d = jnp.einsum("sdij,sdj->sdi", f, d)
            c = jnp.einsum("sdij,sdjk,sdlk->sdil", f, c, f) + q
            h = readout.slope[index]
            off = jnp.asarray(reading)[index][:, None] - readout.value[index] - jnp.sum(h * d, axis=-1)
            gain = jnp.einsum("sdij,sdj->sdi", c, h)
            variance = jnp.sum(h * gain, axis=-1) + readout.scale[index] ** 2
            density = -0.5 * (jnp.log(2 * jnp.pi * variance) + off**2 / variance)
            there = (index >= 0)[:, None, None]
            d = jnp.where(there, d + gain * (off / variance)[..., None], d)
            c = jnp.where(there[..., None], c - gain[..., None] * gain[..., None, :] / variance[..., None, None], c)
            return (d, c), density

        start = (jnp.zeros(shape), jnp.zeros((*shape, size)))
        _, density = jax.lax.scan(take, start, (jnp.asarray(at.reading), jnp.asarray(at.interval)))
        # The density is that of the reading, not of its logarithm.
        return density[at.place] - jnp.where(self._logarithmic, self.reading, 0.0)[:, None]


class Transition(NamedTuple):
    """What an interval does to deviations from the mean.

    Args:
        f: Propagators.
        q: Covariances of what is added.
    """

    f: Float[Array, "interval draw state state"]
    q: Float[Array, "interval draw state state"]


class Linearised(NamedTuple):
    """Readings near the mean.

    Args:
        value: Predictions at the mean.
        scale: Scale of the noise of measurement.
        slope: Derivatives of the predictions in the states.
        mean: States at the mean.
    """

    value: Float[Array, "reading draw"]
    scale: Float[Array, "reading draw"]
    slope: Float[Array, "reading draw state"]
    mean: Float[Array, "state reading draw"]
