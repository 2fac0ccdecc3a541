"""What cost is measured against: estimated parameters, states, lanes, subjects, cores. One function per axis.

Each gives rows with the axis, what is on it, the curve, and the cost with its unit. The first three run in this
process; subjects and cores in a process for each point, since memory and the number of threads are the process's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from stopwatch import fastest

import calibration
import models
import twin
from twin.commands.devices import one_device_per_core

CHAIN_FOR_PARAMETERS = 64
PARAMETERS = (1, 2, 4, 8, 16, 32, 64)
STATES = (4, 8, 16, 32, 64, 128)
ROUNDS = 5
LANES = (1, 4, 16, 64, 256, 1024, 4096)
SUBJECTS = (10_000, 100_000)
MANY_SUBJECTS = 1_000_000
DRAWS_ON_CORES = 4096
TOLERANCE = {"rtol": 1e-6, "atol": 1e-9}
WEEK = np.linspace(0.0, 7.0, 141)

type Point = dict[str, object]


def point(axis: str, x: int, curve: str, cost: float, unit: str) -> Point:
    """A row of the results."""
    return {"axis": axis, "x": x, "curve": curve, "cost": cost, "unit": unit}


def chain(states: int) -> twin.Model:
    """Linear chain: dx_i/dt = k_(i-1) x_(i-1) - k_i x_i, fed by its first state; the last three states are observed."""
    odes = {f"x{i}": (f"k{i - 1}*x{i - 1} - " if i else "-") + f"k{i}*x{i}" for i in range(states)}
    return twin.Model(
        f"chain{states}",
        states=[twin.State(f"x{i}", 0.0 if i else 10.0) for i in range(states)],
        parameters=[twin.Parameter(f"k{i}", 1.0 + 0.5 * np.sin(i)) for i in range(states)],
        odes=odes,
        observables=[twin.Observable(f"y{i}", f"x{i}") for i in range(states - 3, states)],
    )


def chain_problem(states: int, estimated: int) -> calibration.Problem:
    """Readings of a chain, of which the first rates are estimated; all else stays the same."""
    model, ts = chain(states), np.linspace(0.0, 2.0 * states, 25)[1:]
    ds = twin.simulate(model, ts, {f"k{i}": 1.0 for i in range(states)}, **TOLERANCE)
    tables = [
        pd.DataFrame({"experiment": "default", "subject": "1", "observable": name, "time": ts, "value": ds[name]})
        for name in model.observable_names
    ]
    estimates = [twin.Estimate(f"k{i}", 0.1, 10.0) for i in range(estimated)]
    table = pd.concat(tables, ignore_index=True).assign(noise=np.nan, censoring="")
    return calibration.Problem(model, table, estimates, twin.Noise("normal", 0.1), **TOLERANCE)


def parameters() -> Iterator[Point]:
    """Gradient in reverse mode and Jacobian of the residuals against the number of estimated parameters.

    All are compiled first and then timed in turn, so that a slow minute of the machine falls on none of them alone.
    """
    calls: dict[tuple[int, str], Callable[[int], object]] = {}
    for count in PARAMETERS:
        problem = chain_problem(CHAIN_FOR_PARAMETERS, count)
        calls[count, "log-likelihood"] = compiled(problem.log_likelihood, problem.nominal)
        calls[count, "log-likelihood and gradient"] = compiled(
            jax.value_and_grad(problem.log_likelihood), problem.nominal
        )
        calls[count, "residual Jacobian"] = compiled(jax.jacfwd(problem.residuals), problem.nominal)
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for key, call in calls.items():
            best[key] = min(best[key], fastest(call, spend=0.2))
    for (count, curve), seconds in best.items():
        yield point("parameters", count, curve, seconds, "s")


def compiled(function: Callable, nominal: np.ndarray) -> Callable[[int], object]:
    """A compiled function of one vector, to be called with a number that chooses the vector."""
    thetas = nominal + 0.01 * np.random.default_rng(0).standard_normal((64, len(nominal)))
    jitted = jax.jit(function)

    def call(number: int) -> object:
        with twin.float64():
            return jax.block_until_ready(jitted(thetas[number % len(thetas)]))

    call(0)
    return call


def states() -> Iterator[Point]:
    """A trajectory alone and 64 side by side against the number of states."""
    for count in STATES:
        model, ts = chain(count), np.linspace(0.0, 10.0, 51)
        for draws, curve in ((1, "one trajectory"), (64, "one of 64 trajectories")):
            seconds = time_draws(model, ts, {f"k{i}": 1.0 + 0.3 * np.cos(i) for i in range(count)}, draws)
            yield point("states", count, curve, seconds / draws, "s")


def lanes() -> Iterator[Point]:
    """A call for more and more draws."""
    model = models.load("influenza_teiv")
    for draws in LANES:
        values = {name: model.default_parameters[name] for name in ("beta", "p", "c", "delta")}
        yield point("lanes", draws, "influenza", time_draws(model, WEEK, values, draws), "s")


def time_draws(model: twin.Model, ts: np.ndarray, values: dict[str, float], draws: int) -> float:
    """Seconds of a call of `twin.simulate` for scattered parameters, compiled before."""
    generator = np.random.default_rng(0)

    def call(_: int = 0) -> None:
        scattered = {name: value * np.exp(0.2 * generator.standard_normal(draws)) for name, value in values.items()}
        twin.simulate(model, ts, scattered, **TOLERANCE)

    call()
    return fastest(call)


def subjects(sizes: Sequence[int]) -> Iterator[Point]:
    """Largest memory and time of a streamed cohort, a process each."""
    for size in sizes:
        found = in_own_process("cohort", size)
        yield point("subjects", size, "peak memory", found["peak_bytes"], "byte")
        yield point("subjects", size, "time", found["seconds"], "s")


def cores() -> Iterator[Point]:
    """The same draws on one core, on two, ... a process each."""
    if not hasattr(os, "sched_setaffinity"):
        return
    alone = None
    for count in range(1, (os.cpu_count() or 1) + 1):
        found = in_own_process("draws", DRAWS_ON_CORES, count)
        alone = found["seconds"] if alone is None else alone
        yield point("cores", count, "time", found["seconds"], "s")
        yield point("cores", count, "times as fast", alone / found["seconds"], "1")
        yield point("cores", count, "cores at work", found["cores_at_work"], "1")


def in_own_process(task: str, size: int, cores: int = 1) -> dict[str, float]:
    """Figures of a task that this file runs as a program; for cohorts where the affinity stays as it is."""
    run = [sys.executable, str(Path(__file__).resolve()), task, str(size), str(cores)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{task} of {size} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cohort_figures(size: int) -> dict[str, float]:
    """Seconds and peak memory of a cohort reduced to bands."""
    default = models.load("influenza_teiv").default_parameters
    spread = {name: twin.LogNormal(default[name], cv=0.3) for name in ("beta", "p", "c", "delta")}

    def run(count: int) -> None:
        twin.simulate_cohort(
            models.load("influenza_teiv"), WEEK, twin.Cohort(count, spread, seed=count), variables=["log10_titre"],
            summaries=[twin.Bands()], chunk=4096, max_steps=500, progress=False, **TOLERANCE,
        )  # fmt: skip

    run(4096)
    forget_peak()
    seconds = fastest(lambda _: run(size), least=1, spend=0.0)
    return {"seconds": seconds, "peak_bytes": peak_bytes()}


def forget_peak() -> None:
    """Lets the peak begin anew: that of compilation would hide how much a run takes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Largest memory of this process since the peak was last forgotten (Linux).

    Not `resource.getrusage`: on Linux its figure outlives the start of a program, so that a child of a large process
    reports the peak of its parent.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def draws_figures(size: int) -> dict[str, float]:
    """Seconds of a call for many draws, and how many cores it keeps busy: processor time over wall time."""
    model = models.load("influenza_teiv")
    values = {name: model.default_parameters[name] for name in ("beta", "p", "c", "delta")}
    seconds = time_draws(model, WEEK, values, size)
    begin, used = time.perf_counter(), time.process_time()
    time_draws(model, WEEK, values, size)
    return {"seconds": seconds, "cores_at_work": (time.process_time() - used) / (time.perf_counter() - begin)}


def main() -> None:
    """One task, in this process alone."""
    task, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if task == "draws":
        # Before JAX starts its threads, as many as there are cores for them; a device each, as the program asks for.
        os.sched_setaffinity(0, range(count))
        one_device_per_core()
    print(json.dumps(draws_figures(size) if task == "draws" else cohort_figures(size)))


if __name__ == "__main__":
    main()
