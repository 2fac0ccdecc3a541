"""A small stand-in for a model, and files to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(frozen=True)
class FakeModel:
    """What `Measurements` asks of a model: names and units."""

    units: dict[str, str] = field(default_factory=lambda: {"virus": "TCID50/ml", "drug": "mg/l"})
    time_unit: str = "day"

    @property
    def observable_names(self) -> tuple[str, ...]:
        return tuple(self.units)

    def unit(self, name: str, /) -> str:
        return self.units[name]


@pytest.fixture
def model() -> FakeModel:
    """Two observables, time in days."""
    return FakeModel()


@pytest.fixture
def titre() -> FakeModel:
    """One observable, a logarithm."""
    return FakeModel({"log10_titre": "dimensionless"})


@pytest.fixture
def make_model() -> type[FakeModel]:
    """To make other models."""
    return FakeModel


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file: `write(text, "name.csv")`."""

    def write_file(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file
