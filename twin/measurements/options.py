"""What a caller may say about a table: its units, its detection limits, and what is tolerated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from twin.errors import MeasurementError

Missing = Literal["error", "drop"]
Replicates = Literal["allow", "identical", "error"]
#: Headers of a table by our column names; see `twin.read_measurements`.
ColumnNames = Mapping[str, str | Mapping[str, str] | None]


class ReadsModel(Protocol):
    """What a table needs to know of a model; `twin.model.Model` has it."""

    @property
    def time_unit(self) -> str:
        """Unit of the model's time."""
        ...

    @property
    def observable_names(self) -> tuple[str, ...]:
        """Names of what can be read."""
        ...

    def unit(self, name: str, /) -> str:
        """Unit of an observable."""
        ...


@dataclass(frozen=True)
class Options:
    """How a table is to be read.

    Args:
        observable: Name of the only observable, for tables without such a column.
        time_unit: Unit of the time column.
        value_units: Unit of the values (and of the noise): one for all, or by observable.
        detection_limit: Detection limit in the table's own value unit: one for all, or by observable.
        missing: What to do with empty value cells: refuse the table, or drop the rows.
        replicates: Whether several readings of one series at one time may stand: "allow" takes them if they
            differ, "identical" takes them even if they are equal, "error" takes none.
        allow_negative_time: Whether readings before time 0 may stand.
        varying_limits: Whether censored readings of one observable may have different limits.
    """

    observable: str | None = None
    time_unit: str | None = None
    value_units: str | Mapping[str, str] | None = None
    detection_limit: float | Mapping[str, float] | None = None
    missing: Missing = "error"
    replicates: Replicates = "allow"
    allow_negative_time: bool = False
    varying_limits: bool = False

    def __post_init__(self) -> None:
        _one_of("missing", self.missing, ("error", "drop"))
        _one_of("replicates", self.replicates, ("allow", "identical", "error"))


def _one_of(what: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise MeasurementError(f"{what} is {value!r}", expected=" or ".join(repr(word) for word in allowed))
