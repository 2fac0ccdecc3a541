"""From what the tables say to a `Problem`: the model with the problem's names, estimates, experiments, readings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from calibration.petab.description import Description, ObservableEntry, ParameterEntry, Reading
from calibration.petab.errors import PetabError, UnsupportedPetabError
from calibration.petab.experiments import make_experiment
from calibration.petab.targets import Targets
from calibration.problem import Problem
from twin.errors import ModelError, TwinWarning, suggestion
from twin.measurements import Measurements
from twin.model import Model
from twin.model.parts import Assignment, Observable, Parameter
from twin.study import Estimate, Noise

SUBJECT = "1"
"""PEtab knows no subjects."""

LN_10 = math.log(10.0)


def make_problem(description: Description, model: Model, **arguments: Any) -> Problem:
    """The problem that a description and a model make.

    Args:
        description: What the tables say.
        model: The model they speak of.
        arguments: Further arguments of `Problem`.

    Raises:
        PetabError: names that do not fit together.
        UnsupportedPetabError: something that we do not compute.
    """
    measured = dict.fromkeys(reading.observable for reading in description.readings)
    _check_observables(description, measured)
    model = _with_names(model, description, measured)
    targets = Targets(model, description.aliases)
    experiments = {name: make_experiment(entry, targets) for name, entry in description.experiments.items()}
    _check_positive(description)
    noise = {name: _noise(description.observables[name]) for name in measured}
    estimated = [entry for entry in description.parameters.values() if entry.estimated]
    if not estimated:
        raise UnsupportedPetabError(
            "no parameter is to be estimated", where=description.name, expected="at least one with estimate = 1"
        )
    problem = Problem(
        model,
        Measurements(_table(description.readings), source=description.name),
        [_estimate(entry, model) for entry in estimated],
        noise,
        experiments=experiments,
        name=description.name,
        by_reading=_own_values(description),
        **arguments,
    )
    return _with_nominal(problem, estimated)


def _check_observables(description: Description, measured: Mapping[str, None]) -> None:
    for reading in description.readings:
        if reading.observable not in description.observables:
            raise reading.row.fault(
                "observableId",
                f"the observable {reading.observable!r} is not described",
                expected="an observableId",
                fix=suggestion(reading.observable, description.observables),
            )
    if not measured:
        raise PetabError("there are no measurements", where=description.name)


def _with_names(model: Model, description: Description, measured: Mapping[str, None]) -> Model:
    """The model with the parameters, placeholders, aliases and observables of the problem."""
    parameters = {part.name: part for part in model.parameters}
    for entry in description.parameters.values():
        name = entry.name
        if name in model.parts and name not in parameters:
            kind = type(model.parts[name]).__name__.lower()
            raise UnsupportedPetabError(
                f"{name!r} is computed by the model ({kind})",
                where=entry.row.where("parameterId"),
                expected="a constant without rule or initial assignment, or a name of the problem's own",
            )
        value = entry.nominal if entry.nominal is not None else parameters.get(name, Parameter(name, 1.0)).value
        parameters[name] = replace(parameters.get(name, Parameter(name, 1.0)), value=value)
    for name in measured:
        entry = description.observables[name]
        for column, placeholder in _placeholders(entry):
            if placeholder in model.parts or placeholder in parameters:
                raise entry.row.fault(column, f"the placeholder {placeholder!r} is a name of the model or a parameter")
        parameters |= {placeholder: Parameter(placeholder, 1.0) for _, placeholder in _placeholders(entry)}
    aliases = []
    for name, target in description.aliases.items():
        if target not in model.parts:
            raise PetabError(
                f"{name!r} stands for {target!r}, which the model does not have",
                where=f"{description.name}, mapping table",
                fix=suggestion(target, model.parts),
            )
        if name not in model.parts and name not in parameters:
            aliases.append(Assignment(name, target))
    try:
        extended = replace(
            model,
            parameters=tuple(parameters.values()),
            assignments=(*model.assignments, *aliases),
            observables=(),
            check_units=False,
        )
    except ModelError as error:
        raise PetabError(error.found, where=f"{description.name}, parameters", expected=error.expected) from None
    observables = []
    for name in measured:
        entry = description.observables[name]
        _check_formula(extended, entry, "observableFormula", entry.formula, ())
        _check_formula(extended, entry, "noiseFormula", entry.noise, (name,))
        if name in extended.parts:
            raise entry.row.fault("observableId", f"{name!r} is a name of the model, too", expected="a name of its own")
        observables.append(Observable(name, entry.formula))
    return replace(extended, observables=tuple(observables))


def _placeholders(entry: ObservableEntry) -> list[tuple[str, str]]:
    return [("observablePlaceholders", name) for name in entry.placeholders] + [
        ("noisePlaceholders", name) for name in entry.noise_placeholders
    ]


def _check_formula(model: Model, entry: ObservableEntry, column: str, formula: str, extra: tuple[str, ...]) -> None:
    try:
        expression = model.formula(formula, where=entry.row.where(column), extra=extra)
        if column == "noiseFormula" and expression.is_number and not float(expression) > 0:
            raise entry.row.fault(column, f"the noise scale is {float(expression):g}", expected="a positive number")
    except ModelError as error:
        raise entry.row.fault(column, error.found, expected=error.expected, fix=error.fix) from None


def _noise(entry: ObservableEntry) -> Noise:
    # ln y = log10(y) ln(10): noise of the decadic logarithm is that of the natural one, on another scale.
    return Noise(entry.family, f"({entry.noise})*{LN_10!r}" if entry.logarithm == "10" else entry.noise)


def _check_positive(description: Description) -> None:
    for reading in description.readings:
        if reading.value <= 0 and description.observables[reading.observable].family.startswith("log_"):
            raise reading.row.fault(
                "measurement",
                f"a reading of {reading.observable!r} is {reading.value:g}",
                expected="positive readings, since the noise is that of the logarithm",
            )


def _estimate(entry: ParameterEntry, model: Model) -> Estimate:
    nominal = entry.nominal
    if nominal is not None and not entry.lower <= nominal <= entry.upper:
        nominal = 0.5 * (entry.lower + entry.upper)
    elif nominal is None:
        default = model.default_parameters[entry.name]
        nominal = default if entry.lower <= default <= entry.upper else 0.5 * (entry.lower + entry.upper)
    return Estimate(entry.name, entry.lower, entry.upper, entry.scale, entry.prior, nominal)


def _with_nominal(problem: Problem, estimated: list[ParameterEntry]) -> Problem:
    outside = {e.name: e.nominal for e in estimated if e.nominal is not None and not e.lower <= e.nominal <= e.upper}
    if not outside:
        return problem
    warnings.warn(
        f"{problem.name}: the nominal values of {', '.join(outside)} lie outside their bounds or priors",
        TwinWarning,
        stacklevel=4,
    )
    return problem.with_nominal(outside)


def _table(readings: tuple[Reading, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "experiment": [reading.experiment for reading in readings],
            "subject": [SUBJECT] * len(readings),
            "observable": [reading.observable for reading in readings],
            "time": np.array([reading.time for reading in readings], dtype=float),
            "value": np.array([reading.value for reading in readings], dtype=float),
            "noise": np.full(len(readings), np.nan),
            "censoring": [""] * len(readings),
        }
    )


def _own_values(description: Description) -> pd.DataFrame | None:
    """What stands in the place of the placeholders, by reading."""
    columns: dict[str, list[float | str]] = {}
    count = len(description.readings)
    for index, reading in enumerate(description.readings):
        entry = description.observables[reading.observable]
        for column, names, values in (
            ("observableParameters", entry.placeholders, reading.own),
            ("noiseParameters", entry.noise_placeholders, reading.own_noise),
        ):
            if len(names) != len(values):
                raise reading.row.fault(
                    column,
                    f"{len(values)} values are given",
                    expected=f"{len(names)}, as {entry.name!r} has placeholders",
                )
            for name, value in zip(names, values, strict=True):
                if isinstance(value, str) and value not in description.parameters:
                    raise reading.row.fault(
                        column,
                        f"{value!r} is no parameter of the problem",
                        expected="numbers and names of the parameter table",
                        fix=suggestion(value, description.parameters),
                    )
                columns.setdefault(name, [math.nan] * count)[index] = value
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()}) if columns else None
