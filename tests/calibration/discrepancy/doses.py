"""Simulated readings at several doses, at some of which the mechanism is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd

import calibration
import twin

TIMES = np.linspace(0.25, 10.0, 14)
DOSES = {"low": 1.0, "middle": 2.0, "high": 3.0}
NOISE, SUBJECTS = 0.1, 2


def dosed(wave: float, seed: int = 0) -> calibration.Problem:
    """A dose that decays, read in two subjects each; at the high one a sine of `wave` noise scales is added."""
    model = twin.Model(
        "dosed",
        [twin.State("A", 1.0)],
        parameters=[twin.Parameter("k", 0.2)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    rng, parts = np.random.default_rng(seed), []
    for experiment, dose in DOSES.items():
        for subject in range(SUBJECTS):
            away = wave * np.sin(1.2 * TIMES) * (experiment == "high") + rng.normal(size=len(TIMES))
            part = pd.DataFrame({"time": TIMES, "value": dose * np.exp(-0.2 * TIMES) + NOISE * away})
            parts.append(part.assign(experiment=experiment, subject=f"{experiment} {subject}"))
    table = pd.concat(parts, ignore_index=True).assign(observable="y", noise=np.nan, censoring="")
    estimates = [twin.Estimate("k", 0.02, 2.0), twin.Estimate("sd", 0.01, 2.0, nominal=NOISE)]
    experiments = {name: twin.Experiment(initial={"A": dose}) for name, dose in DOSES.items()}
    return calibration.Problem(model, table, estimates, twin.Noise("normal", "sd"), experiments=experiments)
