"""Seconds to write a chunk of a scenario durably, against those to compute it: what one writer can keep up with.

    uv run python -m tests.benchmarks.scenario_writing

Writes chunks of ``examples/antiviral_scenario.yaml`` (8192 patients) into a temporary folder, as a run does: files and
journal flushed to the disk. Prints a JSON object; seconds of computing are CPU seconds, compilation not counted.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import twin
from twin.scenario.journal import Journal, Line
from twin.scenario.store import Store
from twin.scenario.work import Work

SCENARIO = Path(__file__).resolve().parents[2] / "examples" / "antiviral_scenario.yaml"
REPEATS = 20


def main() -> None:
    """Measure and print."""
    work = Work(twin.read_scenario(SCENARIO))
    work.run(0, 0)
    begin = time.process_time()
    result = work.run(1, 0)
    computing = time.process_time() - begin
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        store, journal = Store(Path(folder), work.scenario, work.width), Journal(Path(folder))
        store.prepare()
        begin = time.perf_counter()
        for _ in range(REPEATS):
            journal.append(Line(1, 0, store.write(1, 0, result.arrays), {}))
        writing = (time.perf_counter() - begin) / REPEATS
        size = sum(path.stat().st_size for path in store.files_of(1, 0).values())
    report = {"patients": work.width, "computing_cpu_s": computing, "writing_s": writing, "chunk_bytes": size}
    print(json.dumps({name: float(f"{value:.3g}") for name, value in report.items()}))


if __name__ == "__main__":
    main()
