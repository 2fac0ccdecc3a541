"""A small problem whose courses are known in closed form."""

from __future__ import annotations

import pytest

import calibration
from twin.study import Estimate, Noise, Prior

TIMES = (0.0, 1.0, 2.0, 4.0, 8.0)


@pytest.fixture(scope="session")
def small(decay, table_of_rows) -> calibration.Problem:
    """Three subjects of y = A0 exp(-k t), k per subject around a typical value, limit of detection 0.1."""
    rows = [("run", str(s), "y", t, 0.05 if t == 8.0 else 2.0 - 0.2 * t) for s in (1, 2, 3) for t in TIMES]
    return calibration.Problem(
        decay,
        table_of_rows(rows, below=0.1),
        [
            Estimate("k", 0.05, 5.0, prior=Prior("normal", -0.3, 0.2, "test"), per="subject", between=0.2),
            Estimate("A0", 0.5, 8.0, prior=Prior("normal", 0.3, 0.1, "test")),
        ],
        Noise("normal", 0.05),
    )
