"""`simulate_langevin`: many runs of the chemical Langevin equation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, ArrayLike

from twin.errors import ExperimentError
from twin.model.model import Model
from twin.precision import in_float64
from twin.simulation import check_count, check_positive
from twin.stochastic.langevin import langevin, steps_between
from twin.stochastic.relaxation import shortest_time_constant
from twin.stochastic.runs import Asked, Runs, ask, dataset_of_runs

STEPS_PER_RELAXATION = 50
"""Default steps in the shortest time constant along the mean: of a linear death the stationary variance is then wrong
by half a step per time constant, 1 %."""
MOST_STEPS = 1_000_000


@in_float64
def simulate_langevin(
    model: Model,
    ts: ArrayLike,
    parameters: Mapping[str, float] | None = None,
    variables: Sequence[str] | None = None,
    *,
    runs: int = 1000,
    seed: int = 0,
    dt: float | None = None,
    resolution: float | None = None,
) -> xr.Dataset:
    """Simulate a model by the chemical Langevin equation: continuous states, noise of the size of the jumps.

    It has the means and variances of the jump process where all states count many molecules, at a cost that does not
    grow with their number. Where few molecules matter it is wrong, without a sign of it: compare with `simulate_jumps`.

    Args:
        model: The mechanism: reactions only, rates of states and parameters.
        ts: Sample times, ascending; the runs begin at ``min(0, ts[0])``.
        parameters: Parameter values by name; one number each.
        variables: What to return, as for `twin.simulate`.
        runs: Number of runs.
        seed: Seed; equal seeds give equal Brownian paths.
        dt: Longest step; by default a fiftieth of the shortest time constant (of the Jacobian along the mean).
        resolution: Times between which the Brownian paths are known, by default half of the shortest step. Runs with
            the same seed, times and resolution follow the same paths whatever `dt` is.

    Returns:
        A dataset with dimensions "run" and "time"; runs that failed are NaN, their number is in ``attrs["failed"]``,
        the longest step in ``attrs["dt"]``.

    Raises:
        UnsupportedModelError: the model has parts that are no reactions, or rates that depend on time.
        ExperimentError: times, names or values that make no sense, or more than a million steps.
        SimulationError: every run failed.

    Example:
        >>> ds = twin.simulate_langevin(model, np.linspace(0, 50, 51), runs=10_000)
        >>> ds.X.mean("run"), ds.X.std("run")
    """
    asked, count = ask(model, ts, parameters, variables), check_count(runs, "runs")
    span = float(asked.times[-1]) - asked.t0
    if span == 0:
        raise ExperimentError("all sample times are the beginning", where="ts", expected="a later time")
    longest = _default_step(asked, span) if dt is None else check_positive(dt, "dt")
    if span / longest > MOST_STEPS:
        raise ExperimentError(
            f"steps of {longest:g} would be {span / longest:.3g}",
            where="dt",
            expected=f"at most {MOST_STEPS} steps",
            fix="give a longer dt, or take simulate_jumps",
        )
    grid = steps_between(asked.t0, asked.times, longest)
    shortest = float(np.diff(grid).min())
    fine = shortest / 2 if resolution is None else check_positive(resolution, "resolution")
    if fine >= shortest:
        raise ExperimentError(
            f"the resolution {fine:g} is not below the shortest step, {shortest:g}", where="resolution", fix="lower it"
        )
    arrays = [jnp.asarray(x) for x in (asked.times, grid)]
    jumps, molecule = jnp.asarray(asked.jumps), jnp.asarray(asked.process.molecules(asked.values))

    def kernel(key: Array, p: Array) -> Runs:
        return langevin(asked.process, key, *arrays, p, jumps, molecule, jnp.asarray(fine))

    attrs = {"method": "chemical Langevin equation, Euler-Maruyama, full truncation at zero", "dt": longest}
    return dataset_of_runs(asked, kernel, count, seed, attrs)


def _default_step(asked: Asked, span: float) -> float:
    shortest = shortest_time_constant(asked.process, asked.values, asked.t0, span)
    return min(span, shortest) / STEPS_PER_RELAXATION
