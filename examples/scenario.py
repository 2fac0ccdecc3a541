"""Claim: the same patients in every arm tell a difference as surely as many times as many different ones.

A scenario in Python: theophylline in four dosing regimens, the same virtual patients in each. The interval of a
difference is taken within patients; that of two arms of different people is printed beside it. The run lies in
``out/scenario``: kill the script and start it again, and it goes on where it stood.

    uv run python examples/scenario.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import models
import twin
from twin.scenario.compare import compare_arms

PATIENTS = 2_000


def scenario() -> twin.Scenario:
    """One dose of 320 mg a day, or its parts more often: how long is the concentration in the therapeutic range?"""
    model = models.load("theophylline")
    default = model.default_parameters
    weight = 80.0  # kg; doses of the model are per kg
    cohort = twin.Cohort(
        PATIENTS,
        {
            "ka": twin.LogNormal(default["ka"], cv=0.4),
            "CL": twin.LogNormal(default["CL"], cv=0.3),
            "V": twin.LogNormal(default["V"], cv=0.2),
        },
        seed=1,
    )
    once = twin.Experiment(doses=[twin.Bolus("gut", f"daily / {weight}", 0.0, every=24.0, count=3)])
    twice = twin.Experiment(doses=[twin.Bolus("gut", f"daily / {2 * weight}", 0.0, every=12.0, count=6)])
    return twin.Scenario(
        model,
        cohort,
        np.linspace(0.0, 72.0, 289),
        {
            "in_range": twin.Endpoint("time_above", "concentration", threshold=5.0, start=48.0),
            "trough": twin.Endpoint("value", "concentration", time=72.0),
            "peak": twin.Endpoint("peak", "concentration", start=48.0),
        },
        name="theophylline",
        arms={
            "320 mg once": {"daily": 320.0},
            "320 mg as two": {"daily": 320.0},
            "640 mg once": {"daily": 640.0},
            "640 mg as two": {"daily": 640.0},
        },
        experiments={
            "320 mg once": once, "320 mg as two": twice, "640 mg once": once, "640 mg as two": twice,
        },
        responders={"safe": "peak < 20 && in_range > 12"},
        rtol=1e-6,
    )  # fmt: skip


def main(folder: Path = Path("out")) -> None:
    """Run, compare, and set the two intervals beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    ds = scenario().run(folder / "scenario")
    endpoints, responders = compare_arms(folder / "scenario")
    print(endpoints[["endpoint", "arm", "q50", "difference", "lower", "upper"]].to_string(index=False))
    print(responders[["criterion", "arm", "share", "low", "high"]].to_string(index=False))

    row = endpoints.set_index(["endpoint", "arm"]).loc[("trough", "320 mg as two")]
    within = (row["upper"] - row["lower"]) / 2
    first, second = ds["trough"][0].to_numpy(), ds["trough"][1].to_numpy()
    between = 1.96 * np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / PATIENTS)
    gain = (between / within) ** 2
    print(f"\nClaim: two doses instead of one raise the trough by {row['difference']:.2f} mg/l, known to {within:.3f};")
    print(f"two arms of different people would leave {between:.3f}: as sure with {gain:.1f} times as many patients.")
    assert ds.attrs["failed"] == 0
    np.testing.assert_allclose(row["difference"], (second - first).mean())
    assert gain > 1.5


if __name__ == "__main__":
    main()
