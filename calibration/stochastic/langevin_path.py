"""The chemical Langevin equation on a fixed grid of steps, driven by standardised increments of its Brownian paths.

    y[k+1] = y[k] + S a h + S diag(sqrt(a h)) z[k],   z standard normal, one per step, reaction and series

(Euler and Maruyama; hazards a of states cut off at zero, as `twin.simulate_langevin` has them). Parameters and the
increments z are independent a priori, whatever the parameters are: the non-centred form, in which the size of the noise
is no part of the geometry (Papaspiliopoulos, Roberts & Skoeld 2007).

References:
    Papaspiliopoulos, Roberts & Skoeld (2007), doi:10.1214/088342307000000014. Gillespie (2000),
    doi:10.1063/1.481811.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.prediction import Prediction, Values
from calibration.problem import Problem
from calibration.readout import Trajectory
from calibration.stochastic.intervals import check_stochastic
from twin.errors import ProblemError, UnsupportedModelError
from twin.precision import in_float64
from twin.stochastic.jump_process import JumpProcess
from twin.stochastic.langevin import truncated_rates

MOST_UNKNOWNS = 5000
"""Increments of all series: the metric of the sampler has the square of it."""


class LangevinPath:
    """Readings of a mechanism that follows the chemical Langevin equation, given parameters and increments.

    Args:
        problem: Model, readings, estimates and noise of measurement; all noise models and censored readings are taken.
        dt: Longest step [time unit of the model].

    Attributes:
        steps: Steps to each reading time from the one before; those of all series are as many.
        shape: Increments: steps in all, reactions, series.

    Raises:
        UnsupportedModelError: the model is no jump process, experiments do more than set parameters, or the size of a
            compartment is estimated.
        ProblemError: a step that is not positive, or too many increments.
    """

    def __init__(self, problem: Problem, dt: float) -> None:
        check_stochastic(problem, "Langevin path")
        if not (np.isfinite(dt) and dt > 0):
            raise ProblemError(f"dt is {dt}", where="Langevin path", expected="a positive number")
        self.problem, self.dt = problem, float(dt)
        self.programs: dict[Hashable, Callable] = {}
        self.process = JumpProcess(problem.model)
        defaults = {**problem.model.default_parameters, **problem.fixed}
        values = np.array([defaults[name] for name in self.process.system.parameters])
        self._jumps, self._molecule = self.process.jumps(values), self.process.molecules(values)
        _check_compartments(problem)
        table = problem.bindings
        self._lengths = np.diff(table.times, axis=0, prepend=np.array([[each.t0 for each in table.experiments]]))
        self.steps = np.maximum(np.ceil(self._lengths.max(axis=1) / dt * (1 - 1e-12)).astype(int), 0)
        self.shape = (int(self.steps.sum()), self._jumps.shape[1], len(table.series))
        if self.size > MOST_UNKNOWNS:
            raise ProblemError(
                f"there are {self.size} increments: {self.shape[0]} steps, {self.shape[1]} reactions, "
                f"{self.shape[2]} series",
                where="Langevin path",
                expected=f"at most {MOST_UNKNOWNS}",
                fix="give a longer dt, or take sample_linear_noise",
            )

    @property
    def size(self) -> int:
        """Number of increments."""
        return int(np.prod(self.shape))

    def log_likelihood(self, thetas: Float[Array, "draw parameter"], z: Float[Array, "draw increment"]) -> Array:
        """Log density of all readings given the paths; minus infinity where a path is not finite."""
        each = self.problem.pointwise(self._prediction(thetas, z))
        total = jnp.sum(each, axis=1)
        return jnp.where(jnp.isfinite(total), total, -jnp.inf)

    def draw_many(
        self, thetas: Float[Array, "draw parameter"], key: Array
    ) -> tuple[Float[Array, "draw reading"], Float[Array, "draw reading"]]:
        """Courses with increments of their own and readings of them; NaN where a course fails.

        Args:
            thetas: Vectors on the estimation scale.
            key: Random key; consumed.

        Returns:
            The observables without noise of measurement, and with it: one course per vector and series.
        """
        of_paths, of_noise = jax.random.split(key)
        prediction = self._prediction(thetas, jax.random.normal(of_paths, (len(thetas), self.size)))
        reading = self.problem.draw_readings(of_noise, prediction)
        return tuple(jnp.where(prediction.ok, x, jnp.nan) for x in (prediction.value, reading))

    def _prediction(self, thetas: Float[Array, "draw parameter"], z: Float[Array, "draw increment"]) -> Prediction:
        """Readings without noise of measurement, at the ends of the paths' steps."""
        predictor, table, draws = self.problem.predictor, self.problem.bindings, thetas.shape[0]
        values: Values = predictor.values(thetas)
        p = predictor.model_parameters(values, draws)
        series = p.shape[1]
        noise = jnp.moveaxis(z.reshape(draws, *self.shape), 0, -1).reshape(*self.shape[:2], -1)
        flat = p.reshape(len(p), -1)
        y = self._path(flat, noise)
        y = y.reshape(len(y), -1, series, draws)[table.sample, :, table.lane]
        at_readings = jnp.moveaxis(jnp.maximum(y, 0.0), 0, 1)
        times = jnp.asarray(table.times)[table.sample, table.lane]
        t = jnp.repeat(times[:, None], draws, axis=1)
        trajectory = Trajectory(t, at_readings, p[:, table.lane])
        value, scale = predictor.readout(trajectory, predictor.readout.direct(values, trajectory))
        ok = jnp.all(jnp.isfinite(at_readings), axis=0) & jnp.isfinite(value)
        return Prediction(value.T, scale.T, ok.T)

    def _path(
        self, p: Float[Array, "parameter lane"], z: Float[Array, "step reaction lane"]
    ) -> Float[Array, "sample state lane"]:
        """States at every reading time, not cut off."""
        jumps, molecule = jnp.asarray(self._jumps), jnp.asarray(self._molecule)
        draws = p.shape[1] // self.shape[2]
        of_step = np.repeat(self._lengths / np.maximum(self.steps, 1)[:, None], self.steps, axis=0)

        def step(y: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
            h, z = at
            mean = truncated_rates(self.process, y, p, molecule) * jnp.repeat(h, draws)
            # The root has no derivative at zero, where nothing happens.
            happens = mean > 0
            root = jnp.where(happens, jnp.sqrt(jnp.where(happens, mean, 1.0)), mean)
            y = y + jumps @ (mean + root * z)
            return y, y

        begin = self.process.system.initial(p)
        _, path = jax.lax.scan(step, begin, (jnp.asarray(of_step), z))
        path = jnp.concatenate([begin[None], path])
        return path[np.cumsum(self.steps)]


@in_float64
def _check_compartments(problem: Problem) -> None:
    sizes = {str(s) for value in problem.model.flux_coefficients.values() for s in value.free_symbols}
    set_by_experiment = {name for each in problem.bindings.experiments for name in each.parameters}
    for name in sorted(sizes & ({*problem.parameters.slots} | set_by_experiment)):
        raise UnsupportedModelError(
            f"{name!r} decides what a reaction changes, and is estimated or set by an experiment",
            where="Langevin path",
            expected="sizes of compartments that are fixed",
        )
