"""Which column of a table is what: by its name or by the user's mapping, in long and in wide tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twin.errors import MeasurementError, nearest, suggestion
from twin.measurements.columns import SYNONYMS, Column, Layout, ValueColumn, plain, split_header
from twin.measurements.options import ColumnNames, ReadsModel
from twin.measurements.raw import RawTable
from twin.measurements.schema import COLUMNS, UPPER

_KEYS = (*COLUMNS, UPPER)
_PER_OBSERVABLE = ("value", "noise", "censoring", UPPER)
# What a message offers as names of the columns that every table needs.
_EXAMPLES = {"time": ("time", "hours", "days"), "value": ("value", "dv", "conc")}


def find_layout(
    raw: RawTable,
    model: ReadsModel | None,
    columns: ColumnNames | None,
    observable: str | None,
) -> Layout:
    """Finds the columns of a table.

    Args:
        raw: The table.
        model: The model whose observables are read.
        columns: A header by our name. "value", "noise", "censoring" and "upper" may map observables to headers
            (a wide table); None leaves out a column that would be found by its name.
        observable: The only observable, for tables without such a column.

    Raises:
        MeasurementError: A column is missing, cannot be told from another, or is used twice.
    """
    return _Finder(raw, model, _checked(columns), observable).layout()


def _checked(columns: Any) -> dict[str, Any]:
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise MeasurementError(
            f"columns is a {type(columns).__name__}",
            expected="a mapping such as {'time': 'hours', 'value': 'titre'}",
        )
    for key, header in columns.items():
        if key not in _KEYS:
            raise MeasurementError(
                f"columns has the unknown key {key!r}",
                expected="our name first, then the table's: " + ", ".join(_KEYS),
                fix=suggestion(str(key), _KEYS),
            )
        by_observable = isinstance(header, Mapping) and key in _PER_OBSERVABLE
        headers = list(header.values()) if by_observable and header else [header]
        if not all(isinstance(each, str) or (each is None and not by_observable) for each in headers):
            raise MeasurementError(
                f"columns[{key!r}] is {header!r}",
                expected="a header of the table" + (", or headers by observable" if key == "value" else ""),
            )
    return dict(columns)


class _Finder:
    """Finds the columns of one table; `claimed` holds those that have their meaning."""

    def __init__(
        self, raw: RawTable, model: ReadsModel | None, mapping: dict[str, Any], observable: str | None
    ) -> None:
        self.raw, self.model, self.mapping, self.only = raw, model, mapping, observable
        self.known = tuple(model.observable_names) if model is not None else ()
        self.claimed: dict[int, str] = {}

    def layout(self) -> Layout:
        for role, header in self.mapping.items():
            if isinstance(header, str):
                self._claim(self._by_header(header, f"columns[{role!r}]"), role)
        if isinstance(self.mapping.get("value"), Mapping):
            for name, header in self.mapping["value"].items():
                self._claim(self._by_header(header, f"columns['value'][{name!r}]"), f"value of {name}")
        observable = self._find("observable")
        others = {role: self._find(role) for role in ("experiment", "subject")}
        time = self._find("time", required=True)
        assert time is not None
        return Layout(time, self._values(observable), others["subject"], others["experiment"], observable)

    def _values(self, observable: Column | None) -> tuple[ValueColumn, ...]:
        wide = self._wide(observable)
        if wide is None:
            value = self._find("value", required=True)
            assert value is not None
            name = self._only_observable(observable)
            return (ValueColumn(value, name, *(self._beside(role) for role in _PER_OBSERVABLE[1:])),)
        if observable is not None:
            raise MeasurementError(
                f"there is an observable column, {observable.header!r}, and one value column per observable",
                where=self.raw.header,
                expected="one of the two",
                fix="pass columns={'observable': None, ...} if the table is wide",
            )
        # Many tables have an upper limit of something else; in a wide one it counts only if it is named.
        roles = [role for role in _PER_OBSERVABLE[1:] if role != UPPER or role in self.mapping]
        beside = [self._beside(role, wide) for role in roles]
        return tuple(
            ValueColumn(column, name, *(each[name] if isinstance(each, dict) else each for each in beside))
            for name, column in wide.items()
        )

    def _wide(self, observable: Column | None) -> dict[str, Column] | None:
        """Value columns by observable, or None for a long table."""
        mapped = self.mapping.get("value")
        if isinstance(mapped, Mapping):
            return {name: self._by_header(header, "columns['value']") for name, header in mapped.items()}
        if isinstance(mapped, str) or observable is not None or self.only is not None:
            return None
        wide = {
            split_header(header)[0]: self._column(index)
            for index, header in enumerate(self.raw.names)
            if index not in self.claimed and split_header(header)[0] in self.known
        }
        indices = {column.index for column in wide.values()}
        values = [column for column in self._candidates("value") if column.index not in indices]
        if wide and values:
            names = [*(column.header for column in wide.values()), values[0].header]
            raise MeasurementError(
                f"the readings may be in {_listed(names)}",
                where=self.raw.header,
                expected="one value column with an observable column, or one column per observable",
                fix=f"pass columns={{'value': ...}}, for instance columns={{'value': {names[-1]!r}}}",
            )
        for name, column in wide.items():
            self._claim(column, f"value of {name}")
        return wide or None

    def _only_observable(self, observable: Column | None) -> str | None:
        """The observable of a long table without an observable column."""
        if observable is not None:
            if self.only is not None:
                raise MeasurementError(
                    f"observable={self.only!r} was given, and there is a column {observable.header!r}",
                    where=self.raw.header,
                    fix="leave the argument out, or pass columns={'observable': None}",
                )
            return None
        if self.only is not None:
            return self.only
        if len(self.known) == 1:
            return self.known[0]
        what = f"the model has {len(self.known)}: {_listed(self.known)}" if self.known else "no model was given"
        raise MeasurementError(
            f"there is no column that names the observable, and {what}",
            where=self.raw.header,
            expected="a column 'observable', or one value column per observable",
            fix="pass observable='NAME', or columns={'value': {'NAME': 'HEADER', ...}}",
        )

    def _beside(self, role: str, wide: dict[str, Column] | None = None) -> Any:
        """The noise, censoring or upper column of a long table, or a dict by observable for a wide one."""
        mapped = self.mapping.get(role)
        if isinstance(mapped, Mapping):
            if wide is None:
                raise MeasurementError(
                    f"columns[{role!r}] has headers by observable, but there is one value column",
                    where=self.raw.header,
                    expected="one header",
                )
            if unknown := [name for name in mapped if name not in wide]:
                raise MeasurementError(
                    f"columns[{role!r}] names {unknown[0]!r}, which has no value column",
                    where=self.raw.header,
                    fix=suggestion(str(unknown[0]), wide),
                )
            found: dict[str, Column | None] = dict.fromkeys(wide)
            for name, header in mapped.items():
                found[name] = self._by_header(header, f"columns[{role!r}][{name!r}]")
                self._claim(found[name], f"{role} of {name}")
            return found
        column = self._find(role)
        if column is not None and wide is not None and len(wide) > 1:
            raise MeasurementError(
                f"column {column.header!r} could belong to any of {_listed(wide)}",
                where=self.raw.header,
                fix=f"pass columns={{{role!r}: {{'OBSERVABLE': {column.header!r}}}}}, or {{{role!r}: None}}",
            )
        return column

    def _find(self, role: str, *, required: bool = False) -> Column | None:
        if role in self.mapping:
            header = self.mapping[role]
            if header is not None:
                return self._by_header(header, f"columns[{role!r}]")
            candidates = []
        else:
            candidates = self._candidates(role)
        exact = [column for column in candidates if plain(split_header(column.header)[0]) == role]
        candidates = exact or candidates
        if len(candidates) > 1:
            names = [column.header for column in candidates]
            raise MeasurementError(
                f"the {role} may be in {_listed(names)}",
                where=self.raw.header,
                fix=f"say which: columns={{{role!r}: {names[0]!r}}}",
            )
        if candidates:
            self._claim(candidates[0], role)
            return candidates[0]
        if required:
            raise self._missing(role)
        return None

    def _candidates(self, role: str) -> list[Column]:
        """Unclaimed columns whose name means `role`; a column named as an observable holds readings."""
        found = []
        for index, header in enumerate(self.raw.names):
            name = split_header(header)[0]
            taken = index in self.claimed or (name in self.known and role != "value" and plain(name) != role)
            if not taken and plain(name) in SYNONYMS[role]:
                found.append(self._column(index))
        return found

    def _missing(self, role: str) -> MeasurementError:
        named = [name for name in self.raw.names if name]
        free = [name for index, name in enumerate(self.raw.names) if name and index not in self.claimed]
        by_plain = {plain(split_header(name)[0]): name for name in free}
        matches = [nearest(word, by_plain) for word in SYNONYMS[role] if len(word) > 1]
        close = [by_plain[match] for match in matches if match]
        wide = " (or columns named as the observables)" if role == "value" else ""
        return MeasurementError(
            f"there is no column for the {role}; the columns are {_listed(named)}",
            where=self.raw.header,
            expected=f"a column named {' or '.join(map(repr, _EXAMPLES[role]))}{wide}",
            fix=f"pass columns={{{role!r}: {(close or ['HEADER'])[0]!r}}}" + (" if that is it" if close else ""),
        )

    def _by_header(self, header: str, what: str) -> Column:
        wanted = header.strip()
        matches = [index for index, name in enumerate(self.raw.names) if name == wanted] or [
            index for index, name in enumerate(self.raw.names) if name and split_header(name)[0] == wanted
        ]
        if not wanted or not matches:
            raise MeasurementError(
                f"{what} is {header!r}, and there is no such column",
                where=self.raw.header,
                expected="one of: " + _listed(filter(None, self.raw.names)),
                fix=suggestion(wanted, filter(None, self.raw.names)),
            )
        return self._column(matches[0])

    def _claim(self, column: Column | None, role: str) -> None:
        if column is None:
            return
        if self.claimed.setdefault(column.index, role) != role:
            raise MeasurementError(
                f"column {column.header!r} is used as {self.claimed[column.index]} and as {role}",
                where=self.raw.header,
                fix="give each its own column",
            )

    def _column(self, index: int) -> Column:
        return Column(index, self.raw.names[index], split_header(self.raw.names[index])[1])


def _listed(names: Iterable[str]) -> str:
    names = [repr(name) for name in names]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
