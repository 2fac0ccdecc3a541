"""Small measurements tables for the tests of splits, scores, baselines and the gap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

MakeTable = Callable[..., pd.DataFrame]


def make_table(
    curve: Callable[[np.ndarray], np.ndarray] = lambda t: t,
    *,
    times: np.ndarray | None = None,
    subjects: int = 1,
    experiments: tuple[str, ...] = ("arm",),
    sd: float = 0.0,
    between: float = 0.0,
    limit: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Readings of curve(t) + subject effect + noise, left-censored at `limit`."""
    rng = np.random.default_rng(seed)
    times = np.linspace(0.0, 10.0, 21) if times is None else times
    parts = []
    for experiment in experiments:
        for subject in range(1, subjects + 1):
            value = curve(times) + between * rng.standard_normal() + sd * rng.standard_normal(len(times))
            parts.append(
                pd.DataFrame(
                    {"experiment": experiment, "subject": str(subject), "observable": "load", "time": times}
                    | {"value": value, "noise": np.nan, "censoring": ""}
                )
            )
    table = pd.concat(parts, ignore_index=True)
    if limit is not None:
        below = table["value"] < limit
        table.loc[below, "censoring"] = "left"
        table.loc[below, "value"] = limit
    return table


@pytest.fixture
def table_of() -> MakeTable:
    """The builder of tables."""
    return make_table
