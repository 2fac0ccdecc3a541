"""A small scenario that tests share: decay with a dose, whose endpoints have closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np

import twin

MODEL = twin.Model("decay", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
ENDPOINTS = {
    "half": twin.Endpoint("first_crossing", "A", threshold=0.5, direction="down"),
    "area": twin.Endpoint("area", "A"),
    "peak": twin.Endpoint("peak", "A"),
    "late": twin.Endpoint("value", "A", time=2.1),
}
CALL = {"progress": False, "chunk": 300}


def cohort(size: int = 1000) -> twin.Cohort:
    """Patients who differ in k."""
    return twin.Cohort(size, {"k": twin.LogNormal(1.0, 0.4)}, seed=4)


def decay(size: int = 1000, **changed: Any) -> twin.Scenario:
    """Two arms: without and with a dose."""
    arguments: dict[str, Any] = {
        "experiment": twin.Experiment(doses=[twin.Bolus("A", "dose", time=1.0)]),
        "factors": {"dose": [0.0, 1.0]},
        "derived": {"ratio": "area / peak"},
        "responders": {"fast": "half < 0.7"},
        "bands": twin.Bands((0.1, 0.5, 0.9), resolution=64),
        "rtol": 1e-6,
        "max_steps": 512,
        "endpoints": ENDPOINTS,
    }
    return twin.Scenario(MODEL, cohort(size), np.linspace(0, 3, 31), **arguments | changed)
