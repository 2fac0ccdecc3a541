"""What simulations and likelihoods of chance cost, at what accuracy: the tables of docs/stochastic.md.

    uv run python tests/benchmarks/stochastic_costs.py leap
    uv run python tests/benchmarks/stochastic_costs.py filter

`leap`: 2 A <-> B from N molecules, means and standard deviations of B at t = 6, and seconds per run (second call).
`filter`: immigration and death read with normal noise; estimates of the log-likelihood against particles and readings.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import pandas as pd

import calibration
import twin


def timed(call: Callable) -> tuple[float, object]:
    """Seconds of the second call, and its result."""
    call()
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def dimers(count: int) -> twin.Model:
    return twin.Model(
        f"dimers_{count}",
        [twin.State("A", float(count)), twin.State("B", 0.0)],
        [twin.Parameter("on", 1.0 / count), twin.Parameter("off", 0.3)],
        [
            twin.Reaction("bind", "2 A -> B", "on * A * (A - 1) / 2"),
            twin.Reaction("part", "B -> 2 A", "off * B"),
        ],
    )


def leap() -> None:
    print("| molecules | method | runs | ms per run | reactions or steps | mean of B (s.e.) | sd of B (s.e.) |")
    print("|---|---|---|---|---|---|---|")
    for count in (100, 1000, 10_000, 100_000):
        model, runs = dimers(count), 1000 if count < 100_000 else 200
        calls = {
            "direct": lambda m=model, n=runs: twin.simulate_jumps(m, [6.0], variables=["B"], runs=n, seed=1),
            "tau-leap, 0.03": lambda m=model: twin.simulate_jumps(
                m, [6.0], variables=["B"], runs=1000, seed=2, method="tau_leap"
            ),
            "Langevin": lambda m=model: twin.simulate_langevin(m, [6.0], variables=["B"], runs=1000, seed=3),
        }
        for name, call in calls.items():
            seconds, found = timed(call)
            b = found["B"].to_numpy()[:, 0]
            n = len(b)
            mean, sd = b.mean(), b.std(ddof=1)
            print(
                f"| {count} | {name} | {n} | {1e3 * seconds / n:.3g} | {found.attrs['events']:.0f} "
                f"| {mean:.1f} ({sd / np.sqrt(n):.1f}) | {sd:.2f} ({sd / np.sqrt(2 * n):.2f}) |",
                flush=True,
            )
        seconds, found = timed(lambda m=model: twin.linear_noise(m, [6.0], variables=["B"]))
        mean, sd = float(found["mean"][0, 0]), float(found["sd"][0, 0])
        print(f"| {count} | linear noise | – | {1e3 * seconds:.3g} in all | – | {mean:.1f} | {sd:.2f} |", flush=True)


def readings(count: int) -> calibration.Problem:
    model = twin.Model(
        "immigration",
        [twin.State("X", 20.0)],
        [twin.Parameter("into", 20.0), twin.Parameter("out", 0.5)],
        [twin.Reaction("arrival", "-> X", "into"), twin.Reaction("death", "X ->", "out * X")],
        observables=[twin.Observable("x", "X")],
    )
    times = 0.5 * np.arange(1, count + 1)
    run = twin.simulate_jumps(model, times, variables=["X"], runs=1, seed=4)["X"].to_numpy()[0]
    noise = np.random.default_rng(5).normal(0, 4, count)
    table = pd.DataFrame({"time": times, "observable": "x", "value": run + noise})
    estimates = [twin.Estimate("into", 2.0, 200.0, nominal=20.0), twin.Estimate("out", 0.05, 5.0, nominal=0.5)]
    return calibration.Problem(model, table, estimates, twin.Noise("normal", 4.0))


def filtering() -> None:
    print("| readings | method | particles | ms per estimate | log-likelihood: mean of 50 | sd of 50 |")
    print("|---|---|---|---|---|---|")
    for count in (10, 40):
        problem = readings(count)
        likelihood = calibration.LinearNoiseLikelihood(problem)
        theta = problem.nominal[None]
        seconds, found = timed(lambda x=theta, e=likelihood: jax.block_until_ready(e.log_likelihood_many(x)))
        print(f"| {count} | linear noise | – | {1e3 * seconds:.3g} | {float(found[0]):.2f} | – |", flush=True)
        seconds, _ = timed(lambda x=theta, e=likelihood: jax.block_until_ready(e.log_likelihood_and_gradient_many(x)))
        print(f"| {count} | the same with gradient | – | {1e3 * seconds:.3g} | | – |", flush=True)
        for particles in (50, 200, 800):
            filtered = calibration.ParticleFilter(problem, particles)
            seconds, found = timed(lambda x=theta[0], f=filtered: f.estimate(x, repeats=50, seed=6))
            value = found.value
            print(
                f"| {count} | particles, direct | {particles} | {1e3 * seconds / 50:.3g} | {value.mean():.2f} "
                f"| {value.std(ddof=1):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    {"leap": leap, "filter": filtering}[sys.argv[1]]()
