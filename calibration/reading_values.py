"""Model parameters that have a value of their own in some readings: a gain per gel, a noise scale per replicate.

Each reading gives a number or the name of another parameter. Thousands of different ones are a few arrays: a number
and an index per reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from twin.errors import ProblemError, suggestion

if TYPE_CHECKING:
    import pandas as pd

NUMBER, ABSENT = -1, -2


@dataclass(frozen=True)
class ReadingValues:
    """The values as arrays.

    Args:
        columns: The parameters that have them.
        names: Parameters that stand in some reading.
        numbers: The number in each reading, 0 where there is none.
        source: Which of `names` stands in each reading; `NUMBER` or `ABSENT` (the model's own value) otherwise.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    numbers: Float[np.ndarray, "column reading"]
    source: Int[np.ndarray, "column reading"]

    def rows(
        self, of_names: Float[Array, "name reading draw"], of_columns: Float[Array, "column reading draw"]
    ) -> Float[Array, "column reading draw"]:
        """The value of every column in each reading.

        Args:
            of_names: Values of `names` in every reading.
            of_columns: The model's own values of `columns`.
        """
        values = jnp.asarray(self.numbers)[..., None]
        if self.names:
            chosen = of_names[np.maximum(self.source, 0), np.arange(self.source.shape[1])[None]]
            values = jnp.where((self.source >= 0)[..., None], chosen, values)
        return jnp.where((self.source == ABSENT)[..., None], of_columns, values)

    def stands_for(self, column: str, name: str) -> Bool[np.ndarray, " reading"]:
        """Readings in which a parameter stands in a column."""
        here = self.source[self.columns.index(column)]
        if name not in self.names:
            return np.zeros(len(here), dtype=bool)
        return here == self.names.index(name)

    def keeps(self, column: str) -> Bool[np.ndarray, " reading"]:
        """Readings in which a column's parameter has the model's own value."""
        return self.source[self.columns.index(column)] == ABSENT


def reading_values(table: pd.DataFrame | None, count: int, known: Sequence[str]) -> ReadingValues:
    """Reads a table with a row per reading and a column per parameter; its cells are numbers, names or missing.

    Raises:
        ProblemError: a column or a cell names no parameter, or a number is not finite.
    """
    if table is None or not len(table.columns):
        return ReadingValues((), (), np.zeros((0, count)), np.zeros((0, count), dtype=int))
    numbers = np.zeros((len(table.columns), count))
    source = np.full((len(table.columns), count), NUMBER)
    position: dict[str, int] = {}
    known_names = set(known)
    for index, column in enumerate(table.columns):
        for row, cell in enumerate(table[column]):
            if isinstance(cell, str):
                _check_name(cell, f"column {column!r}, row {row}", known_names)
                source[index, row] = position.setdefault(cell, len(position))
            elif cell is None or np.isnan(cell):
                source[index, row] = ABSENT
            elif np.isfinite(cell):
                numbers[index, row] = cell
            else:
                raise ProblemError(
                    f"{cell} stands in row {row}", where=f"column {column!r}", expected="a finite number"
                )
        _check_name(str(column), "values of readings", known_names)
    return ReadingValues(tuple(map(str, table.columns)), tuple(position), numbers, source)


def _check_name(name: str, where: str, known: set[str]) -> None:
    if name not in known:
        raise ProblemError(
            f"{name!r} is no parameter", where=where, expected="a parameter of the model", fix=suggestion(name, known)
        )


def nearest_readings(known: pd.DataFrame, asked: pd.DataFrame) -> Int[np.ndarray, " asked"]:
    """For each row asked for, the known one of the same series and observable that is nearest in time.

    Raises:
        ProblemError: there is none of that series and observable.
    """
    keys = ["experiment", "subject", "observable"]
    rows_of = {key: np.asarray(rows) for key, rows in known.groupby(keys, sort=False).indices.items()}
    times = known["time"].to_numpy()
    found = []
    for key, time in zip(asked[keys].itertuples(index=False, name=None), asked["time"], strict=True):
        if key not in rows_of:
            raise ProblemError(
                f"there is no reading of {key[2]!r} in experiment {key[0]!r}, subject {key[1]!r}",
                where="prediction",
                expected="series and observables of the measurements, which say what their formulas need",
            )
        rows = rows_of[key]
        away = np.where(times[rows] == time, 0.0, np.abs(times[rows] - time))
        found.append(rows[np.argmin(away)])
    return np.array(found)
