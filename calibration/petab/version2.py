"""The tables of PEtab version 2 (https://petab.readthedocs.io/en/latest/v2/documentation_data_format.html)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

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
from twin.errors import TwinWarning
from twin.study import NoiseFamily

_FAMILIES: dict[str, NoiseFamily] = {
    "normal": "normal",
    "laplace": "laplace",
    "log-normal": "log_normal",
    "log-laplace": "log_laplace",
}
WITHOUT_EXPERIMENT = "default"
"""Name of the experiment of readings that name none: a run from time 0 without conditions."""


def read_version_2(file: ProblemFile) -> Description:
    """Reads the tables.

    Raises:
        PetabError: they break the format or do not fit together.
        UnsupportedPetabError: several models, or an extension that is required.
    """
    _check_extensions(file)
    model_id, model, language = _model(file)

    def tables(key: str, *columns: str, needed: bool = False) -> tuple[Table, ...]:
        paths = file.paths(key)
        if needed and not paths:
            raise file.fault(key, file.content.get(key), "a list of files")
        return read_tables(paths, *columns)

    parameters = _parameters(tables("parameter_files", "parameterId", "estimate", needed=True))
    observables = _observables(
        tables("observable_files", "observableId", "observableFormula", "noiseFormula", needed=True)
    )
    conditions = _conditions(tables("condition_files", "conditionId", "targetId", "targetValue"))
    experiments = _experiments(tables("experiment_files", "experimentId", "time", "conditionId"), conditions)
    readings = _readings(
        tables("measurement_files", "observableId", "time", "measurement", needed=True), experiments, model_id
    )
    refuse_empty(observables, "observables", file.path.name)
    refuse_empty(readings, "measurements", file.path.name)
    used = dict.fromkeys(reading.experiment for reading in readings)
    return Description(
        str(file.content.get("id") or file.path.stem),
        model,
        language,
        parameters,
        observables,
        {name: experiments[name] for name in used},
        readings,
        _aliases(tables("mapping_files", "petabEntityId", "modelEntityId")),
    )


def _check_extensions(file: ProblemFile) -> None:
    for name, settings in file.table("extensions").items():
        required = settings.get("required", True) if isinstance(settings, Mapping) else True
        where = f"{file.path.name}, extensions"
        if required is not False:
            raise UnsupportedPetabError(
                f"the problem requires the extension {name!r}", where=where, expected="no required extension"
            )
        warnings.warn(f"{where}: the extension {name!r} is not required, and left out", TwinWarning, stacklevel=5)


def _model(file: ProblemFile) -> tuple[str, Path, str]:
    models = file.table("model_files")
    if len(models) != 1:
        error = UnsupportedPetabError if models else PetabError
        raise error(f"{len(models)} models are named", where=f"{file.path.name}, model_files", expected="one model")
    ((name, entry),) = models.items()
    if not isinstance(entry, Mapping):
        raise file.fault("model_files", entry, "a mapping with location and language")
    language = str(entry.get("language", "")).lower()
    if language != "sbml":
        raise UnsupportedPetabError(
            f"the model {name!r} is written in {language or 'no language'!r}",
            where=f"{file.path.name}, model_files",
            expected="a model in sbml",
            fix="export it to SBML" if language == "pysb" else None,
        )
    return str(name), file.inside(entry.get("location"), "model_files"), language


def _parameters(tables: Sequence[Table]) -> dict[str, ParameterEntry]:
    entries = []
    for row in (row for table in tables for row in table):
        name = row.identifier("parameterId")
        flag = row.text("estimate").lower()
        if flag not in ("true", "false"):
            raise row.fault("estimate", f"{flag[:60]!r} stands there", expected="true or false")
        estimated = flag == "true"
        nominal = None if row.optional("nominalValue") is None else row.number("nominalValue")
        if estimated:
            prior, lower, upper = read_prior(row, "priorDistribution", "priorParameters", 2, "lin")
        else:
            if nominal is None:
                raise row.fault("nominalValue", "the cell is empty", expected="a number, since nothing is estimated")
            prior, lower, upper = None, nominal, nominal
        entries.append((name, row, ParameterEntry(name, estimated, "lin", lower, upper, nominal, prior, row)))  # type: ignore[arg-type]
    return unique(entries, "parameterId")


def _observables(tables: Sequence[Table]) -> dict[str, ObservableEntry]:
    entries = []
    for row in (row for table in tables for row in table):
        name = row.identifier("observableId")
        entry = ObservableEntry(
            name,
            row.formula("observableFormula"),
            row.formula("noiseFormula"),
            _FAMILIES[row.choice("noiseDistribution", tuple(_FAMILIES), "normal")],
            "e",
            _placeholders(row, "observablePlaceholders"),
            _placeholders(row, "noisePlaceholders"),
            row,
        )
        if set(entry.placeholders) & set(entry.noise_placeholders):
            raise row.fault("noisePlaceholders", "a placeholder is declared twice", expected="different names")
        entries.append((name, row, entry))
    return unique(entries, "observableId")


def _placeholders(row: Row, column: str) -> tuple[str, ...]:
    names = row.parts(column)
    for index, name in enumerate(names):
        if not IDENTIFIER.match(name) or name in names[:index]:
            raise row.fault(column, f"{name[:60]!r} stands there", expected="different identifiers separated by ;")
    return names


def _conditions(tables: Sequence[Table]) -> dict[str, tuple[Setting, ...]]:
    conditions: dict[str, dict[str, Setting]] = {}
    for row in (row for table in tables for row in table):
        of_condition = conditions.setdefault(row.identifier("conditionId"), {})
        target = row.identifier("targetId")
        if target in of_condition:
            raise row.fault("targetId", f"{target!r} is set twice by one condition", expected="each target once")
        text = row.formula("targetValue")
        value = as_number(text)
        if value is not None and not math.isfinite(value):
            raise row.fault("targetValue", f"the value is {value}", expected="a finite number or a formula")
        of_condition[target] = Setting(target, text if value is None else value, row, "targetValue")
    return {name: tuple(settings.values()) for name, settings in conditions.items()}


def _experiments(tables: Sequence[Table], conditions: Mapping[str, tuple[Setting, ...]]) -> dict[str, ExperimentEntry]:
    starts: dict[str, dict[float, dict[str, Setting]]] = {}
    for row in (row for table in tables for row in table):
        periods = starts.setdefault(row.identifier("experimentId"), {})
        time = row.number("time", infinite=True)
        if time == math.inf:
            raise row.fault("time", "the time is inf", expected="a finite time, or -inf for a run to steady state")
        settings = periods.setdefault(time, {})
        name = row.optional("conditionId")
        if name is None:
            continue
        if name not in conditions:
            raise row.fault("conditionId", f"the condition {name!r} is not described", expected="a conditionId")
        for setting in conditions[name]:
            if setting.target in settings:
                raise row.fault(
                    "conditionId", f"{setting.target!r} is set twice at one time", expected="once at a time"
                )
            settings[setting.target] = setting
    return {name: _experiment(name, periods) for name, periods in starts.items()}


def _experiment(name: str, periods: Mapping[float, Mapping[str, Setting]]) -> ExperimentEntry:
    ordered = [Period(None if t == -math.inf else t, tuple(periods[t].values())) for t in sorted(periods)]
    if len(ordered) == 1 and ordered[0].start is None:
        ordered.append(Period(0.0))
    return ExperimentEntry(name, tuple(ordered), lasting=True)


def _readings(tables: Sequence[Table], experiments: dict[str, ExperimentEntry], model_id: str) -> tuple[Reading, ...]:
    readings = []
    plain = WITHOUT_EXPERIMENT
    while plain in experiments:
        plain += "_"
    for row in (row for table in tables for row in table):
        experiment = row.optional("experimentId")
        if experiment is None:
            experiment = plain
            experiments.setdefault(plain, ExperimentEntry(plain, (Period(0.0),), lasting=True))
        elif experiment not in experiments:
            raise row.fault(
                "experimentId", f"the experiment {experiment!r} is not described", expected="an experimentId"
            )
        if (model := row.optional("modelId")) not in (None, model_id):
            raise row.fault("modelId", f"the model {model!r} is not there", expected=f"{model_id!r}, or nothing")
        time, start = row.number("time", infinite=True), _first_time(experiments[experiment])
        if time < start:
            raise row.fault(
                "time", f"the time is {time:g}", expected=f"{start:g}, the start of the experiment, or later"
            )
        readings.append(
            Reading(
                row.identifier("observableId"),
                experiment,
                time,
                row.number("measurement"),
                _own(row, "observableParameters"),
                _own(row, "noiseParameters"),
                row,
            )
        )
    return tuple(readings)


def _first_time(experiment: ExperimentEntry) -> float:
    return min(period.start for period in experiment.periods if period.start is not None)


def _own(row: Row, column: str) -> tuple[float | str, ...]:
    result: list[float | str] = []
    for text in row.parts(column):
        value = as_number(text)
        if value is not None and math.isfinite(value):
            result.append(value)
        elif IDENTIFIER.match(text):
            result.append(text)
        else:
            raise row.fault(column, f"{text[:60]!r} stands there", expected="numbers and names of parameters")
    return tuple(result)


def _aliases(tables: Sequence[Table]) -> dict[str, str]:
    entries = []
    for row in (row for table in tables for row in table):
        name, target = row.identifier("petabEntityId"), row.optional("modelEntityId")
        if target is not None and target != name:
            if not IDENTIFIER.match(target):
                raise row.fault("modelEntityId", f"{target[:60]!r} is no entity of SBML", expected="an identifier")
            entries.append((name, row, target))
    return unique(entries, "petabEntityId")
