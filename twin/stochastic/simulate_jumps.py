"""`simulate_jumps`: exact stochastic simulation of many runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import ArrayLike

from twin.errors import ExperimentError, SimulationError, TwinWarning
from twin.model.model import Model
from twin.precision import in_float64
from twin.simulation import check_count, check_times, expression_of, parameter_matrix, unit_of, variable_names
from twin.stochastic.direct_method import NEGATIVE_HAZARD, OK, TOO_MANY_EVENTS, direct_method
from twin.stochastic.jump_process import JumpProcess

MOST_LANES = 4096
"""Runs of one compiled call."""
REASONS = {
    TOO_MANY_EVENTS: "more reactions than max_events",
    NEGATIVE_HAZARD: "a rate below zero: write a reversible reaction as two",
}


@in_float64
def simulate_jumps(
    model: Model,
    ts: ArrayLike,
    parameters: Mapping[str, float] | None = None,
    variables: Sequence[str] | None = None,
    *,
    runs: int = 1000,
    seed: int = 0,
    max_events: int = 1_000_000,
) -> xr.Dataset:
    """Simulate a model as a jump process: molecules react one by one, by Gillespie's direct method.

    States count molecules (amounts in items, or numbers per compartment), and the rate of a reaction is its hazard. The
    law of the runs is exact; runs are lanes of one call.

    Args:
        model: The mechanism: reactions only, rates of states and parameters.
        ts: Sample times, ascending; the runs begin at ``min(0, ts[0])``.
        parameters: Parameter values by name; one number each.
        variables: What to return, as for `twin.simulate`.
        runs: Number of runs.
        seed: Seed; equal seeds give equal runs.
        max_events: Most reactions per run.

    Returns:
        A dataset with dimensions "run" and "time"; runs that failed are NaN, their number is in ``attrs["failed"]``,
        the mean number of reactions in ``attrs["events"]``.

    Raises:
        UnsupportedModelError: the model has parts that are no reactions, or rates that depend on time.
        ExperimentError: times, names or values that make no sense.
        SimulationError: every run failed.

    Example:
        >>> ds = twin.simulate_jumps(model, np.linspace(0, 50, 51), runs=10_000)
        >>> ds.X.mean("run"), ds.X.std("run")
    """
    process = JumpProcess(model)
    times = check_times(ts)
    count, most = check_count(runs, "runs"), check_count(max_events, "max_events")
    names = variable_names(model, variables)
    values, draws = parameter_matrix(model, {} if parameters is None else parameters)
    if draws is not None:
        raise ExperimentError(
            "a parameter is an array", where="parameters", expected="one number each", fix="call once per set"
        )
    expressions = tuple(expression_of(model, name) for name in names)
    jumps, t0 = jnp.asarray(process.jumps(values[:, 0])), min(0.0, float(times[0]))
    width = min(count, MOST_LANES)
    p = jnp.asarray(np.repeat(values[:, :1], width, axis=1))
    parts, status, events = [], [], []
    for index in range(-(-count // width)):
        key = jax.random.fold_in(jax.random.key(seed), index)
        found = direct_method(process, key, jnp.asarray(times), jnp.asarray(t0), p, jumps, most)
        flat = jnp.moveaxis(found.y, 1, 0).reshape(found.y.shape[1], -1)
        t = jnp.repeat(jnp.asarray(times), width)
        out = process.system.outputs(expressions, t, t, flat, jnp.tile(p, (1, len(times))))
        parts.append(np.asarray(out).reshape(len(names), len(times), width))
        status.append(np.asarray(found.status))
        events.append(np.asarray(found.events))
    outputs = np.concatenate(parts, axis=2)[:, :, :count]
    ended = np.concatenate(status)[:count]
    outputs[:, :, ended != OK] = np.nan
    _report(ended)
    data = {
        name: (("run", "time"), outputs[index].T, {"units": unit_of(model, name)}) for index, name in enumerate(names)
    }
    return xr.Dataset(
        data,
        coords={"time": ("time", times, {"units": model.time_unit}), "run": np.arange(count)},
        attrs={
            "model": model.name,
            "model_fingerprint": model.fingerprint,
            "method": "direct method",
            "seed": seed,
            "failed": int(np.sum(ended != OK)),
            "events": float(np.concatenate(events)[:count].mean()),
            "cytotwin": version("cytotwin"),
        },
    )


def _report(status: np.ndarray) -> None:
    failed = status != OK
    if not failed.any():
        return
    why = "; ".join(f"{int(np.sum(status == code))} with {text}" for code, text in REASONS.items() if code in status)
    if failed.all():
        raise SimulationError(f"all {len(status)} runs failed: {why}", where="simulate_jumps")
    warnings.warn(f"{int(failed.sum())} of {len(status)} runs failed: {why}", TwinWarning, stacklevel=4)
