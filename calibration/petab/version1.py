"""The tables of PEtab version 1 (https://petab.readthedocs.io/en/latest/v1/documentation_data_format.html)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calibration.petab.description import (
    Description,
    ExperimentEntry,
    ObservableEntry,
    ParameterEntry,
    Period,
    Reading,
    Setting,
    refuse_empty,
    unique,
)
from calibration.petab.errors import PetabError, UnsupportedPetabError
from calibration.petab.files import ProblemFile
from calibration.petab.priors import read_prior
from calibration.petab.table import IDENTIFIER, Row, Table, as_number, read_tables
from twin.study import NoiseFamily

_FAMILIES: dict[tuple[str, str], NoiseFamily] = {
    ("lin", "normal"): "normal",
    ("lin", "laplace"): "laplace",
    ("log", "normal"): "log_normal",
    ("log", "laplace"): "log_laplace",
    ("log10", "normal"): "log_normal",
    ("log10", "laplace"): "log_laplace",
}


def read_version_1(file: ProblemFile) -> Description:
    """Reads the tables.

    Raises:
        PetabError: they break the format or do not fit together.
        UnsupportedPetabError: several problems or several models.
    """
    part = _only_problem(file)
    models = file.paths("sbml_files", part)
    if len(models) != 1:
        error = UnsupportedPetabError if models else PetabError
        raise error(f"{len(models)} models are named", where=f"{file.path.name}, sbml_files", expected="one SBML model")
    parameters = _parameters(_tables(file, file.content, "parameter_file", "parameterId", "parameterScale", "estimate"))
    observables = _observables(
        _tables(file, part, "observable_files", "observableId", "observableFormula", "noiseFormula")
    )
    conditions = _conditions(_tables(file, part, "condition_files", "conditionId"))
    tables = _tables(file, part, "measurement_files", "observableId", "simulationConditionId", "measurement", "time")
    readings, experiments = _readings(tables, conditions)
    refuse_empty(observables, "observables", file.path.name)
    refuse_empty(readings, "measurements", file.path.name)
    return Description(file.path.stem, models[0], "sbml", parameters, observables, experiments, readings, aliases={})


def _only_problem(file: ProblemFile) -> Mapping[str, Any]:
    problems = file.content.get("problems")
    if not isinstance(problems, list) or not problems:
        raise file.fault("problems", problems, "a list with one problem")
    if len(problems) > 1:
        raise UnsupportedPetabError(
            f"{len(problems)} problems stand in one file",
            where=f"{file.path.name}, problems",
            expected="one problem with one model",
            fix="write a YAML file for each of them",
        )
    if not isinstance(problems[0], Mapping):
        raise file.fault("problems", problems[0], "a mapping with sbml_files and the tables")
    return {str(key): value for key, value in problems[0].items()}


def _tables(file: ProblemFile, content: Mapping[str, Any], key: str, *columns: str) -> tuple[Table, ...]:
    paths: tuple[Path, ...] = file.paths(key, content)
    if not paths:
        raise file.fault(key, content.get(key), "the name of a file, or a list of them")
    return read_tables(paths, *columns)


def _parameters(tables: Sequence[Table]) -> dict[str, ParameterEntry]:
    entries = []
    for row in (row for table in tables for row in table):
        name = row.identifier("parameterId")
        estimated = _flag(row)
        scale = row.choice("parameterScale", ("lin", "log", "log10"), "lin")
        nominal = None if row.optional("nominalValue") is None else row.number("nominalValue")
        if estimated:
            prior, lower, upper = read_prior(row, "objectivePriorType", "objectivePriorParameters", 1, scale)  # type: ignore[arg-type]
        else:
            if nominal is None:
                raise row.fault("nominalValue", "the cell is empty", expected="a number, since nothing is estimated")
            prior, lower, upper = None, nominal, nominal
        if estimated and scale != "lin" and nominal is not None and nominal <= 0:
            raise row.fault("nominalValue", f"{nominal:g} has no logarithm", expected="a positive number")
        entries.append((name, row, ParameterEntry(name, estimated, scale, lower, upper, nominal, prior, row)))  # type: ignore[arg-type]
    return unique(entries, "parameterId")


def _flag(row: Row) -> bool:
    text = row.text("estimate")
    if as_number(text) not in (0.0, 1.0):
        raise row.fault("estimate", f"{text!r} stands there", expected="0 or 1")
    return as_number(text) == 1.0


def _observables(tables: Sequence[Table]) -> dict[str, ObservableEntry]:
    entries = []
    for row in (row for table in tables for row in table):
        name, formula, noise = (
            row.identifier("observableId"),
            row.formula("observableFormula"),
            row.formula("noiseFormula"),
        )
        transformation = row.choice("observableTransformation", ("lin", "log", "log10"), "lin")
        family = _FAMILIES[transformation, row.choice("noiseDistribution", ("normal", "laplace"), "normal")]
        both = f"{formula} {noise}"
        entry = ObservableEntry(
            name,
            formula,
            noise,
            family,
            "10" if transformation == "log10" else "e",
            _placeholders("observableParameter", name, both, row),
            _placeholders("noiseParameter", name, both, row),
            row,
        )
        entries.append((name, row, entry))
    return unique(entries, "observableId")


def _placeholders(kind: str, observable: str, text: str, row: Row) -> tuple[str, ...]:
    """The names ``<kind><n>_<observable>`` in a text, in order of n."""
    numbers = {int(n) for n in re.findall(rf"\b{kind}([0-9]{{1,6}})_{observable}\b", text)}
    if numbers and numbers != set(range(1, len(numbers) + 1)):
        raise row.fault(
            None, f"the placeholders {kind}n_{observable} are numbered {sorted(numbers)}", expected="1, 2, 3, ..."
        )
    return tuple(f"{kind}{n}_{observable}" for n in sorted(numbers))


def _conditions(tables: Sequence[Table]) -> dict[str, tuple[Setting, ...]]:
    entries = []
    for table in tables:
        targets = [name for name in table.columns if name not in ("conditionId", "conditionName")]
        for row in table:
            settings = []
            for target in targets:
                text = row.optional(target)
                if text is None:
                    continue
                if not IDENTIFIER.match(target):
                    raise row.fault(target, "the column is no identifier", expected="an entity of the model")
                settings.append(Setting(target, _number_or_name(row, target, text), row, target))
            name = row.identifier("conditionId")
            entries.append((name, row, tuple(settings)))
    return unique(entries, "conditionId")


def _number_or_name(row: Row, column: str, text: str) -> float | str:
    value = as_number(text)
    if value is not None and math.isfinite(value):
        return value
    if not IDENTIFIER.match(text):
        raise row.fault(column, f"{text[:60]!r} stands there", expected="a number or the name of a parameter")
    return text


def _readings(
    tables: Sequence[Table], conditions: Mapping[str, tuple[Setting, ...]]
) -> tuple[tuple[Reading, ...], dict[str, ExperimentEntry]]:
    readings = []
    experiments: dict[str, ExperimentEntry] = {}
    for row in (row for table in tables for row in table):
        before, during = row.optional("preequilibrationConditionId"), row.text("simulationConditionId")
        for column, name in (("preequilibrationConditionId", before), ("simulationConditionId", during)):
            if name is not None and name not in conditions:
                raise row.fault(column, f"the condition {name!r} is not described", expected="a conditionId")
        experiment = during if before is None else f"{before} then {during}"
        if experiment not in experiments:
            periods = [Period(0.0, conditions[during])]
            if before is not None:
                periods.insert(0, Period(None, conditions[before]))
            experiments[experiment] = ExperimentEntry(experiment, tuple(periods), lasting=False)
        time = row.number("time", infinite=True)
        if time < 0:
            raise row.fault("time", f"the time is {time:g}", expected="0 or later, or inf")
        readings.append(
            Reading(
                row.identifier("observableId"),
                experiment,
                time,
                row.number("measurement"),
                tuple(_number_or_name(row, "observableParameters", x) for x in row.parts("observableParameters")),
                tuple(_number_or_name(row, "noiseParameters", x) for x in row.parts("noiseParameters")),
                row,
            )
        )
    return tuple(readings), experiments
