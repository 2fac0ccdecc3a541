"""What a population costs against its subjects and their readings: FOCEI, SAEM, and a step of full Bayes.

    python -m tests.benchmarks.population_costs [--subjects 12 24 48 96] [--readings 4 8 16]

One compartment by mouth, ka and CL with deviations, V and an additive error shared (five numbers of the population).
Simulated at the truth: subjects at 8 readings each, then 12 subjects at more and fewer readings. Printed in Markdown:
seconds of a whole fit by FOCEI and SAEM (100 + 100 iterations) with compilation, how far the two are apart in standard
errors, and milliseconds of a gradient of the posterior, for a step of four chains at once.
"""

from __future__ import annotations

import argparse
import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd

import calibration
import models
import twin
from calibration.population import fit_population
from tests.benchmarks.stopwatch import Row, fastest, markdown, seconds_of

TRUTH = {"ka": 1.5, "CL": 0.04, "V": 0.45}
SPREADS = {"ka": 0.6, "CL": 0.25}
"""Standard deviations of natural logarithms."""
DOSE, SD = 4.0, 0.3
CHAINS = 4
ITERATIONS = (100, 100)
USUAL = (12, 8)


def problem(subjects: int, readings: int, seed: int = 0) -> calibration.Problem:
    """A simulated study: milligrams per kg by mouth, readings until a day later, evenly spread in logarithmic time."""
    rng = np.random.default_rng([seed, subjects, readings])
    times = np.geomspace(0.25, 24.0, readings).round(3)
    values = {
        name: value * np.exp(SPREADS.get(name, 0.0) * rng.standard_normal(subjects)) for name, value in TRUTH.items()
    }
    oral = twin.Experiment(doses=[twin.Bolus("gut", DOSE)])
    model = models.load("theophylline")
    ds = twin.simulate(model, times, values, oral, ["concentration"])
    seen = ds["concentration"].to_numpy() + SD * rng.standard_normal((subjects, readings))
    rows = [
        ("oral", str(subject), "concentration", time, value)
        for subject, course in enumerate(seen)
        for time, value in zip(times, course, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["experiment", "subject", "observable", "time", "value"])
    prior = twin.Prior("half_normal", scale=0.5)
    estimates = [
        twin.Estimate("ka", 0.1, 20.0, scale="log", nominal=1.0, per="subject", between=prior),
        twin.Estimate("CL", 0.004, 0.4, scale="log", nominal=0.05, per="subject", between=prior),
        twin.Estimate("V", 0.05, 5.0, scale="log", nominal=0.5),
        twin.Estimate("sd", 0.03, 3.0, scale="log", nominal=0.5),
    ]
    noise = twin.Noise("normal", "sd")
    return calibration.Problem(model, table, estimates, noise, experiments={"oral": oral}, name="oral")


def row(subjects: int, readings: int) -> Row:
    """Costs of one study."""
    studied = problem(subjects, readings)
    fits = {}

    def fit(method: str) -> None:
        fits[method] = fit_population(studied, method=method, starts=1, iterations=ITERATIONS, quiet=True)

    seconds = {method: seconds_of(lambda method=method: fit(method)) for method in ("focei", "saem")}
    focei, saem = fits["focei"], fits["saem"]
    apart = np.abs(saem.theta - focei.theta) / np.sqrt(np.diag(focei.covariance))
    begin = np.tile(studied.nominal, (CHAINS, 1))
    with twin.float64():
        step = fastest(
            lambda n: studied.log_likelihood_and_gradient_many(jnp.asarray(begin + 1e-3 * n))[0].block_until_ready()
        )
    return {
        "subjects": subjects,
        "readings of each": readings,
        "FOCEI, s": seconds["focei"],
        "SAEM, s": seconds["saem"],
        "converged": f"{focei.converged}, {saem.converged}",
        "apart, se": float(np.nanmax(apart)),
        "gradient of 4 chains, ms": 1e3 * step,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, nargs="+", default=[12, 24, 48, 96])
    parser.add_argument("--readings", type=int, nargs="+", default=[4, 16, 32])
    args = parser.parse_args()
    sizes = [(count, USUAL[1]) for count in args.subjects] + [(USUAL[0], count) for count in args.readings]
    rows = []
    for subjects, readings in sizes:
        rows.append(row(subjects, readings))
        print(rows[-1], file=sys.stderr, flush=True)
    print(markdown(rows))


if __name__ == "__main__":
    main()
