"""What a result is made of: its variables with dimensions, types and attributes, before any value is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SUBJECT = "subject"


@dataclass(frozen=True)
class Field:
    """One variable.

    Args:
        name: Its name.
        dims: Its dimensions; the first is "subject" for what is written as the run goes.
        dtype: Type of its values.
        attrs: Its attributes.
        values: Its values if they are known from the start.
        is_coordinate: Whether it belongs to the coordinates.
    """

    name: str
    dims: tuple[str, ...]
    dtype: Any = np.float64
    attrs: Mapping[str, Any] = field(default_factory=dict)
    values: np.ndarray | Sequence[str] | None = None
    is_coordinate: bool = False

    @property
    def by_subject(self) -> bool:
        return self.dims[:1] == (SUBJECT,)


@dataclass(frozen=True)
class Layout:
    """All variables of a result.

    Args:
        sizes: Length of each dimension.
        fields: The variables.
        attrs: Attributes of the whole.
    """

    sizes: Mapping[str, int]
    fields: tuple[Field, ...]
    attrs: Mapping[str, Any]

    def shape(self, item: Field) -> tuple[int, ...]:
        """Shape of a variable."""
        return tuple(self.sizes[dim] for dim in item.dims)

    def bytes(self) -> int:
        """Memory that everything takes."""
        return sum(int(np.prod(self.shape(item), dtype=float)) * np.dtype(item.dtype).itemsize
                   for item in self.fields if item.dtype is not str)  # fmt: skip
