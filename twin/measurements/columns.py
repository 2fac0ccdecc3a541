"""The columns of a table: the names they go by, units in their headers, and what each one is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TIME_UNITS = ("second", "minute", "hour", "day", "week")

#: Other names of our columns, without spaces and underscores, in lower case.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "experiment": ("experiment", "experimentid", "arm", "condition", "conditionid", "simulationconditionid"),
    "subject": ("subject", "subjectid", "id", "patient", "patientid", "animal", "animalid"),
    "observable": ("observable", "observableid", "analyte", "dvid"),
    "time": ("time", "t", *_TIME_UNITS, *(f"{unit}s" for unit in _TIME_UNITS)),
    "value": ("value", "dv", "measurement", "conc", "concentration"),
    "noise": ("noise", "sd", "sigma"),
    "censoring": ("censoring", "cens", "censored", "leftcensored", "bql", "blq"),
    "upper": ("upper", "upperlimit", "upperbound"),
}
# "time [h]", "conc (mg/L)": the first opening bracket ends the name.
_WITH_UNIT = re.compile(r"(?P<name>[^\[(]*?)[\s_]*(?:\[(?P<square>.+)\]|\((?P<round>.+)\))")


@dataclass(frozen=True)
class Column:
    """A column that is used.

    Args:
        index: Its position.
        header: Header as given.
        unit: Unit written in the header, if any.
    """

    index: int
    header: str
    unit: str | None

    @property
    def time_unit(self) -> str | None:
        """The unit that the name itself says, as "hours" does."""
        name = plain(split_header(self.header)[0]).removesuffix("s")
        return name if name in _TIME_UNITS else None


@dataclass(frozen=True)
class ValueColumn:
    """A column of readings with the columns that belong to it.

    Args:
        value: The readings.
        observable: What is read, where the column has one observable only.
        noise: Standard deviations of the readings.
        censoring: Censoring words of the readings.
        upper: Upper limits of interval-censored readings.
    """

    value: Column
    observable: str | None = None
    noise: Column | None = None
    censoring: Column | None = None
    upper: Column | None = None


@dataclass(frozen=True)
class Layout:
    """What each column of a table is.

    A long table has one value column and, unless there is only one observable, an observable column; a wide
    one has a value column for each observable.
    """

    time: Column
    values: tuple[ValueColumn, ...]
    subject: Column | None = None
    experiment: Column | None = None
    observable: Column | None = None


def split_header(header: str) -> tuple[str, str | None]:
    """Name and unit of a header such as ``"time [h]"`` or ``"conc (mg/L)"``."""
    if (match := _WITH_UNIT.fullmatch(header.strip())) is None or not match["name"]:
        return header.strip(), None
    return match["name"], (match["square"] or match["round"]).strip()


def plain(name: str) -> str:
    """A name without spaces, underscores and hyphens, in lower case: how names are compared."""
    return re.sub(r"[\s_\-]", "", name).lower()
