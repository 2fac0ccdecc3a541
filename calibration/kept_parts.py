"""Changed copies of a problem that are kept with it, so that the same change again compiles nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pandas as pd

MOST_PARTS = 4
"""Copies kept per problem, those used last: each holds the programs that it compiled."""


class KeptParts:
    """The copies of one owner, by what was changed."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get[T](self, key: Hashable, make: Callable[[], T]) -> T:
        """The copy of this key, made if there is none.

        Args:
            key: Everything that the copy depends on beside its owner. A copy whose key cannot be hashed is not kept.
            make: Gives the copy.
        """
        try:
            hash(key)
        except TypeError:
            return make()
        part = self._kept.pop(key) if key in self._kept else make()
        self._kept[key] = part
        while len(self._kept) > MOST_PARTS:
            del self._kept[next(iter(self._kept))]
        return part


def contents(table: pd.DataFrame) -> Hashable:
    """All that stands in a table, as a key: equal keys are equal tables."""

    def of(name: str) -> Hashable:
        column = table[name].to_numpy()
        # Bytes tell -0.0 from 0.0, and find NaN equal to itself.
        cells = column.tobytes() if column.dtype != object else tuple((type(x).__name__, repr(x)) for x in column)
        return name, str(column.dtype), cells

    return tuple(of(name) for name in table.columns)


def flags(rows: np.ndarray) -> Hashable:
    """Which rows are kept, as a key."""
    return len(rows), np.packbits(rows).tobytes()
