"""What all simulations of chance have in common: what is asked, runs as lanes of compiled calls, their dataset."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
import xarray as xr
from jaxtyping import Array, ArrayLike, Float, Int

from twin.errors import ExperimentError, SimulationError, TwinWarning
from twin.model.model import Model
from twin.simulation import check_times, expression_of, parameter_matrix, unit_of, variable_names
from twin.stochastic.jump_process import JumpProcess

MOST_LANES = 4096
"""Runs of one compiled call."""
OK, TOO_MANY_EVENTS, NEGATIVE_HAZARD, NOT_FINITE = 0, 1, 2, 3
REASONS = {
    TOO_MANY_EVENTS: "more reactions than max_events",
    NEGATIVE_HAZARD: "a rate below zero: write a reversible reaction as two",
    NOT_FINITE: "states that are not finite: a rate below zero, or steps dt that are too long",
}


class Asked(NamedTuple):
    """A stochastic simulation that was checked.

    Args:
        process: The model.
        times: Sample times, ascending.
        t0: When the runs begin.
        names: What to return.
        expressions: Their formulas.
        values: Parameters.
        jumps: Change of every state per reaction.
    """

    process: JumpProcess
    times: Float[np.ndarray, " time"]
    t0: float
    names: list[str]
    expressions: tuple[sp.Expr, ...]
    values: Float[np.ndarray, " parameter"]
    jumps: Float[np.ndarray, "state reaction"]


class Runs(NamedTuple):
    """What lanes did.

    Args:
        y: States at the sample times.
        status: OK, or why a lane stopped; its later samples repeat the last one.
        events: Reactions that happened, or steps that were taken.
    """

    y: Float[Array, "time state lane"]
    status: Int[Array, " lane"]
    events: Int[Array, " lane"]


def ask(model: Model, ts: ArrayLike, parameters: Mapping[str, float] | None, variables: Sequence[str] | None) -> Asked:
    """Check what is asked.

    Raises:
        UnsupportedModelError: the model has parts that are no reactions, or rates that depend on time.
        ExperimentError: times, names or values that make no sense.
    """
    process, times = JumpProcess(model), check_times(ts)
    names = variable_names(model, variables)
    values, draws = parameter_matrix(model, {} if parameters is None else parameters)
    if draws is not None:
        raise ExperimentError(
            "a parameter is an array", where="parameters", expected="one number each", fix="call once per set"
        )
    expressions = tuple(expression_of(model, name) for name in names)
    t0 = min(0.0, float(times[0]))
    return Asked(process, times, t0, names, expressions, values[:, 0], process.jumps(values[:, 0]))


def dataset_of_runs(
    asked: Asked,
    kernel: Callable[[Array, Float[Array, "parameter lane"]], Runs],
    count: int,
    seed: int,
    attrs: Mapping[str, object],
) -> xr.Dataset:
    """Simulate runs in chunks of lanes and return them with dimensions "run" and "time".

    Args:
        asked: What is asked.
        kernel: From a key and the parameters of every lane to what the lanes did.
        count: Number of runs.
        seed: Seed.
        attrs: Attributes of the dataset.

    Raises:
        SimulationError: every run failed.
    """
    width = min(count, MOST_LANES)
    p = jnp.asarray(np.repeat(asked.values[:, None], width, axis=1))
    parts, status, events = [], [], []
    for index in range(-(-count // width)):
        found = kernel(jax.random.fold_in(jax.random.key(seed), index), p)
        flat = jnp.moveaxis(found.y, 1, 0).reshape(found.y.shape[1], -1)
        t = jnp.repeat(jnp.asarray(asked.times), width)
        out = asked.process.system.outputs(asked.expressions, t, t, flat, jnp.tile(p, (1, len(asked.times))))
        parts.append(np.asarray(out).reshape(len(asked.names), len(asked.times), width))
        status.append(np.asarray(found.status))
        events.append(np.asarray(found.events))
    outputs = np.concatenate(parts, axis=2)[:, :, :count]
    ended = np.concatenate(status)[:count]
    outputs[:, :, ended != OK] = np.nan
    _report(ended)
    model = asked.process.model
    data = {
        name: (("run", "time"), outputs[index].T, {"units": unit_of(model, name)})
        for index, name in enumerate(asked.names)
    }
    return xr.Dataset(
        data,
        coords={"time": ("time", asked.times, {"units": model.time_unit}), "run": np.arange(count)},
        attrs={
            "model": model.name,
            "model_fingerprint": model.fingerprint,
            "seed": seed,
            "failed": int(np.sum(ended != OK)),
            "events": float(np.concatenate(events)[:count].mean()),
            "cytotwin": version("cytotwin"),
            **attrs,
        },
    )


def _report(status: np.ndarray) -> None:
    failed = status != OK
    if not failed.any():
        return
    why = "; ".join(f"{int(np.sum(status == code))} with {text}" for code, text in REASONS.items() if code in status)
    if failed.all():
        raise SimulationError(f"all {len(status)} runs failed: {why}", where="stochastic simulation")
    warnings.warn(f"{int(failed.sum())} of {len(status)} runs failed: {why}", TwinWarning, stacklevel=5)
