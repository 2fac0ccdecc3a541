"""Frozen predictions made by hand, and a problem whose predictions can be frozen in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from calibration.problem import Problem
from calibration.prospective.frozen import Frozen
from twin.experiment import Experiment
from twin.study import Estimate, Noise, Prior

MakeFrozen = Callable[..., Frozen]
DRAWS, SD = 400, 0.1


def make_frozen(**changes: Any) -> Frozen:
    """Predictions of y at four times by draws around 2 exp(-t / 2), and a mean as baseline."""
    rng = np.random.default_rng(3)
    times = np.array([1.0, 2.0, 3.0, 4.0])
    value = 2.0 * np.exp(-0.5 * times) * (1.0 + 0.02 * rng.standard_normal((DRAWS, 1)))
    parts = {
        "design": pd.DataFrame({"experiment": "e", "subject": "1", "observable": "y", "time": times}),
        "value": value,
        "scale": np.full_like(value, SD),
        "reading": value + SD * rng.standard_normal(value.shape),
        "sigma": np.full(4, SD),
        "limit": np.full(4, -np.inf),
        "baselines": {"mean": 1.0 + 0.5 * rng.standard_normal((300, 4))},
        "about": {
            "problem": "by hand",
            "question": "",
            "frozen_at": "2026-01-02T03:04:05+00:00",
            "noise": {"y": {"family": "normal", "df": 4.0}},
            "score_scale": {"y": "lin"},
            "units": {"y": "milligram"},
            "time_unit": "hour",
            "undefined baselines": {"spline": "too few"},
        },
    }
    return Frozen(**{**parts, **changes})


@pytest.fixture
def frozen_of() -> MakeFrozen:
    """The builder of frozen predictions."""
    return make_frozen


@pytest.fixture(scope="session")
def decaying(decay, table_of_rows) -> Problem:
    """Eight readings of 2 exp(-t / 2) with known noise; two parameters."""
    times = np.linspace(0.0, 3.5, 8)
    values = 2.0 * np.exp(-0.5 * times) + SD * np.random.default_rng(5).standard_normal(8)
    rows = [("e", "1", "y", float(t), float(v)) for t, v in zip(times, values, strict=True)]
    estimates = [
        Estimate("k", 0.05, 5.0, prior=Prior("normal", -0.3, 0.3)),
        Estimate("A0", 0.2, 20.0, prior=Prior("normal", 0.3, 0.3)),
    ]
    return Problem(decay, table_of_rows(rows, noise=SD), estimates, Noise("normal"), experiments={"e": Experiment()})
