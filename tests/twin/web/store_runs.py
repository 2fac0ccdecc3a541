"""Small finished scenarios for tests of their page: decay that a strong dose turns into growth without end in a few."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import twin
from twin.errors import TwinWarning

HOSTILE = "<script>alert(1)</script>"
CALL = {"progress": False, "chunk": 150}


def scenario() -> twin.Scenario:
    """Three arms of 300 patients; after a dose some never fall below the threshold, after a strong one some fail."""
    model = twin.Model(
        "decay",
        [twin.State("A", 1.0, "mg")],
        [twin.Parameter("k", 1.0, "1/hour"), twin.Parameter("g", 0.05, "1/mg/hour")],
        odes={"A": "g * A^2 - k * A"},
        time_unit="hour",
    )
    return twin.Scenario(
        model,
        twin.Cohort(300, {"k": twin.LogNormal(1.0, 0.4)}, seed=4),
        np.linspace(0, 3, 31),
        {
            "half": twin.Endpoint("first_crossing", "A", threshold=0.5, direction="down"),
            "peak": twin.Endpoint("peak", "A"),
        },
        name="decay",
        experiment=twin.Experiment(doses=[twin.Bolus("A", "dose", time=1.0)]),
        arms={"none": {"dose": 0.0}, f"weak {HOSTILE}": {"dose": 1.0}, "strong": {"dose": 15.0}},
        derived={"twice": "2 * peak"},
        responders={"fast": "half < 0.7"},
        bands=twin.Bands((0.1, 0.5, 0.9), resolution=64),
        rtol=1e-6,
        max_steps=512,
        seed=3,
    )


def run_all(folder: Path) -> tuple[Path, Path, Path]:
    """The scenario, one with other endpoints of the same patients, and one of other patients without courses."""
    first = scenario()
    with pytest.warns(TwinWarning, match="arm 'strong'"):
        first.run(folder / "first", **CALL)
    again = replace(first, name="again", endpoints={**first.endpoints, "late": twin.Endpoint("value", "A", time=2.5)})
    with pytest.warns(TwinWarning, match="arm 'strong'"):
        again.run(folder / "again", **CALL)
    others = twin.Cohort(200, {"k": twin.LogNormal(1.2, 0.4)}, seed=9)
    other_arms = {name: levels for name, levels in (first.arms or {}).items() if name != "strong"}
    replace(first, name="others", cohort=others, bands=None, arms=other_arms).run(folder / "others", **CALL)
    return folder / "first", folder / "again", folder / "others"
