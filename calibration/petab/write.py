"""`write_petab`: a `Problem` to a folder of PEtab files."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Literal

from calibration.parameters import Entry
from calibration.petab.errors import UnsupportedPetabError
from calibration.petab.written_experiments import PeriodWriter, WrittenPeriod, infusion_name
from calibration.petab.written_parameters import linear_value, written_prior
from calibration.problem import Problem
from twin.errors import ProblemError, TwinWarning
from twin.experiment import Infusion
from twin.model import Model
from twin.model.formula import parse
from twin.model.parts import Parameter
from twin.model.printing import to_text
from twin.model.symbols import symbol

_DISTRIBUTIONS = {"normal": "normal", "laplace": "laplace", "log_normal": "log-normal", "log_laplace": "log-laplace"}


def write_petab(
    problem: Problem,
    folder: str | PathLike[str],
    version: Literal["1", "2.0.0"] = "2.0.0",
    *,
    priors: Literal["refuse", "omit"] = "refuse",
) -> Path:
    """Writes a problem as PEtab, with its model in SBML.

    Doses, infusions and changes become periods with conditions; a parameter that differs between subjects or
    experiments is set by the conditions of each series. One that some experiment changes is estimated under the name
    ``<name>_estimated``. Version 2 has no estimation scales: there the parameters are linear, with the same prior.

    Args:
        problem: The problem.
        folder: Where to; made if it is not there.
        version: "2.0.0" or "1", which has no doses.
        priors: What becomes of priors that PEtab does not have: refused, or left out with a warning.

    Returns:
        Path of the YAML file.

    Raises:
        UnsupportedPetabError: censored readings, Student-t noise, times given by formulas, or other things that the
            version does not have.
    """
    if version not in ("1", "2.0.0"):
        raise ProblemError(f"the version is {version!r}", where="write_petab", expected="'1' or '2.0.0'")
    from twin.exchange.sbml import write_sbml

    written = _Written(problem, int(version[0]), priors)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    write_sbml(written.model, path / "model.xml")
    for name, rows in written.tables().items():
        text = "\n".join("\t".join(row) for row in rows) + "\n"
        (path / f"{name}.tsv").write_text(text, encoding="utf-8")
    (path / "problem.yaml").write_text(written.yaml(), encoding="utf-8")
    return path / "problem.yaml"


@dataclass
class _Names:
    """Identifiers for names that may hold any character."""

    taken: set[str] = field(default_factory=set)
    of: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str) -> str:
        if name not in self.of:
            wanted = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
            wanted = f"_{wanted}" if wanted[0].isdigit() else wanted
            while wanted in self.taken:
                wanted += "_"
            self.taken.add(wanted)
            self.of[name] = wanted
        return self.of[name]


class _Written:
    """The tables of a problem."""

    def __init__(self, problem: Problem, version: int, priors: str) -> None:
        self.problem, self.version, self.priors = problem, version, priors
        _check(problem)
        self.placeholders = () if problem.by_reading is None else tuple(map(str, problem.by_reading.columns))
        self.model = self._model()
        self.names = _Names(set(self.model.parts))
        self.changed = self._changed()
        self.entry_names = {e.name: self._entry_name(e) for e in problem.parameters.entries}
        self.series = [self._series_name(*key) for key in problem.bindings.series]
        self.periods = [self._periods(index) for index in range(len(self.series))]

    def _model(self) -> Model:
        """The model as it is written: without observables and placeholders, with infusions as parameters."""
        problem = self.problem
        model = problem.model
        values = {**model.default_parameters, **problem.fixed}
        parameters = [replace(p, value=values[p.name]) for p in model.parameters if p.name not in self.placeholders]
        known = {p.name for p in parameters}
        # Only what the model has can differ between experiments.
        own = [n for n, slot in problem.parameters.slots.items() if n not in known and len(set(slot.value)) > 1]
        own += [n for n, slot in problem.parameters.slots.items() if n not in known and slot.eta is not None]
        parameters += [Parameter(name, 1.0) for name in dict.fromkeys(own)]
        odes = dict(model.odes)
        infused = {d.target for e in problem.bindings.experiments for d in e.doses if isinstance(d, Infusion)}
        for state in sorted(infused):
            parameters.append(Parameter(infusion_name(state), 0.0))
            odes[state] = f"{odes[state]} + {infusion_name(state)}" if state in odes else infusion_name(state)
        return replace(model, parameters=tuple(parameters), odes=odes, observables=(), check_units=False)

    def _changed(self) -> set[str]:
        """Parameters that some experiment sets, or that differ between series."""
        found: set[str] = set()
        for experiment in self.problem.bindings.experiments:
            found |= set(experiment.parameters) | {change.target for change in experiment.changes}
            if experiment.equilibrate is not None:
                found |= set(experiment.equilibrate.parameters)
        slots = self.problem.parameters.slots.items()
        return found | {name for name, slot in slots if slot.eta is not None or len(set(slot.value)) > 1}

    def _entry_name(self, entry: Entry) -> str:
        if entry.name == entry.parameter and entry.role == "value":
            return self.names(f"{entry.name}_estimated") if entry.parameter in self.changed else entry.name
        return self.names(entry.name)

    def _series_name(self, experiment: str, subject: str) -> str:
        subjects = {subject for _, subject in self.problem.bindings.series}
        return self.names(f"experiment {experiment}" if len(subjects) == 1 else f"experiment {experiment} {subject}")

    def _periods(self, index: int) -> list[WrittenPeriod]:
        problem = self.problem
        bases = {name: self._base(name, index) for name in sorted(self.changed)}
        where = f"experiment {problem.bindings.series[index][0]!r}"
        free = {*self.changed, *problem.parameters.slots}
        constants = {name: value for name, value in self.model.default_parameters.items() if name not in free}
        return PeriodWriter(self.model, bases, constants, where).write(problem.bindings.experiments[index])

    def _base(self, name: str, index: int) -> str:
        """What a parameter is in a series: a name of the parameter table, a formula of such names, or a number."""
        parameters = self.problem.parameters
        slot = parameters.slots.get(name)
        if slot is None:
            return repr(float(self.model.default_parameters[name]))
        place = parameters.series.index(self.problem.bindings.series[index])
        value = self.entry_names[parameters.names[slot.value[place]]]
        if slot.eta is None:
            return value

        def moved(spread: int | float | None, is_estimated: bool, deviation: int) -> str:
            of = self.entry_names[parameters.names[int(spread)]] if is_estimated else spread  # type: ignore[arg-type]
            return f"{of}*{self.entry_names[parameters.names[deviation]]}"

        shift = moved(slot.between, slot.between_is_estimated, slot.eta[place])
        if slot.kappa is not None:
            shift += f" + {moved(slot.occasions, slot.occasions_is_estimated, slot.kappa[place])}"
        base = {"lin": None, "log": "exp(1)", "log10": "10"}[slot.scale]
        return f"{value} + {shift}" if base is None else f"{value}*{base}^({shift})"

    # ---- tables

    def tables(self) -> dict[str, list[list[str]]]:
        tables = {
            "parameters": self._parameters(),
            "observables": self._observables(),
            "measurements": self._measurements(),
        }
        return tables | (self._version_2_experiments() if self.version == 2 else self._version_1_conditions())

    def _parameters(self) -> list[list[str]]:
        first = self.version == 1
        head = ["parameterId", *(["parameterScale"] if first else []), "lowerBound", "upperBound", "nominalValue"]
        head += ["estimate"] + (
            ["objectivePriorType", "objectivePriorParameters"] if first else ["priorDistribution", "priorParameters"]
        )
        rows = [head]
        omitted = []
        for entry in self.problem.parameters.entries:
            try:
                prior = written_prior(entry, self.version)
            except UnsupportedPetabError:
                if self.priors != "omit":
                    raise
                prior = ("", "")
                omitted.append(entry.name)
            numbers = [repr(linear_value(entry, x)) for x in (entry.lower, entry.upper, entry.nominal)]
            scale = [entry.scale] if first else []
            rows.append([self.entry_names[entry.name], *scale, *numbers, "1" if first else "true", *prior])
        if omitted:
            warnings.warn(f"the priors of {', '.join(omitted)} are left out", TwinWarning, stacklevel=5)
        return rows

    def _noise(self, name: str) -> tuple[str, list[str]]:
        scale = self.problem.noise[name].scale
        if scale is None:
            placeholder = f"noiseParameter1_{name}"
            return placeholder, [placeholder]
        expression = parse(scale)
        if self.version == 1:  # whose noise formulas do not know observables
            expression = expression.xreplace({symbol(name): self.problem.model.observable_formulas[name]})
        return to_text(expression), []

    def _observables(self) -> list[list[str]]:
        head = ["observableId", "observableFormula", "noiseFormula", "noiseDistribution"]
        head += ["observableTransformation"] if self.version == 1 else ["observablePlaceholders", "noisePlaceholders"]
        rows = [head]
        for name in self.problem.bindings.observables:
            formula = to_text(self.problem.model.observable_formulas[name])
            noise, extra = self._noise(name)
            family = self.problem.noise[name].family
            of_formula = self._used(formula)
            of_noise = [p for p in self._used(noise) if p not in of_formula] + extra
            if self.version == 1:
                renamed = self._version_1_placeholders(name)
                row = [name, renamed(formula), renamed(noise), family.removeprefix("log_")]
                rows.append([*row, "log" if family.startswith("log_") else "lin"])
            else:
                rows.append([name, formula, noise, _DISTRIBUTIONS[family], ";".join(of_formula), ";".join(of_noise)])
        return rows

    def _used(self, text: str) -> list[str]:
        names = {s.name for s in parse(text).free_symbols}  # type: ignore[attr-defined]
        return [name for name in self.placeholders if name in names]

    def _version_1_placeholders(self, observable: str) -> Callable[[str], str]:
        formula = to_text(self.problem.model.observable_formulas[observable])
        noise, _ = self._noise(observable)
        of_formula = self._used(formula)
        of_noise = [p for p in self._used(noise) if p not in of_formula]
        names = {p: f"observableParameter{i}_{observable}" for i, p in enumerate(of_formula, 1)}
        names |= {p: f"noiseParameter{i}_{observable}" for i, p in enumerate(of_noise, 1)}
        instead = {symbol(old): symbol(new) for old, new in names.items()}
        return lambda text: to_text(parse(text).xreplace(instead))

    def _measurements(self) -> list[list[str]]:
        problem, table = self.problem, self.problem.bindings
        before = ["preequilibrationConditionId", "simulationConditionId"] if self.version == 1 else ["experimentId"]
        rows = [["observableId", *before, "time", "measurement", "observableParameters", "noiseParameters"]]
        for index, row in enumerate(problem.measurements.table.itertuples(index=False)):
            name = row.observable
            formula = self._used(to_text(problem.model.observable_formulas[name]))
            noise, extra = self._noise(name)
            own = [self._own(p, index) for p in formula]
            of_noise = [self._own(p, index) for p in self._used(noise) if p not in formula]
            of_noise += [repr(float(row.noise))] if extra else []
            series = int(table.lane[index])
            key = self._condition_ids(series) if self.version == 1 else [self.series[series]]
            numbers = [repr(float(row.time)), repr(float(row.value))]
            rows.append([name, *key, *numbers, ";".join(own), ";".join(of_noise)])
        return rows

    def _own(self, placeholder: str, index: int) -> str:
        cell = self.problem.by_reading[placeholder].iloc[index]  # type: ignore[index]
        if isinstance(cell, str):
            return self.entry_names.get(cell, cell)
        return repr(float(self.model.default_parameters.get(placeholder, 1.0) if cell != cell else cell))

    def _version_2_experiments(self) -> dict[str, list[list[str]]]:
        conditions = [["conditionId", "targetId", "targetValue"]]
        experiments = [["experimentId", "time", "conditionId"]]
        for name, periods in zip(self.series, self.periods, strict=True):
            for index, period in enumerate(periods):
                condition = self.names(f"{name} {index}") if period.values else ""
                conditions += [[condition, target, value] for target, value in period.values.items()]
                time = "-inf" if period.start == -math.inf else repr(period.start)
                experiments.append([name, time, condition])
        return {"conditions": conditions, "experiments": experiments}

    def _condition_ids(self, series: int) -> list[str]:
        periods = self.periods[series]
        name = self.series[series]
        return [self.names(f"{name} before") if len(periods) == 2 else "", self.names(f"{name} during")]

    def _version_1_conditions(self) -> dict[str, list[list[str]]]:
        rows: list[tuple[str, dict[str, str]]] = []
        for index, periods in enumerate(self.periods):
            first = [p for p in periods if p.start == -math.inf]
            if len(periods) - len(first) != 1 or periods[-1].start != 0.0:
                raise UnsupportedPetabError(
                    "something happens after the start of the experiment, or it does not start at 0",
                    where=f"experiment {self.series[index]!r}",
                    expected="one span from time 0: version 1 has no others",
                    fix="write version 2.0.0",
                )
            before, during = self._condition_ids(index)
            rows += [(before, first[0].values)] if first else []
            # What is set before lasts in our experiments, and must be said again in version 1.
            lasting = {k: v for period in first for k, v in period.values.items() if k in self.changed}
            rows.append((during, lasting | periods[-1].values))
        targets = sorted({target for _, values in rows for target in values})
        for name, values in rows:
            for target, value in values.items():
                if not re.fullmatch(r"[-+0-9.e]+|[A-Za-z_]\w*", value):
                    raise UnsupportedPetabError(
                        f"{target!r} is set to the formula {value}",
                        where=f"condition {name!r}",
                        expected="a number or a parameter: version 1 has no formulas in conditions",
                        fix="write version 2.0.0",
                    )
        cells = [[name, *(values.get(target, "") for target in targets)] for name, values in rows]
        return {"conditions": [["conditionId", *targets], *cells]}

    def yaml(self) -> str:
        if self.version == 1:
            return (
                "format_version: 1\nparameter_file: parameters.tsv\nproblems:\n- sbml_files: [model.xml]\n"
                "  condition_files: [conditions.tsv]\n  observable_files: [observables.tsv]\n"
                "  measurement_files: [measurements.tsv]\n"
            )
        files = ("parameter", "observable", "condition", "experiment", "measurement")
        lists = "".join(f"{name}_files: [{name}s.tsv]\n" for name in files)
        return f"format_version: 2.0.0\nmodel_files:\n  model:\n    location: model.xml\n    language: sbml\n{lists}"


def _check(problem: Problem) -> None:
    said = {"left": "below a detection limit", "right": "above a limit", "interval": "known to lie in an interval only"}
    table = problem.measurements.table
    if (censored := table[table["censoring"] != ""]).size:
        row = censored.iloc[0]
        raise UnsupportedPetabError(
            f"there are readings {said[row['censoring']]}: PEtab has no censored readings",
            where=f"write_petab, {row['observable']!r} at time {row['time']:g} (subject {row['subject']!r})",
            expected="readings that are numbers",
            fix="keep the table as CSV (measurements.table.to_csv) beside the model",
        )
    for name, slot in problem.parameters.slots.items():
        if slot.scale == "logit" or slot.shifts or slot.block is not None:
            what = "a logit scale" if slot.scale == "logit" else "effects of covariates or correlated deviations"
            raise UnsupportedPetabError(
                f"the estimate {name!r} has {what}",
                where="write_petab",
                expected="lin, log or log10 scales and independent deviations: PEtab has no others",
            )
    for name, noise in problem.noise.items():
        if noise.family not in _DISTRIBUTIONS:
            raise UnsupportedPetabError(
                f"the noise of {name!r} is {noise.family}",
                where="write_petab",
                expected=", ".join(_DISTRIBUTIONS),
            )
