"""Two Dask workers against one, a core each: seconds for the same virtual patients, and the same bytes.

    uv run python -m tests.benchmarks.scenario_cluster --patients 200000 --out OUT

A scheduler and one worker, pinned to a core of its own, run the scenario of ``examples/antiviral_scenario.yaml``; then
another scheduler with two workers does, pinned to two cores. Both have first run a few chunks of it, so that starting
and compiling are not counted; the process that writes shares the workers' cores. Prints a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.scenario_scale import SCENARIO, fingerprint, start, watch

WARM = 4 * 8192
"""Patients of the run that is not counted: chunks for every worker, of the size of the others."""


@contextmanager
def cluster(folder: Path, cores: list[int]) -> Iterator[str]:
    """A scheduler, and a worker pinned to each of the cores; yields its address."""
    folder.mkdir()
    contact = folder / "scheduler.json"
    begun: list[subprocess.Popen[bytes]] = []

    def launch(program: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *options]
        command += ["--scheduler-file", str(contact)]
        begun.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder))
        return begun[-1]

    try:
        launch("dask_scheduler", "--port", "0", "--host", "127.0.0.1")
        for core in cores:
            worker = launch("dask_worker", "--nthreads", "1", "--no-nanny")
            os.sched_setaffinity(worker.pid, {core})
        for _ in range(600):
            if contact.is_file() and contact.stat().st_size:
                break
            time.sleep(0.1)
        yield json.loads(contact.read_text(encoding="utf-8"))["address"]
    finally:
        for process in begun:
            process.kill()
            process.wait()


def scenario(folder: Path, patients: int) -> Path:
    """The scenario with another number of patients."""
    text = SCENARIO.read_text(encoding="utf-8").replace("size: 10000", f"size: {patients}")
    assert f"size: {patients}" in text
    folder.mkdir()
    (folder / "scenario.yaml").write_text(text, encoding="utf-8")
    return folder / "scenario.yaml"


def seconds_with(cores: list[int], out: Path, file: Path, warm: Path) -> float:
    """Seconds of a run on workers of these cores."""
    name = f"workers-{len(cores)}"
    with cluster(out / name, cores) as address:
        watch(start(["run", str(warm), "--out", str(out / f"{name}-warm"), "--scheduler", address]))
        seconds, _ = watch(start(["run", str(file), "--out", str(out / f"{name}-store"), "--scheduler", address]))
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=200_000)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed")
    args.out.mkdir(parents=True)
    file, warm = scenario(args.out / "file", args.patients), scenario(args.out / "warm", WARM)
    one = seconds_with(cores[:1], args.out, file, warm)
    two = seconds_with(cores[:2], args.out, file, warm)
    marks = {fingerprint(args.out / f"workers-{count}-store" / "endpoints.zarr")[0] for count in (1, 2)}
    report = {"patients": args.patients, "one_s": round(one, 1), "two_s": round(two, 1), "ratio": round(one / two, 2)}
    print(json.dumps({**report, "same_bytes": len(marks) == 1, "cores_of_machine": len(cores)}))
    assert len(marks) == 1


if __name__ == "__main__":
    main()
