"""A table as it was given, with the place of every cell, so that each fault can be shown where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.errors import MeasurementError

if TYPE_CHECKING:
    import pandas as pd

# Places listed in one message: enough to see a pattern, few enough to read.
_SHOWN = 10


@dataclass(frozen=True)
class RawTable:
    """Cells as given.

    Args:
        source: The file's path, or a name for a data frame.
        names: Header of each column, stripped; "" for a column without one.
        cells: Cells by column, then by row: text, or whatever a data frame holds.
        rows: How a message names each row: line numbers of a file, index labels of a data frame.
        is_file: True if `rows` are line numbers.
        header_line: Line of the header in a file.
    """

    source: str
    names: tuple[str, ...]
    cells: tuple[Sequence[Any], ...]
    rows: Sequence[Any]
    is_file: bool = False
    header_line: int = 1

    def __post_init__(self) -> None:
        for index, name in enumerate(self.names):
            if name and name in self.names[:index]:
                raise MeasurementError(f"two columns are named {name!r}", where=self.header, fix="rename one of them")

    @property
    def header(self) -> str:
        """Place of the header, for messages."""
        return f"{self.source}:{self.header_line}" if self.is_file else self.source

    def column(self, index: int) -> str:
        """Place of a column, for messages."""
        return f"{self.source}, column {self.names[index]!r}"

    def place(self, row: int, column: int | None = None) -> str:
        """Place of a row or of one of its cells, for messages."""
        label = self.rows[row]
        text = f"{self.source}:{label}" if self.is_file else f"{self.source}, row {label!r}"
        return text if column is None else f"{text}, column {self.names[column]!r}"

    def fault(
        self,
        rows: Sequence[int],
        column: int | None,
        found: str,
        *,
        expected: str | None = None,
        fix: str | None = None,
    ) -> MeasurementError:
        """The error for a fault that some rows share; it stands at the first of them and lists the others.

        Args:
            rows: Positions of the rows, in order; repeated rows are listed once.
            column: Position of the column in the first row.
            found: What was found in the first row.
            expected: What would have been accepted.
            fix: What the user can do about it.
        """
        distinct = list(dict.fromkeys(rows))
        if len(distinct) > 1:
            labels = ", ".join(str(self.rows[row]) for row in distinct[:_SHOWN])
            more = f" and {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
            found += f" ({len(distinct)} such {'lines' if self.is_file else 'rows'}: {labels}{more})"
        return MeasurementError(found, where=self.place(distinct[0], column), expected=expected, fix=fix)


def from_frame(table: pd.DataFrame, source: str) -> RawTable:
    """A data frame as a raw table. Its index only names the rows.

    Raises:
        MeasurementError: Not a data frame, or two columns of one name.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise MeasurementError(
            f"the table is a {type(table).__name__}",
            where=source,
            expected="a pandas.DataFrame",
            fix="read a file with twin.read_measurements(path)",
        )
    return RawTable(
        source=source,
        names=tuple(str(name).strip() for name in table.columns),
        cells=tuple(table.iloc[:, index].tolist() for index in range(table.shape[1])),
        rows=table.index.tolist(),
    )
