"""What a problem is made of, checked: tables, estimates, noise, experiments, tolerances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
import pandas as pd

from calibration.noise import NOISE_MODELS, NoiseModel
from twin.errors import ProblemError, suggestion
from twin.experiment import Experiment
from twin.measurements import Measurements, read_measurements
from twin.model import Model
from twin.study import Estimate, Noise


def check_by_reading(table: pd.DataFrame | None, count: int) -> pd.DataFrame | None:
    if table is not None and len(table) != count:
        raise ProblemError(
            f"there are {len(table)} rows for {count} readings",
            where="by_reading",
            expected="a row per reading, in the order of the measurements",
        )
    return None if table is None else table.reset_index(drop=True)


def as_measurements(given: Measurements | pd.DataFrame | str | PathLike[str], model: Model) -> Measurements:
    if isinstance(given, Measurements):
        # An infinite time is a slip in a table of the laboratory, whose reader refuses it; here it was meant.
        steady = np.isinf(given.table["time"]).any()
        unknown = set(given.observables) - set(model.observable_names)
        return given if steady and given.time_unit is None and not unknown else given.for_model(model)
    if isinstance(given, pd.DataFrame):
        return Measurements.from_table(given, model)
    return read_measurements(given, model)


def as_estimates(given: Sequence[Estimate]) -> tuple[Estimate, ...]:
    if isinstance(given, Estimate) or not all(isinstance(estimate, Estimate) for estimate in given):
        raise ProblemError(f"the estimates are {given!r}", where="estimates", expected="a sequence of Estimate")
    return tuple(given)


def noise_by_observable(noise: Noise | Mapping[str, Noise], observables: Sequence[str]) -> dict[str, Noise]:
    if isinstance(noise, Noise):
        noise = dict.fromkeys(observables, noise)
    if not isinstance(noise, Mapping) or not all(isinstance(each, Noise) for each in noise.values()):
        raise ProblemError(
            f"the noise is {noise!r}", where="noise", expected="a Noise, or a Noise for each measured observable"
        )
    for name in observables:
        if name not in noise:
            raise ProblemError(
                f"the observable {name!r} is measured but has no noise model",
                where="noise",
                fix=f"add noise={{{name!r}: Noise(...)}}",
            )
    for name, model in noise.items():
        if model.family not in NOISE_MODELS:
            raise ProblemError(
                f"the noise family of {name!r} is {model.family!r}",
                where="noise",
                fix=suggestion(model.family, NOISE_MODELS),
            )
        if not model.df > 0:
            raise ProblemError(
                f"the degrees of freedom of {name!r} are {model.df:g}", where="noise", expected="a positive number"
            )
    return {name: noise[name] for name in observables}


def described_experiments(
    given: Mapping[str, Experiment], measurements: Measurements, model: Model
) -> dict[str, Experiment]:
    used = list(dict.fromkeys(experiment for experiment, _ in measurements.series))
    if given and (unknown := [name for name in used if name not in given]):
        raise ProblemError(
            f"the table has readings of the experiment {unknown[0]!r}, which is not described",
            where=f"experiments of {model.name!r}",
            fix=suggestion(unknown[0], given),
        )
    return {name: given.get(name, Experiment()) for name in used}


def check_fixed(fixed: Mapping[str, float], model: Model) -> None:
    for name, value in fixed.items():
        if name not in model.parameter_names:
            raise ProblemError(
                f"{name!r} is no parameter of the model {model.name!r}",
                where="fixed",
                fix=suggestion(name, model.parameter_names),
            )
        if not np.isfinite(value):
            raise ProblemError(f"{name!r} is {value}", where="fixed", expected="a finite number")


def check_tolerance(rtol: float, atol: float, max_steps: int) -> None:
    for name, value in (("rtol", rtol), ("atol", atol), ("max_steps", max_steps)):
        if not (np.isfinite(value) and value > 0):
            raise ProblemError(f"{name} is {value}", where="problem", expected="a positive number")


def check_readings(table: pd.DataFrame, noise_models: Mapping[str, NoiseModel]) -> None:
    for name, model in noise_models.items():
        rows = table[(table["observable"] == name) & (table["value"] <= 0)]
        if model.positive and len(rows):
            row = rows.iloc[0]
            raise ProblemError(
                f"a reading of {name!r} is {row['value']:g} (subject {row['subject']}, time {row['time']:g})",
                where="measurements",
                expected=f"positive readings, since the noise is {model.family}",
                fix="mark readings below the detection limit (and intervals from 0) as left, or use normal noise",
            )
