"""Seconds and memory from an SBML file to its first trajectory, each model in a process of its own.

    uv run python tests/benchmarks/file_to_trajectory.py ../shared/petab-benchmarks [NAME ...]

Prints, per model: states, seconds to read the file, to compile and simulate it for the first time, to simulate it
again, and the largest memory of the process. Nothing is cached between processes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

DEFAULT = ("Boehm_JProteomeRes2014", "Bachmann_MSB2011", "Smith_BMCSystBiol2013")


def measure(path: Path) -> str:
    """One line of the table; runs in a process that has done nothing else."""
    import numpy as np

    import twin

    ts = np.linspace(0.0, 100.0, 51)
    marks = [time.perf_counter()]
    model = twin.read_sbml(path)
    for _ in range(3):
        marks.append(time.perf_counter())
        twin.simulate(model, ts)
    marks.append(time.perf_counter())
    reading, first, second, third = np.diff(marks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{len(model.states):>6} {reading:>8.2f} {first:>9.2f} {min(second, third):>9.4f} {peak:>8.0f}"


def main() -> None:
    """Measures the models of a folder, one process each."""
    folder, names = Path(sys.argv[1]), sys.argv[2:] or DEFAULT
    print(f"{'model':<26} {'states':>6} {'read/s':>8} {'first/s':>9} {'again/s':>9} {'peak/MB':>8}")
    for name in names:
        (path,) = [p for p in sorted((folder / name).glob("*odel*.xml")) if "allCombinations" not in p.name]
        run = [sys.executable, __file__, "--one", str(path)]
        line = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip("\n")
        print(f"{name:<26} {line}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(measure(Path(sys.argv[2])))
    else:
        main()
