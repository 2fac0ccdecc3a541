"""What the tables of a PEtab problem say, in terms that both versions share.

The readers of the two versions (`calibration.petab.version1`, `calibration.petab.version2`) make a `Description`;
`calibration.petab.assembly` makes a problem of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calibration.petab.errors import PetabError
from calibration.petab.table import Row
from twin.study import NoiseFamily, Prior, Scale


@dataclass(frozen=True)
class ParameterEntry:
    """A row of the parameter table.

    Args:
        name: The parameter.
        estimated: Whether it is to be estimated.
        scale: Estimation scale.
        lower: Lower bound, linear scale.
        upper: Upper bound, linear scale.
        nominal: Nominal value, linear scale; None where the table gives none.
        prior: Its prior.
        row: Where it stands.
    """

    name: str
    estimated: bool
    scale: Scale
    lower: float
    upper: float
    nominal: float | None
    prior: Prior
    row: Row


@dataclass(frozen=True)
class ObservableEntry:
    """A row of the observable table.

    Args:
        name: The observable.
        formula: Its formula.
        noise: Formula of the noise scale.
        family: How readings scatter.
        logarithm: Base of the logarithm in which the noise scale is given, for the families of a logarithm.
        placeholders: Names in its formula that every reading replaces.
        noise_placeholders: The same for the noise formula.
        row: Where it stands.
    """

    name: str
    formula: str
    noise: str
    family: NoiseFamily
    logarithm: Literal["e", "10"]
    placeholders: tuple[str, ...]
    noise_placeholders: tuple[str, ...]
    row: Row


@dataclass(frozen=True)
class Setting:
    """A value given to a target by a condition.

    Args:
        target: What is set.
        value: A number or a formula.
        row: Where it stands.
        column: In which column.
    """

    target: str
    value: float | str
    row: Row
    column: str


@dataclass(frozen=True)
class Period:
    """A span of an experiment.

    Args:
        start: When it begins; None for a run to steady state before the experiment.
        settings: What is set at its beginning.
    """

    start: float | None
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class ExperimentEntry:
    """Periods of an experiment.

    Args:
        name: The experiment.
        periods: In order; the first one may be a run to steady state.
        lasting: Whether what a period sets lasts into the next one (version 2), or is the model's again (version 1;
            states keep their values in either).
    """

    name: str
    periods: tuple[Period, ...]
    lasting: bool


@dataclass(frozen=True)
class Reading:
    """A row of the measurement table.

    Args:
        observable: What was read.
        experiment: In which experiment.
        time: When; infinite for a reading at steady state.
        value: The number.
        own: What takes the place of the observable's placeholders: numbers and names.
        own_noise: What takes the place of the placeholders in its noise formula.
        row: Where it stands.
    """

    observable: str
    experiment: str
    time: float
    value: float
    own: tuple[float | str, ...]
    own_noise: tuple[float | str, ...]
    row: Row


@dataclass(frozen=True)
class Description:
    """All that the files say.

    Args:
        name: Name of the problem.
        model: The model file.
        language: Its language.
        parameters: Parameters by name.
        observables: Observables by name.
        experiments: Experiments that have readings, by name.
        readings: Readings in the order of the files.
        aliases: Names that stand for entities of the model (mapping tables).
    """

    name: str
    model: Path
    language: str
    parameters: Mapping[str, ParameterEntry]
    observables: Mapping[str, ObservableEntry]
    experiments: Mapping[str, ExperimentEntry]
    readings: tuple[Reading, ...]
    aliases: Mapping[str, str]


def unique[T](entries: list[tuple[str, Row, T]], column: str) -> dict[str, T]:
    """Entries by name.

    Raises:
        PetabError: a name is there twice.
    """
    result: dict[str, T] = {}
    first: dict[str, Row] = {}
    for name, row, entry in entries:
        if name in result:
            raise row.fault(column, f"{name!r} is there twice, first in row {first[name].line} of {first[name].file}")
        result[name], first[name] = entry, row
    return result


def refuse_empty(things: Mapping[str, object] | tuple, what: str, where: str) -> None:
    """Refuses a problem without observables or readings.

    Raises:
        PetabError: there is nothing.
    """
    if not things:
        raise PetabError(f"there are no {what}", where=where, expected="at least one row")
