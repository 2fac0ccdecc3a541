"""Claim: the assessment sees a wrong mechanism. On the same data a wrong one is not "better" and the right one is.

The data come from an elimination that saturates (Michaelis-Menten): six subjects, three doses. The wrong mechanism has
linear elimination, as a first guess would. Both are calibrated to the early readings of every subject and predict the
late ones, beside a mean, persistence, a spline and a Gaussian process. Few and short chains, to be quick.

    uv run python examples/wrong_mechanism.py
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

import calibration
import twin

TIMES = np.array([0.5, 1.5, 3.0, 4.5, 6.0, 8.0, 10.0, 12.0, 15.0])
DOSES = {"low": 10.0, "middle": 30.0, "high": 60.0}
SD = 0.4


def mechanism(name: str, law: str, parameters: list[twin.Parameter]) -> twin.Model:
    """One compartment of 1 litre with elimination by `law`; doses go into `drug`."""
    return twin.Model(
        name,
        [twin.State("drug", 0.0, "milligram/liter", "Concentration; receives doses")],
        parameters,
        [twin.Reaction("elimination", "drug ->", law)],
        observables=[twin.Observable("concentration", "drug", "milligram/liter")],
        time_unit="hour",
    )


SATURATING = mechanism(
    "saturating",
    "v_max * drug / (k_m + drug)",
    [
        twin.Parameter("v_max", 6.0, "milligram/liter/hour", "Fastest elimination"),
        twin.Parameter("k_m", 8.0, "milligram/liter", "Concentration of half the fastest elimination"),
    ],
)
LINEAR = mechanism("linear", "k * drug", [twin.Parameter("k", 0.3, "1/hour", "Elimination rate constant")])

EXPERIMENTS = {name: twin.Experiment(doses=[twin.Bolus("drug", dose)]) for name, dose in DOSES.items()}
ESTIMATES = {
    "saturating": [twin.Estimate("v_max", 0.5, 50.0), twin.Estimate("k_m", 0.5, 100.0)],
    "linear": [twin.Estimate("k", 0.01, 3.0)],
}


def readings() -> pd.DataFrame:
    """Two subjects per dose from the saturating mechanism, with normal noise."""
    rng = np.random.default_rng(0)
    parts = []
    for arm, experiment in EXPERIMENTS.items():
        course = twin.simulate(SATURATING, TIMES, experiment=experiment)["concentration"].to_numpy()
        for number in (1, 2):
            value = course + SD * rng.standard_normal(len(TIMES))
            parts.append(pd.DataFrame({"experiment": arm, "subject": f"{arm} {number}", "time": TIMES, "value": value}))
    return pd.concat(parts, ignore_index=True).assign(observable="concentration", noise=np.nan, censoring="")


def main() -> None:
    """Assess both mechanisms on the same readings."""
    table = readings()
    labels = {}
    for model in (LINEAR, SATURATING):
        problem = calibration.Problem(
            model,
            table,
            [*ESTIMATES[model.name], twin.Estimate("sd", 0.05, 50.0, nominal=1.0)],
            twin.Noise("normal", "sd"),
            experiments=EXPERIMENTS,
            solver="tsit5",  # one state, not stiff: the explicit method compiles faster
            max_steps=300,
        )
        assessment = calibration.assess(problem, "time", starts=4, chains=2, warmup=100, draws=150, quiet=True)
        labels[model.name] = assessment.verdict.label
        print(f"{model.name}: {assessment.verdict}\n")
    print(f"Claim: the verdict on the wrong mechanism is {labels['linear']!r}, on the right {labels['saturating']!r}.")
    assert labels["linear"] in ("no better", "worse")
    assert labels["saturating"] == "better"


if __name__ == "__main__":
    with warnings.catch_warnings():
        # Two short chains: ArviZ says that diagnostics from so few draws are rough. They are not what is shown here.
        warnings.simplefilter("ignore", UserWarning)
        main()
