"""What an ensemble predicts: forecasts, what-if, the current state, quantiles of weighted draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import ArrayLike, Float

from twin.errors import ExperimentError, SimulationError, suggestion
from twin.experiment.experiment import Bolus, Change, Experiment
from twin.live.assimilators import scatter
from twin.simulation import check_times, simulate, unit_of

if TYPE_CHECKING:
    from twin.live.ensemble import Twin


class Asked(NamedTuple):
    """How predictions are to look; see `Twin.forecast`."""

    times: ArrayLike
    variables: Sequence[str] | None
    quantiles: Sequence[float] | None
    noise: bool
    seed: int


def predict(twin: Twin, series: int, experiment: Experiment, asked: Asked) -> xr.Dataset:
    """Draws, or quantiles, of a series under an experiment."""
    shares = None if asked.quantiles is None else _check_quantiles(asked.quantiles)
    if not isinstance(experiment, Experiment):
        found = f"what is done is a {type(experiment).__name__}"
        raise ExperimentError(found, where="what_if", expected="a twin.Experiment")
    make = _readings if asked.noise else _trajectories
    ds = make(twin, series, experiment, asked)
    ds = ds.assign_attrs(
        problem=twin.basis.name,
        experiment=twin.basis.series[series][0],
        subject=twin.basis.series[series][1],
        twin_time=twin.times[twin.basis.series[series]],
        readings=len(twin.readings),
        ess=twin.ess,
        noise="included" if asked.noise else "not included",
    )
    return ds if shares is None else _bands(ds, twin.weights, shares)


def _parameters(twin: Twin, series: int) -> dict[str, np.ndarray]:
    """Parameters of the model for every particle."""
    known = twin.model.parameter_names
    fixed = {name: np.full(len(twin), value) for name, value in twin.basis.fixed.items()}
    return fixed | {name: each[series] for name, each in twin.ensemble.values.items() if name in known}


def _trajectories(twin: Twin, series: int, experiment: Experiment, asked: Asked) -> xr.Dataset:
    basis = twin.basis
    names = list(twin.model.observable_names) if asked.variables is None else asked.variables
    parameters = _parameters(twin, series)
    if not parameters:  # only noise is estimated: all particles have one trajectory
        name = twin.model.parameter_names[0]
        parameters = {name: np.full(len(twin), twin.model.default_parameters[name])}
    accuracy = {"solver": basis.solver, "rtol": basis.rtol, "atol": basis.atol, "max_steps": basis.max_steps}
    ds = simulate(twin.model, asked.times, parameters, experiment, names, **accuracy)
    return ds.assign_coords(weight=("draw", twin.weights))


def _readings(twin: Twin, series: int, experiment: Experiment, asked: Asked) -> xr.Dataset:
    names = list(twin.basis.noise) if asked.variables is None else list(asked.variables)
    for name in names:
        if name not in twin.basis.noise:
            raise ExperimentError(
                f"readings of {name!r} are asked for",
                where="variables",
                expected="observables of which it is known how they scatter",
                fix=suggestion(str(name), twin.basis.noise),
            )
    times = check_times(asked.times)
    if times[0] < experiment.t0:
        raise ExperimentError(f"the first time is {times[0]:g}, before the start at {experiment.t0:g}", where="times")
    drawn = scatter()(twin, series, times, experiment, asked.seed)
    failed = int(np.isnan(next(iter(drawn.values()))).any(axis=1).sum())
    if failed == len(twin):
        raise SimulationError("no particle can be integrated", where=twin.basis.name, fix="raise max_steps")
    data = {}
    for name in names:
        unit = unit_of(twin.model, name)
        data[name] = xr.Variable(("draw", "time"), drawn[name], {"units": unit} if unit else {})
    coords = {
        "time": xr.Variable("time", times, {"units": twin.model.time_unit}),
        "draw": np.arange(len(twin)),
        "weight": ("draw", twin.weights),
    }
    attrs = {"model": twin.model.name, "model_fingerprint": twin.model.fingerprint, "failed": failed}
    return xr.Dataset(data, coords, attrs | {"seed": asked.seed})


def state(twin: Twin, series: int) -> xr.Dataset:
    """States where a series stands."""
    name = twin.basis.series[series]
    asked = Asked([twin.times[name]], list(twin.model.state_names), None, False, 0)
    return predict(twin, series, twin.basis.experiments[name[0]], asked).isel(time=0)


def particles(twin: Twin) -> xr.Dataset:
    """The particles on the linear scale."""
    data = {
        name: xr.Variable("draw", column, {"units": unit} if (unit := unit_of(twin.model, name)) else {})
        for name, column in zip(twin.names, twin.ensemble.linear.T, strict=True)
    }
    return xr.Dataset(data, {"draw": np.arange(len(twin)), "weight": ("draw", twin.weights)})


def continued(done: Experiment, besides: Experiment, now: float) -> Experiment:
    """What has been done so far, and something besides from now on.

    Raises:
        ExperimentError: something would be done before now, at a time given by a formula, or from the start on.
    """
    if not isinstance(besides, Experiment):
        found = f"what is done is a {type(besides).__name__}"
        raise ExperimentError(found, where="what_if", expected="a twin.Experiment")
    for what in ("parameters", "initial", "equilibrate"):
        if getattr(besides, what):
            raise ExperimentError(
                f"{what} are given for an experiment that began long ago",
                where="what_if from now on",
                expected="doses, changes and resets",
                fix="use a Change for parameters, a Reset for states, or leave from_now out",
            )
    changes = tuple(replace(each, start=now) if each.start is None else each for each in besides.changes)
    starts = [(each.target, each.time if isinstance(each, Bolus) else each.start) for each in besides.doses]
    starts += [(each.target, each.start) for each in changes] + [(each.target, each.time) for each in besides.resets]
    for target, start in starts:
        if not isinstance(start, (int, float)) or start < now:
            raise ExperimentError(
                f"something is done to {target!r} at {start}, and the twin stands at {now:g}",
                where="what_if from now on",
                expected=f"times that are numbers of at least {now:g}",
            )
    return replace(
        done,
        doses=(*done.doses, *besides.doses),
        changes=(*(_until(each, changes) for each in done.changes), *changes),
        resets=(*done.resets, *besides.resets),
    )


def _until(change: Change, later: Sequence[Change]) -> Change:
    """Two changes of one parameter must not overlap unseen.

    Raises:
        ExperimentError: a change that is still in force is of a parameter that is to change again.
    """
    for each in later:
        ends = np.inf if change.stop is None else change.stop
        if each.target == change.target and (isinstance(ends, str) or each.start < ends):  # type: ignore[operator]
            raise ExperimentError(
                f"{change.target!r} is already changed until {'the end' if change.stop is None else change.stop}",
                where="what_if from now on",
                fix="describe the whole experiment and leave from_now out",
            )
    return change


def _check_quantiles(quantiles: Sequence[float]) -> Float[np.ndarray, " quantile"]:
    shares = np.atleast_1d(np.asarray(quantiles, dtype=float))
    if shares.ndim != 1 or not len(shares) or not ((shares >= 0) & (shares <= 1)).all():
        raise ExperimentError(f"the quantiles are {quantiles!r}", where="quantiles", expected="numbers between 0 and 1")
    return shares


def weighted_quantiles(
    values: Float[np.ndarray, "draw *rest"], weights: Float[np.ndarray, " draw"], shares: Sequence[float]
) -> Float[np.ndarray, "quantile *rest"]:
    """Quantiles of weighted draws: the least value at which the weights so far reach the share."""
    return np.quantile(values, shares, axis=0, weights=weights, method="inverted_cdf")


def _bands(ds: xr.Dataset, weights: np.ndarray, shares: Float[np.ndarray, " quantile"]) -> xr.Dataset:
    data = {}
    for name, variable in ds.data_vars.items():
        values = variable.transpose("draw", "time").to_numpy()
        whole = ~np.isnan(values).any(axis=1)
        found = weighted_quantiles(values[whole], weights[whole], shares)
        data[name] = xr.Variable(("quantile", "time"), found, variable.attrs)
    return xr.Dataset(data, {"quantile": shares, "time": ds["time"]}, ds.attrs)
