"""`Measurements`: a validated, immutable table of readings."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Never, final

import numpy as np

from twin.errors import MeasurementError
from twin.measurements.assembly import assemble
from twin.measurements.options import ColumnNames, Missing, Options, ReadsModel, Replicates
from twin.measurements.raw import from_frame
from twin.measurements.schema import NUMBERS, UPPER, check_schema

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

# Rows shown in a notebook.
_PREVIEW = 10


@final
class Measurements:
    """Readings of observables: one row each, checked and in a model's units.

    Make one with `twin.read_measurements` or `Measurements.from_table`; the constructor takes a table that is
    in the schema already.

    Args:
        table: Columns experiment, subject, observable (str), time [time_unit], value, noise [units] (float64;
            noise is NaN where not given) and censoring ("", or "left" and "right": the value is then the limit that
            the reading lies below or above, or "interval": the value is then the lower limit, and a further column,
            upper, has the upper one, and NaN in other rows).
        source: Where the readings come from: a path, or a name.
        time_unit: Unit of the times, None if nobody said.
        units: Unit of values and noise by observable, None if nobody said.
        dropped: Rows without a value that were left out at reading.

    Raises:
        MeasurementError: The table is not in the schema.

    Example:
        >>> import pandas as pd
        >>> titres = pd.DataFrame({"patient": [1, 1], "hours": [24, 48], "titre": [2.0, 5.5]})
        >>> readings = Measurements.from_table(titres, observable="virus", columns={"value": "titre"})
        >>> readings.time_unit, readings.series
        ('hour', [('default', '1')])
    """

    source: str
    time_unit: str | None
    units: Mapping[str, str | None]
    dropped: int
    _table: pd.DataFrame

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        source: str = "table",
        time_unit: str | None = None,
        units: Mapping[str, str | None] | None = None,
        dropped: int = 0,
    ) -> None:
        check_schema(table, source)
        present = dict.fromkeys(table["observable"])
        values = {
            "source": source,
            "time_unit": time_unit,
            "units": MappingProxyType({name: (units or {}).get(name) for name in present}),
            "dropped": dropped,
            "_table": _without_empty_upper(table).reset_index(drop=True).copy(),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_table(
        cls,
        df: pd.DataFrame,
        model: ReadsModel | None = None,
        *,
        columns: ColumnNames | None = None,
        observable: str | None = None,
        time_unit: str | None = None,
        value_units: str | Mapping[str, str] | None = None,
        detection_limit: float | Mapping[str, float] | None = None,
        missing: Missing = "error",
        replicates: Replicates = "allow",
        allow_negative_time: bool = False,
        varying_limits: bool = False,
        source: str = "table",
    ) -> Measurements:
        """Readings from a data frame, long (a value column) or wide (a column per observable).

        Args are those of `twin.read_measurements`, and `source`, the table's name in messages and provenance.

        Raises:
            MeasurementError: The table cannot be used; the message names row and column.
            UnitError: A unit is unknown or does not convert.
        """
        options = Options(
            observable=observable,
            time_unit=time_unit,
            value_units=value_units,
            detection_limit=detection_limit,
            missing=missing,
            replicates=replicates,
            allow_negative_time=allow_negative_time,
            varying_limits=varying_limits,
        )
        table, unit, units, dropped = assemble(from_frame(df, source), model, columns, options)
        return cls(table, source=source, time_unit=unit, units=units, dropped=dropped)

    def for_model(self, model: ReadsModel) -> Measurements:
        """The same readings in the units of a model.

        Raises:
            MeasurementError: The model lacks one of the observables.
            UnitError: A unit does not convert.
        """
        known = {name: unit for name, unit in self.units.items() if unit is not None}
        converted = Measurements.from_table(
            self._table,
            model,
            columns={name: name for name in self._table.columns},
            time_unit=self.time_unit,
            value_units=known,
            replicates="identical",
            allow_negative_time=True,
            varying_limits=True,
            source=self.source,
        )
        object.__setattr__(converted, "dropped", self.dropped)
        return converted

    @property
    def table(self) -> pd.DataFrame:
        """The readings, as a copy."""
        return self._table.copy()

    @property
    def series(self) -> list[tuple[str, str]]:
        """Pairs of experiment and subject, in the order in which they first appear."""
        return list(dict.fromkeys(zip(self._table["experiment"], self._table["subject"], strict=True)))

    @property
    def observables(self) -> tuple[str, ...]:
        """Observables that were read, in the order in which they first appear."""
        return tuple(dict.fromkeys(self._table["observable"]))

    @property
    def experiments(self) -> tuple[str, ...]:
        """Experiments, in the order in which they first appear."""
        return tuple(dict.fromkeys(self._table["experiment"]))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the readings, in hexadecimal; the same on every machine and for every file format."""
        digest = hashlib.sha256()
        for row in self._table.itertuples(index=False, name=None):
            # repr of a float is exact and the same everywhere; + 0.0 makes -0.0 the 0.0 that it equals.
            cells = [
                repr(cell + 0.0) if name in (*NUMBERS, UPPER) else repr(str(cell))
                for name, cell in zip(self._table.columns, row, strict=True)
            ]
            digest.update(("\x1f".join(cells) + "\n").encode("utf-8"))
        return digest.hexdigest()

    def subset(self, mask: ArrayLike) -> Measurements:
        """The readings where a mask is true.

        Args:
            mask: One boolean per reading, in the order of `table`.

        Raises:
            MeasurementError: The mask is not boolean, has another length, or keeps nothing.
        """
        keep = np.asarray(mask)
        if keep.dtype != np.bool_ or keep.shape != (len(self),):
            raise MeasurementError(
                f"the mask has type {keep.dtype} and shape {keep.shape}",
                where=self.source,
                expected=f"booleans of shape ({len(self)},)",
            )
        if not keep.any():
            raise MeasurementError("the mask keeps no reading", where=self.source, expected="at least one")
        return Measurements(
            self._table.loc[keep],
            source=self.source,
            time_unit=self.time_unit,
            units=self.units,
            dropped=self.dropped,
        )

    def __len__(self) -> int:
        return len(self._table)

    def __eq__(self, other: object) -> bool:
        """True if readings and units are the same; where they come from does not count."""
        if not isinstance(other, Measurements):
            return NotImplemented
        return (self.sha256, self.time_unit, dict(self.units)) == (
            other.sha256,
            other.time_unit,
            dict(other.units),
        )

    def __hash__(self) -> int:
        return hash((self.sha256, self.time_unit))

    def __setattr__(self, name: str, value: Any) -> Never:
        raise AttributeError(f"Measurements cannot be changed ({name}); make a new one with from_table or subset")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"Measurements cannot be changed ({name})")

    def __repr__(self) -> str:
        times, words = self._table["time"], self._table["censoring"].tolist()
        said = (("left", "below detection"), ("right", "above a limit"), ("interval", "in intervals"))
        censored = ", ".join(f"{words.count(kind)} {what}" for kind, what in said if kind in words)
        parts = [
            _count(len(self), "reading") + " of " + ", ".join(_with_unit(*item) for item in self.units.items()),
            f"{len(self.series)} series in {_count(len(self.experiments), 'experiment')}",
            f"time {times.min():g} to {times.max():g}" + (f" {self.time_unit}" if self.time_unit else ""),
            censored,
            f"{self.dropped} without value left out" if self.dropped else "",
            f"from {self.source}",
        ]
        return f"Measurements({'; '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        shown = self._table.head(_PREVIEW).to_html(index=False, na_rep="", border=0)
        more = f"<p>{_count(len(self) - _PREVIEW, 'more reading')}</p>" if len(self) > _PREVIEW else ""
        return f"<div><p>{html.escape(repr(self))}</p>{shown}{more}</div>"


def _without_empty_upper(table: pd.DataFrame) -> pd.DataFrame:
    """Tables without interval-censored readings have one form only, so that equal readings have equal hashes."""
    return table if UPPER not in table or "interval" in set(table["censoring"]) else table.drop(columns=UPPER)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _with_unit(name: str, unit: str | None) -> str:
    return f"{name} [{unit}]" if unit else name
