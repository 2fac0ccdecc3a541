"""Multi-start fits of PEtab problems by this package and by pyPESTO with AMICI and fides, in turn on one core.

    python -m tests.benchmarks.multistart ../shared/petab-benchmarks --out FOLDER [--starts 20] [--only NAME ...]

Every fit runs in a process of its own, within a limit of time. Starts of the peer that ended before it count; starts of
this package, which go on side by side, count with what they have reached. OUT/starts.tsv gets a row per start, so that
an interrupted run goes on where it was; the table is printed from it. Install the group "peers"; pyPESTO needs swig,
cmake and a compiler for AMICI's models, which are built once and not counted.
"""

from __future__ import annotations

import argparse
import json
import selectors
import subprocess
import sys
import time
from pathlib import Path

from ..peers.machine import pin, write_description
from ..peers.petab_folder import petab_files
from .table import OURS, Row, Rows, report

ENGINES = {
    "cytotwin": "cytotwin_fit",
    "cytotwin keeping all": "cytotwin_fit",
    "pyPESTO": "pypesto_fit",
    "pyPESTO FIM": "pypesto_fit",
}
"""Module by engine; "keeping all": without retiring starts that have no prospect; "FIM": fides with the Fisher
information matrix as Hessian instead of its default."""


def main() -> None:
    """Reads the arguments, fits what is not yet fitted and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of PEtab problems, one folder each")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--build", type=Path, help="folder of AMICI's generated code (default: OUT/build)")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=900.0, help="seconds for one fit of all starts")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--only", nargs="+", default=[], help="names of problems")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pin(arguments.core)
    write_description(arguments.out / "machine.json")
    rows = Rows(arguments.out / "starts.tsv")
    for name, path in petab_files(arguments.folder, arguments.only).items():
        for engine in arguments.engines:
            if not rows.has(name, engine):
                _fit(rows, name, engine, path, arguments)
    known = arguments.folder / "reference.tsv"
    print(report(rows, known if known.exists() else None))


def _fit(rows: Rows, name: str, engine: str, path: Path, arguments: argparse.Namespace) -> None:
    build = arguments.build or arguments.out / "build"
    task = {
        "path": str(path),
        "starts": arguments.starts,
        "seed": arguments.seed,
        "build": str(build),
        "engine": engine,
        "limit": arguments.limit,
    }
    command = [sys.executable, "-m", f"{__package__}.{ENGINES[engine]}", json.dumps(task)]
    log = (arguments.out / f"{name}.{engine.replace(' ', '_')}.log").open("w")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    print(f"{name}: {engine}", flush=True)
    found, began = [], time.monotonic()
    # The clock starts when the process says that everything is built.
    with process, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        allowed = 3 * arguments.limit
        while True:
            left = began + allowed - time.monotonic()
            if left <= 0 or not selector.select(left):
                process.kill()
                break
            line = process.stdout.readline()
            if not line:
                break
            said = json.loads(line)
            if said.get("built"):
                # This package minds the limit itself, in each of two fits.
                ours = engine.startswith(OURS)
                began, allowed = time.monotonic(), (3 if ours else 1) * arguments.limit
            else:
                found.append(Row(name, engine, **said))
    seconds = time.monotonic() - began
    finished = process.returncode == 0
    log.close()
    if not finished or not found:
        reason = "limit of time" if process.returncode == -9 else "failed, see the log"
        found.append(Row(name, engine, start=-1, objective=float("nan"), seconds=seconds, note=reason))
    rows.add(found)


if __name__ == "__main__":
    main()
