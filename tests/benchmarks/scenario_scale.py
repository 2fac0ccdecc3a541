"""Virtual patients with influenza in four antiviral regimens: seconds, memory, bytes; killed, resumed, the same bytes.

    uv run python -m tests.benchmarks.scenario_scale --patients 1000000 --kills 5 --out OUT

runs the scenario of ``examples/antiviral_scenario.yaml`` with another number of patients in a process of its own, on
the cores it is given (`taskset`), then once more into another folder, killing the process with SIGKILL at random
moments and resuming it. Prints a JSON object; the moments come from a seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

SCENARIO = Path(__file__).resolve().parents[2] / "examples" / "antiviral_scenario.yaml"


def start(verb: list[str]) -> subprocess.Popen[bytes]:
    """``twin scenario VERB`` in a process of its own."""
    command = [sys.executable, "-m", "twin.cli", "scenario", *verb, "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def watch(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Seconds and the most memory [MiB] of a process that comes to its end."""
    begin = time.perf_counter()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"the run ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def fingerprint(folder: Path) -> tuple[str, int, int]:
    """SHA-256 over names and bytes of all files, the number of bytes, and of files."""
    total, size, count = hashlib.sha256(), 0, 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder)} {len(content)}\n".encode())
        total.update(content)
        size, count = size + len(content), count + 1
    return total.hexdigest(), size, count


def chunks_of(folder: Path) -> int:
    """Chunks of all arms."""
    header = json.loads((folder / "scenario.json").read_text(encoding="utf-8"))
    return header["chunks"] * len(header["arms"])


def done(folder: Path) -> int:
    """Lines of the journal."""
    try:
        return (folder / "journal.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def killed(file: Path, folder: Path, kills: int, chunks: int, seed: int) -> list[int]:
    """Run, kill and resume; returns the finished chunks at each kill."""
    moments, at = random.Random(seed), []
    process = start(["run", str(file), "--out", str(folder)])
    while len(at) < kills:
        begin = done(folder)
        # Within the first part of what is left, so that something is left for the other kills; then at any moment.
        goal = begin + moments.randint(1, max((chunks - begin) // (kills - len(at) + 1), 1))
        while process.poll() is None and done(folder) < goal:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise SystemExit("the run ended before it was killed: take more patients or fewer kills")
        at.append(done(folder))
        process = start(["resume", str(folder)])
    watch(process)
    return at


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    file = args.out / "scenario.yaml"
    text, found = re.subn(r"size: \d+", f"size: {args.patients}", SCENARIO.read_text(encoding="utf-8"), count=1)
    assert found == 1
    file.write_text(text, encoding="utf-8")
    whole = args.out / "whole"
    seconds, memory = watch(start(["run", str(file), "--out", str(whole)]))
    mark, size, files = fingerprint(whole)
    report = {
        "patients": args.patients,
        "cores": len(os.sched_getaffinity(0)),
        "seconds": round(seconds, 1),
        "peak_MiB": round(memory),
        "store_MiB": round(size / 2**20, 1),
        "files": files,
    }
    print(json.dumps(report), flush=True)
    if args.kills:
        report["killed_at_chunk"] = killed(file, args.out / "killed", args.kills, chunks_of(whole), args.seed)
        report["same_bytes"] = fingerprint(args.out / "killed")[0] == mark
        print(json.dumps(report))
        assert report["same_bytes"]


if __name__ == "__main__":
    main()
