"""The likelihood of readings of a jump process by a bootstrap particle filter: unbiased, whatever the noise law.

Particles of all series and vectors are lanes of one loop. They react from one reading time to the next, are weighted by
the density of the readings there, and drawn anew in proportion to their weights (systematic resampling). The product of
mean weights is an unbiased estimate of the likelihood (Del Moral 2004); its logarithm is too low on average, by about
half its variance.

References:
    Gordon, Salmond & Smith (1993), doi:10.1049/ip-f-2.1993.0015. Del Moral (2004), Feynman-Kac Formulae. Golightly &
    Wilkinson (2011), doi:10.1098/rsfs.2011.0047.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from calibration.compiled import kept_program
from calibration.prediction import Prediction
from calibration.problem import Problem
from calibration.readout import Trajectory
from calibration.stochastic.intervals import check_stochastic
from twin.errors import ProblemError, UnsupportedModelError, suggestion
from twin.experiment.schedule import make_schedule
from twin.precision import in_float64
from twin.stochastic.direct_method import Lanes, advance_exactly
from twin.stochastic.jump_process import JumpProcess
from twin.stochastic.runs import OK
from twin.stochastic.tau_leap import Numbers, advance_by_leaps

METHODS = ("direct", "tau_leap")


class Estimates(NamedTuple):
    """Estimates of one log-likelihood.

    Args:
        value: Estimates, independent of one another.
        failed: Share of the particles' ways from one reading time to the next that failed (too many reactions, a
            negative hazard): those particles weigh nothing, and make the estimate too low.
    """

    value: Float[np.ndarray, " repeat"]
    failed: float


class ParticleFilter:
    """Unbiased estimates of the likelihood of a problem whose molecules react by chance.

    Args:
        problem: Model, readings, estimates and noise of measurement; all noise models and censored readings are taken.
        particles: Particles per series.
        method: "direct" (exact) or "tau_leap".
        epsilon: Share by which hazards may change in a leap.
        max_events: Most reactions per particle from one reading time to the next.

    Raises:
        UnsupportedModelError: the model is no jump process, experiments do more than set parameters, or the size of a
            compartment is estimated.
        ProblemError: an unknown method, or no particles.

    Example:
        >>> filtered = ParticleFilter(problem, particles=1000)
        >>> filtered.estimate(problem.nominal, repeats=20).value.std()
    """

    def __init__(
        self,
        problem: Problem,
        particles: int = 500,
        *,
        method: str = "direct",
        epsilon: float = 0.03,
        max_events: int = 1_000_000,
    ) -> None:
        check_stochastic(problem, "particle filter")
        if method not in METHODS:
            expected, fix = ", ".join(METHODS), suggestion(method, METHODS)
            raise ProblemError(f"the method is {method!r}", where="particle filter", expected=expected, fix=fix)
        if particles < 1:
            raise ProblemError(f"there are {particles} particles", where="particle filter", expected="at least 1")
        self.problem, self.particles, self.max_events = problem, int(particles), int(max_events)
        self.method, self.epsilon = method, float(epsilon)
        self.process = JumpProcess(problem.model)
        defaults = {**problem.model.default_parameters, **problem.fixed}
        values = np.array([defaults[name] for name in self.process.system.parameters])
        self._jumps, self._molecule = self.process.jumps(values), self.process.molecules(values)
        self._check_compartments()
        self.programs: dict[Hashable, Callable] = {}

    def _check_compartments(self) -> None:
        sizes = {str(s) for value in self.problem.model.flux_coefficients.values() for s in value.free_symbols}
        set_by_experiment = {name for each in self.problem.bindings.experiments for name in each.parameters}
        for name in sorted(sizes & ({*self.problem.parameters.slots} | set_by_experiment)):
            raise UnsupportedModelError(
                f"{name!r} decides what a reaction changes, and is estimated or set by an experiment",
                where="particle filter",
                expected="sizes of compartments that are fixed",
            )

    @in_float64
    def estimate(self, theta: Float[ArrayLike, " parameter"], *, repeats: int = 1, seed: int = 0) -> Estimates:
        """Independent estimates of the log-likelihood; their spread says whether there are enough particles.

        Args:
            theta: Vector on the estimation scale.
            repeats: How many.
            seed: Seed.
        """
        vector = np.asarray(theta, dtype=float)
        if vector.shape != (len(self.problem.names),):
            expected = f"({len(self.problem.names)},)"
            raise ProblemError(f"theta has shape {vector.shape}", where="particle filter", expected=expected)
        run = kept_program(self, "estimate", lambda: self.log_likelihood_many)
        value, failed = run(jnp.asarray(np.tile(vector, (repeats, 1))), jax.random.key(seed))
        return Estimates(np.asarray(value), float(jnp.sum(failed)) / (repeats * self.ways))

    @property
    def ways(self) -> int:
        """Ways of particles from one reading time to the next in an estimate."""
        return self.particles * self.problem.bindings.times.size

    def log_likelihood_many(
        self, thetas: Float[Array, "draw parameter"], key: Array
    ) -> tuple[Float[Array, " draw"], Int[Array, " draw"]]:
        """Estimates for many vectors, independent of one another, and how many ways of particles failed in each.

        Args:
            thetas: Vectors on the estimation scale.
            key: Random key; consumed.
        """
        table, predictor, count = self.problem.bindings, self.problem.predictor, self.particles
        series, draws = len(table.series), thetas.shape[0]
        values = predictor.values(thetas)
        schedule = make_schedule(table.system, table.actions, predictor.model_parameters(values, draws))
        wide = lambda x: jnp.repeat(x, count, axis=-1)  # noqa: E731
        p, begin = wide(schedule.params[0]), wide(schedule.initial)
        readings = _Readings(self, {name: wide(value) for name, value in values.items()}, p)
        t0 = np.repeat([each.t0 for each in table.experiments], draws * count)
        nothing = jnp.zeros(series * draws * count, int)

        def forward(carry: tuple[Lanes, Array], at: tuple[Array, Array]) -> tuple[tuple[Lanes, Array], Array]:
            (run, failed), (index, times) = carry, at
            run = run._replace(events=nothing)
            end = jnp.repeat(times, draws * count)
            broken = run.status != OK
            run = self._advance(run, end, p)
            newly = ((run.status != OK) & ~broken).reshape(series, draws, count)
            weights = readings.log_weights(run, index).reshape(series, draws, count)
            density = jax.scipy.special.logsumexp(weights, axis=-1) - jnp.log(count)
            key, draw = jax.random.split(run.key)
            chosen = _systematic(draw, weights)
            start = jnp.arange(series * draws).reshape(series, draws, 1) * count
            flat = (start + chosen).reshape(-1)
            run = Lanes(run.t, run.y[:, flat], run.status[flat], run.events, key)
            return (run, failed + jnp.sum(newly, axis=(0, 2))), jnp.sum(density, axis=0)

        start = (Lanes(jnp.asarray(t0), begin, nothing, nothing, key), jnp.zeros(draws, int))
        steps = (jnp.arange(len(table.times)), jnp.asarray(table.times))
        (_, failed), density = jax.lax.scan(forward, start, steps)
        return jnp.sum(density, axis=0), failed

    def draw_many(
        self, thetas: Float[Array, "draw parameter"], key: Array
    ) -> tuple[Float[Array, "draw reading"], Float[Array, "draw reading"]]:
        """Courses by chance and readings of them; NaN where a course fails.

        Args:
            thetas: Vectors on the estimation scale.
            key: Random key; consumed.

        Returns:
            The observables without noise of measurement, and with it: one course per vector and series.
        """
        table, predictor, draws = self.problem.bindings, self.problem.predictor, thetas.shape[0]
        values = predictor.values(thetas)
        schedule = make_schedule(table.system, table.actions, predictor.model_parameters(values, draws))
        p, series = schedule.params[0], len(table.series)
        of_courses, of_noise = jax.random.split(key)
        nothing = jnp.zeros(series * draws, int)

        def forward(run: Lanes, times: Array) -> tuple[Lanes, tuple[Array, Array]]:
            run = self._advance(run._replace(events=nothing), jnp.repeat(times, draws), p)
            return run, (run.y, run.status == OK)

        t0 = jnp.asarray(np.repeat([each.t0 for each in table.experiments], draws))
        start = Lanes(t0, schedule.initial, nothing, nothing, of_courses)
        _, (y, ok) = jax.lax.scan(forward, start, jnp.asarray(table.times))
        split = lambda x: x.reshape(*x.shape[:-1], series, draws)  # noqa: E731
        t = jnp.repeat(jnp.asarray(table.times)[table.sample, table.lane][:, None], draws, axis=1)
        at_readings = jnp.moveaxis(split(y)[table.sample, :, table.lane], 0, 1)
        trajectory = Trajectory(t, at_readings, split(p)[:, table.lane])
        value, scale = predictor.readout(trajectory, predictor.readout.direct(values, trajectory))
        fine = (split(ok)[table.sample, table.lane] & jnp.isfinite(value)).T
        reading = self.problem.draw_readings(of_noise, Prediction(value.T, scale.T, fine))
        return jnp.where(fine, value.T, jnp.nan), jnp.where(fine, reading, jnp.nan)

    def _advance(self, run: Lanes, end: Array, p: Float[Array, "parameter lane"]) -> Lanes:
        """Lanes from where they are to the time `end`."""
        given = Numbers(p, jnp.asarray(self._jumps), jnp.asarray(self._molecule), jnp.asarray(self.epsilon))
        if self.method == "direct":
            return advance_exactly(self.process, run, end, p, given.jumps, self.max_events)
        return advance_by_leaps(self.process, run, end, given, self.max_events)


class _Readings:
    """Densities of the readings given particles."""

    def __init__(self, owner: ParticleFilter, values: dict[str, Array], p: Array) -> None:
        self._problem, self._values, self._p = owner.problem, values, p

    def log_weights(self, run: Lanes, index: Array) -> Float[Array, "series lane"]:
        """Log density of the readings at the reading times of this index, for the particles of every series."""
        table, readout = self._problem.bindings, self._problem.predictor.readout
        series = len(table.series)
        split = lambda x: x.reshape(*x.shape[:-1], series, -1)[..., table.lane, :]  # noqa: E731
        trajectory = Trajectory(split(run.t), split(run.y), split(self._p))
        value, scale = readout(trajectory, readout.direct(self._values, trajectory))
        ok = split(run.status) == OK
        each = self._problem.pointwise(Prediction(value.T, scale.T, (ok & jnp.isfinite(value)).T)).T
        now = (jnp.asarray(table.sample) == index)[:, None]
        return jnp.zeros((series, each.shape[1])).at[table.lane].add(jnp.where(now, each, 0.0))


def _systematic(key: Array, weights: Float[Array, "series draw particle"]) -> Int[Array, "series draw particle"]:
    """Particles drawn in proportion to the exponential of their weights, by one uniform number per series and draw."""
    count = weights.shape[-1]
    most = jnp.max(weights, axis=-1, keepdims=True)
    shares = jnp.where(jnp.isfinite(most), jnp.exp(weights - jnp.where(jnp.isfinite(most), most, 0.0)), 1.0)
    sums = jnp.cumsum(shares, axis=-1)
    offset = jax.random.uniform(key, weights.shape[:-1])
    points = (jnp.arange(count) + offset[..., None]) / count * sums[..., -1:]
    chosen = jax.vmap(jax.vmap(lambda s, x: jnp.searchsorted(s, x, side="right")))(sums, points)
    return jnp.minimum(chosen, count - 1)
