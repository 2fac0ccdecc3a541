"""Rules of a model's card on posterior draws: the share of draws that break each, and the worst."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import ArrayLike, Bool, Float

from calibration.sim2real.check_row import Check
from twin.errors import SimulationError, TwinWarning
from twin.experiment.experiment import Experiment
from twin.model.model import Model
from twin.plausibility import InRange, Monotone, PeakTime, Rule
from twin.simulation import simulate

MOST_BROKEN = 0.05
POINTS = 241
ROUNDING = 1e-6
"""A step of a monotone response may go the wrong way by this share of its size: the solver's error, not biology."""


def rule_checks(
    model: Model,
    rules: tuple[Rule, ...],
    parameters: Mapping[str, ArrayLike],
    experiment: Experiment,
    end: float,
) -> list[Check]:
    """Each rule with the share of draws that break it; it fails if that is above 5 %.

    Draws that cannot be integrated are left out (they are counted in L0); a formula that is no number
    breaks its rule.

    Args:
        model: The mechanism.
        rules: Rules of its card.
        parameters: Values by name, arrays over posterior draws among them.
        experiment: What is done, for rules of ranges and peaks.
        end: Until when; later where a peak may be later.
    """
    ranges = [rule for rule in rules if not isinstance(rule, Monotone)]
    peaks = [rule.high for rule in ranges if isinstance(rule, PeakTime)]
    end = max([end, experiment.t0 + 1e-9, *(1.05 * high for high in peaks)])
    names = [rule.formula if isinstance(rule, InRange) else rule.observable for rule in ranges]
    ds = _simulate(model, np.linspace(experiment.t0, end, POINTS), parameters, experiment, names) if ranges else None
    checks = []
    for rule in rules:
        if isinstance(rule, Monotone):
            checks.append(_monotone(model, rule, parameters))
        elif ds is None:
            checks.append(_unknown(rule))
        else:
            checks.append(_in_range(rule, ds, _integrated(model, ds)))
    return checks


def _simulate(
    model: Model,
    ts: Float[np.ndarray, " time"],
    parameters: Mapping[str, ArrayLike],
    experiment: Experiment,
    names: list[str],
) -> xr.Dataset | None:
    """States and the named variables, with a dimension "draw"; None if no draw can be integrated."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TwinWarning)
            ds = simulate(model, ts, parameters, experiment, list(dict.fromkeys([*model.state_names, *names])))
    except SimulationError:
        return None
    return ds if "draw" in ds.dims else ds.expand_dims("draw")


def _integrated(model: Model, ds: xr.Dataset) -> Bool[np.ndarray, " draw"]:
    return np.all([np.isfinite(ds[name].to_numpy()).all(axis=1) for name in model.state_names], axis=0)


def _in_range(rule: InRange | PeakTime, ds: xr.Dataset, usable: Bool[np.ndarray, " draw"]) -> Check:
    variable = ds[rule.formula if isinstance(rule, InRange) else rule.observable]
    unit, course = str(variable.attrs.get("units", "")), variable.to_numpy()[usable]
    if not len(course):
        return _unknown(rule)
    if isinstance(rule, PeakTime):
        # A course that is not a number has no peak, and argmax would answer with its first time.
        peak = ds["time"].to_numpy()[np.argmax(np.nan_to_num(course, nan=-np.inf), axis=1)]
        values, unit = np.where(np.isnan(course).any(axis=1), np.nan, peak)[:, None], _time_unit(ds)
    else:
        values = course if rule.always else course[:, :1]
    excess = np.maximum(rule.low - values, values - rule.high)
    excess = np.where(np.isnan(values), np.inf, excess)
    worst = values[np.arange(len(values)), np.argmax(excess, axis=1)]
    broken = np.max(excess, axis=1) > 0
    typical, farthest = np.median(worst), worst[np.argmax(np.max(excess, axis=1))]
    unit = "" if unit in ("", "dimensionless") else f" {unit}"
    note = f"expected {rule.low:g} to {rule.high:g}{unit}; median {typical:.3g}, worst {farthest:.3g}"
    return _row(rule, broken, note)


def _time_unit(ds: xr.Dataset) -> str:
    """Unit of the dataset's times."""
    return str(ds["time"].attrs.get("units", ""))


def _monotone(model: Model, rule: Monotone, parameters: Mapping[str, ArrayLike]) -> Check:
    found = []
    for experiment in rule.experiments:
        ds = _simulate(model, np.array([experiment.t0, rule.time]), parameters, experiment, [rule.formula])
        if ds is None:
            return _unknown(rule)
        usable = _integrated(model, ds)
        found.append((ds[rule.formula].to_numpy()[:, -1], usable))
    usable = np.all([good for _, good in found], axis=0)
    if not usable.any():
        return _unknown(rule)
    doses = np.stack([values[usable] for values, _ in found], axis=1)
    steps = np.diff(doses, axis=1) * (1 if rule.rises else -1)
    allowed = ROUNDING * np.max(np.abs(doses), axis=1, keepdims=True)
    broken = ~np.all(steps >= -allowed, axis=1)  # a comparison with NaN is false, so NaN breaks the rule
    middle = " to ".join(f"{value:.3g}" for value in np.median(doses, axis=0))
    note = f"expected to {'rise' if rule.rises else 'fall'} with the dose; medians at t = {rule.time:g}: {middle}"
    return _row(rule, broken, note)


def _row(rule: Rule, broken: Bool[np.ndarray, " draw"], note: str) -> Check:
    share = float(np.mean(broken))
    result = f"{share:.0%} of {len(broken)} draws break it"
    return Check(_key(rule), rule.name, result, share <= MOST_BROKEN, f"{note}. {rule.source}", share)


def _unknown(rule: Rule) -> Check:
    return Check(_key(rule), rule.name, "no draws", None, f"no draw could be integrated. {rule.source}")


def _key(rule: Rule) -> str:
    return f"rule.{re.sub(r'[^a-z0-9]+', '_', rule.name.lower()).strip('_')}"
