"""Small mechanisms with closed-form solutions, and tables of readings, for the tests of calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from twin.model import Model
from twin.model.parts import Observable, Parameter, Reaction, State

type Row = tuple[str, str, str, float, float]


def readings(rows: Sequence[Row], noise: float = np.nan, below: float = -np.inf) -> pd.DataFrame:
    """A table from (experiment, subject, observable, time, value); values below the limit are censored at it."""
    table = pd.DataFrame(rows, columns=["experiment", "subject", "observable", "time", "value"])
    table["noise"] = noise
    table["censoring"] = np.where(table["value"] < below, "left", "")
    table["value"] = np.maximum(table["value"], below)
    return table


@pytest.fixture(scope="session")
def decay() -> Model:
    """dA/dt = -k A, so y = A0 exp(-k t)."""
    return Model(
        "decay",
        [State("A", "A0")],
        [Parameter("k", 0.5), Parameter("A0", 2.0)],
        [Reaction("loss", "A ->", "k * A")],
        observables=[Observable("y", "A")],
    )


@pytest.fixture(scope="session")
def oral() -> Model:
    """One compartment with first-order absorption; doses go into the gut."""
    return Model(
        "oral",
        [State("gut", 0.0), State("blood", 0.0)],
        [Parameter("ka", 1.5), Parameter("ke", 0.2), Parameter("V", 10.0)],
        [Reaction("absorption", "gut -> blood", "ka * gut"), Reaction("elimination", "blood ->", "ke * blood")],
        observables=[Observable("concentration", "blood / V"), Observable("amount", "blood")],
    )


@pytest.fixture(scope="session")
def explosion() -> Model:
    """dx/dt = k x^2 with x(0) = 1: x = 1 / (1 - k t), which ends at t = 1 / k."""
    return Model(
        "explosion",
        [State("x", 1.0)],
        [Parameter("k", 0.2)],
        odes={"x": "k * x^2"},
        observables=[Observable("y", "x")],
    )


@pytest.fixture(scope="session")
def table_of_rows():
    """The builder of tables."""
    return readings
