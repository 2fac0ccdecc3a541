"""How often 90 % intervals hold the truth where readings are related and the likelihood takes them as independent.

    uv run python -m tests.benchmarks.power_coverage --datasets 60

Readings of a decay have noise whose neighbours correlate; every dataset is fitted, and intervals are those of the
normal approximation at the fit, of the posterior and of the power posterior with the matched power.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

import calibration
import twin
from calibration.sampling.power import matched_power

TIMES = np.linspace(0.2, 12.0, 60)
TRUTH = {"k": 0.25, "A0": 3.0, "sd": 0.1}
CORRELATIONS = (0.0, 0.4, 0.7)


def decay(seed: int, correlation: float) -> calibration.Problem:
    """First-order decay read 60 times; noise is autoregressive of order one with this correlation of neighbours."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=len(TIMES))
    for index in range(1, len(TIMES)):
        noise[index] = correlation * noise[index - 1] + np.sqrt(1 - correlation**2) * noise[index]
    value = TRUTH["A0"] * np.exp(-TRUTH["k"] * TIMES) + TRUTH["sd"] * noise
    model = twin.Model(
        "decay",
        [twin.State("A", "A0")],
        parameters=[twin.Parameter("k", TRUTH["k"]), twin.Parameter("A0", TRUTH["A0"])],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    table = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "y", "time": TIMES, "value": value})
    estimates = [twin.Estimate(name, 0.1 * value, 10 * value) for name, value in TRUTH.items()]
    noise_model = twin.Noise("normal", "sd")
    return calibration.Problem(model, table.assign(noise=np.nan, censoring=""), estimates, noise_model)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=60, help="simulated datasets of each line")
    count = parser.parse_args().datasets
    print("| correlation | power, middle 80 % | posterior: k, A0 | power posterior: k, A0 |")
    print("| ---: | --- | --- | --- |")
    for correlation in CORRELATIONS:
        powers, plain, powered = [], [], []
        for seed in range(count):
            problem = decay(seed, correlation)
            found = calibration.fit(problem, starts=2, seed=seed, quiet=True)
            powers.append(matched_power(problem, found.best).power)
            sd = np.sqrt(np.diag(np.linalg.inv(found.curvature)))
            z = np.abs(found.best - np.log10(list(TRUTH.values())))[:2] / sd[:2]
            plain.append(z < 1.645)
            powered.append(z * np.sqrt(powers[-1]) < 1.645)
        low, middle, high = np.quantile(powers, [0.1, 0.5, 0.9])
        shares = [", ".join(f"{100 * x:.0f} %" for x in np.mean(held, axis=0)) for held in (plain, powered)]
        print(f"| {correlation} | {middle:.2f} ({low:.2f} to {high:.2f}) | {shares[0]} | {shares[1]} |", flush=True)


if __name__ == "__main__":
    main()
