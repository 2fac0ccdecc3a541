"""Three large tasks on whatever device JAX finds, and how far each is from what the device could do at most.

    uv run python tests/benchmarks/accelerator.py --petab ../shared/petab-benchmarks --out out/accelerator
    uv run python tests/benchmarks/accelerator.py --small --out out/accelerator
    uv run python tests/benchmarks/accelerator.py --precision float32 --out out/accelerator32

1. Robertson's problem to t = 1e5 for 100,000 log-normally scattered parameter sets, rtol 1e-6, atol 1e-8.
2. A million virtual influenza patients under treatment, 141 times reduced to quantile bands.
3. 4,096 fits of Boehm's STAT5 problem from scattered starts.

`--small` makes all of them about a hundred times smaller, for a trial on a CPU. Times are given with compilation (the
first call of a process, nothing cached) and without. The floor is that of `step_cost`. Writes results.tsv and
machine.json. With `--precision float32` the first two are simulated in float32, at a relative tolerance of 1e-5 instead
of 1e-6 (see `precision.py` for what that costs in accuracy) and without a floor, whose rates are those of float64; the
fits stay in float64. `--card H200` gives the floors of a card that is not at hand, for as many trajectories as were
simulated here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import jax
import numpy as np
from peers.machine import description
from peers.scenarios import robertson
from step_cost import PEAKS, Peak, floor_seconds, median_steps, peak_of, share_finished, step_cost
from stopwatch import seconds_of, write_tsv

import calibration
import models
import twin

PROBLEM = "Boehm_JProteomeRes2014"
RTOL = {"float64": 1e-6, "float32": 1e-5}
"""Relative tolerance by precision."""
PILOTS = 256
"""Trajectories whose steps are counted."""
DECADES = np.logspace(-2, 5, 29)
DAYS = np.linspace(0.0, 7.0, 141)
TREATMENT = twin.Experiment(changes=[twin.Change("p", "p * (1 - efficacy)", start=1.5)])


@dataclass(frozen=True)
class Sizes:
    """How much of each task."""

    trajectories: int = 100_000
    patients: int = 1_000_000
    chunk: int = 8192
    fits: int = 4096


SMALL = Sizes(trajectories=1_000, patients=10_000, chunk=2048, fits=32)


@dataclass(frozen=True)
class Rates:
    """What floors are computed from.

    Attributes:
        peak: Rates of a device, where they are known.
        devices: How many there are.
        elsewhere: Whether they are those of a device that is not at hand.
    """

    peak: Peak | None
    devices: int
    elsewhere: bool = False


@dataclass(frozen=True)
class Result:
    """What was found of a task.

    Attributes:
        task: Name.
        count: Trajectories, patients or fits.
        seconds: Without compilation.
        seconds_with_compilation: In a process that had not run it before.
        per_second: `count` over `seconds`.
        failed: Trajectories or fits that failed.
        steps: Median of the attempted steps of a trajectory.
        operations_per_step: Fewest float64 operations.
        bytes_per_step: Least memory traffic.
        floor_seconds: What the devices would take at their peak rates.
        over_floor: `seconds` over `floor_seconds`.
        note: Why something is not known, or what was found.
    """

    task: str
    count: int
    seconds: float | None = None
    seconds_with_compilation: float | None = None
    per_second: float | None = None
    failed: int | None = None
    steps: float | None = None
    operations_per_step: int | None = None
    bytes_per_step: int | None = None
    floor_seconds: float | None = None
    over_floor: float | None = None
    note: str = ""


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--petab", type=Path, help="folder of the PEtab benchmark problems, for the fits")
    parser.add_argument("--out", type=Path, default=Path("out/accelerator"))
    parser.add_argument("--small", action="store_true", help="a hundred times smaller")
    parser.add_argument("--precision", choices=tuple(RTOL), default="float64")
    parser.add_argument("--card", choices=tuple(PEAKS), help="whose floors to give instead of this device's")
    parser.add_argument("--chunk", type=int, help="patients simulated together")
    arguments = parser.parse_args()
    sizes = SMALL if arguments.small else Sizes()
    chunk = arguments.chunk or sizes.chunk
    arguments.out.mkdir(parents=True, exist_ok=True)
    devices = jax.devices()
    machine = {**description(), **device_description(devices)}
    (arguments.out / "machine.json").write_text(json.dumps(machine, indent=2) + "\n", encoding="utf-8")
    print(f"{len(devices)} x {devices[0].device_kind}, jax {jax.__version__}", flush=True)
    results = []
    here = Rates(peak_of(devices[0].device_kind), len(devices))
    rates = Rates(PEAKS[arguments.card], 1, elsewhere=True) if arguments.card else here
    for result in measure(sizes, chunk, arguments.petab, rates, arguments.precision):
        results.append(asdict(result))
        write_tsv(arguments.out / "results.tsv", results)
        print(_shown(result), flush=True)


def measure(sizes: Sizes, chunk: int, petab: Path | None, rates: Rates, precision: str) -> Iterator[Result]:
    """The tasks one after the other."""
    accuracy = {"rtol": RTOL[precision], "precision": precision}
    rates = rates if precision == "float64" else replace(rates, peak=None)
    yield with_floor(stiff_trajectories(sizes.trajectories, accuracy), robertson(), rates)
    yield with_floor(virtual_patients(sizes.patients, chunk, accuracy), models.load("influenza_teiv"), rates)
    yield fits(sizes.fits, petab)


def stiff_trajectories(count: int, accuracy: dict) -> Result:
    """Robertson's problem for parameters that differ by factors of e."""
    model = robertson()
    found = []

    def simulate(seed: int, draws: int = count, max_steps: int = 1000):
        scatter = np.exp(np.random.default_rng(seed).standard_normal((3, draws)))
        values = {name: value * row for (name, value), row in zip(model.default_parameters.items(), scatter)}  # noqa: B905
        ds = twin.simulate(model, DECADES, values, atol=1e-8, max_steps=max_steps, **accuracy)
        found.append(ds.attrs["failed"])
        return ds

    first, second = (seconds_of(lambda seed=seed: simulate(seed)) for seed in (0, 1))
    failed, pilots = found[-1], min(PILOTS, count)
    steps = median_steps(share_finished(lambda limit: simulate(2, pilots, limit), pilots), 1000)
    return Result("robertson", count, second, first, count / second, failed, steps)


def virtual_patients(count: int, chunk: int, accuracy: dict) -> Result:
    """Influenza under treatment from day 1.5 on, patients as in examples/virtual_cohort.py."""
    model = models.load("influenza_teiv")
    settings = {"atol": 1e-9, **accuracy}
    chunk = min(chunk, count)

    def simulate(size: int, seed: int):
        bands = [twin.Bands(variables=["log10_titre"])]
        given = {"summaries": bands, "chunk": chunk, "max_steps": 500, "progress": False, **settings}
        return twin.simulate_cohort(model, DAYS, patients(size, seed), TREATMENT, ["log10_titre"], **given)

    # A cohort of one chunk compiles all that the large one needs.
    cold, warm = (seconds_of(lambda seed=seed: simulate(chunk, seed)) for seed in (1, 2))
    found = []
    seconds = seconds_of(lambda: found.append(simulate(count, 3)))
    pilots = min(PILOTS, count)
    columns = patients(pilots, 4).draw()

    def pilot(limit: int):
        return twin.simulate(model, DAYS, columns, TREATMENT, ["log10_titre"], max_steps=limit, **settings)

    steps = median_steps(share_finished(pilot, pilots), 500)
    failed = found[0].attrs["failed"]
    return Result("virtual_patients", count, seconds, seconds + cold - warm, count / seconds, failed, steps)


def patients(size: int, seed: int) -> twin.Cohort:
    """Treated patients around the published parameters."""
    default = models.load("influenza_teiv").default_parameters
    distributions = {
        "beta": twin.LogNormal(default["beta"], cv=0.5),
        "p": twin.LogNormal(default["p"], cv=0.5),
        "c": twin.LogNormal(default["c"], cv=0.2),
        "delta": twin.Normal(default["delta"], 0.8, lower=2.0),
        "efficacy": twin.Beta(18.0, 2.0),
    }
    return twin.Cohort(size, distributions, correlations={("beta", "p"): -0.5}, seed=seed)


def fits(count: int, folder: Path | None) -> Result:
    """Many starts of one fit."""
    name = f"fits_{PROBLEM}"
    if folder is None or not (folder / PROBLEM).is_dir():
        why = "no --petab given" if folder is None else f"{PROBLEM} is not in the folder given"
        return Result(name, count, note=f"skipped: {why}")
    problem = calibration.read_petab(folder / PROBLEM / f"{PROBLEM}.yaml")
    found = []

    def fit(starts: int, iterations: int = 200) -> None:
        found.append(calibration.fit(problem, starts, seed=len(found), iterations=iterations, quiet=True))

    # A fit of one start and one iteration is compilation; it comes before and after, since some is kept by then.
    cold, whole, warm = (seconds_of(lambda each=each: fit(*each)) for each in ((1, 1), (count,), (1, 1)))
    best = found[1]
    note = (
        f"negative log-likelihood {best.nllh[0]:.2f}, found by {best.hits}; floor: evaluations of a fit are not known"
    )
    seconds = whole - warm
    return Result(name, count, seconds, seconds + cold, count / seconds, best.failed, note=note)


def with_floor(result: Result, model: twin.Model, rates: Rates) -> Result:
    """The result with what its steps cost at least."""
    cost, peak = step_cost(model), rates.peak
    known = asdict(result) | {"operations_per_step": cost.operations, "bytes_per_step": cost.bytes}
    if peak is None or result.steps is None or result.seconds is None:
        return Result(**(known | {"note": "floor: the rates of this device in this precision are unknown"}))
    floor = floor_seconds(cost, result.steps, result.count, peak) / rates.devices
    over = None if rates.elsewhere else result.seconds / floor
    return Result(**(known | {"floor_seconds": floor, "over_floor": over, "note": f"rates: {peak.source}"}))


def device_description(devices: list) -> dict[str, object]:
    """What computes."""
    return {
        "devices": [device.device_kind for device in devices],
        "platform": devices[0].platform,
        "platform version": devices[0].client.platform_version.splitlines()[0],
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "command": " ".join(["accelerator.py", *sys.argv[1:]]),
    }


def _shown(result: Result) -> str:
    parts = []
    for field in fields(result)[1:]:
        value = getattr(result, field.name)
        if value not in (None, ""):
            parts.append(f"{field.name} {value:.4g}" if isinstance(value, float) else f"{field.name} {value}")
    return f"{result.task}: {', '.join(parts)}"


if __name__ == "__main__":
    main()
