"""One problem fitted by this package; writes a line of JSON for every start.

The first fit counts with all its compilation (the cache of programs is empty); a second one says what is left without
it, and a third, in a new process, how long a fit takes that finds the compiled programs of an earlier one, as the peer
finds its compiled model. At the limit of time a fit is interrupted as by Ctrl-C and gives what its starts have reached,
then without the others.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import calibration

TOLERANCE = 1e-8


def main(task: dict) -> None:
    """Fits three times, or once where the cache of programs is given."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    if "cache" in task:
        _use(task["cache"])
        found, seconds = _timed(_problem(task), task)
        print(json.dumps(math.nan if found.interrupted else seconds), file=replies, flush=True)
        return
    with tempfile.TemporaryDirectory() as cache:
        _use(cache)
        problem = _problem(task)
        print(json.dumps({"built": True}), file=replies, flush=True)
        found, seconds = _timed(problem, task)
        compiled = cached = math.nan
        if not found.interrupted:
            again, taken = _timed(problem, task)
            compiled = math.nan if again.interrupted else taken
            cached = _in_a_new_process(task | {"cache": cache})
    for number, objective in enumerate(found.nllh):
        row = {"start": number, "objective": float(objective), "seconds": seconds}
        row |= {"compiled": compiled, "cached": cached}
        row |= {"note": "hopped"} if found.outcome[number] == "hopped" else {}
        print(json.dumps(row), file=replies, flush=True)
    if found.interrupted:
        remark = {"start": -1, "objective": math.nan, "seconds": seconds, "note": "limit of time"}
        print(json.dumps(remark), file=replies, flush=True)


def _use(cache: str) -> None:
    """Keep compiled programs in this folder."""
    for name in ("CYTOTWIN_NO_CACHE", "JAX_COMPILATION_CACHE_DIR"):
        os.environ.pop(name, None)
    os.environ["XDG_CACHE_HOME"] = cache


def _problem(task: dict) -> calibration.Problem:
    return calibration.read_petab(Path(task["path"]), rtol=TOLERANCE, atol=TOLERANCE, max_steps=20_000)


def _timed(problem: calibration.Problem, task: dict) -> tuple[calibration.Fit, float]:
    """A fit and how long it took [s]."""
    retire = not task["engine"].endswith("keeping all")
    began = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, task["limit"])
    found = calibration.fit(problem, starts=task["starts"], seed=task["seed"], retire=retire, quiet=True)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return found, time.perf_counter() - began


def _in_a_new_process(task: dict) -> float:
    """How long the fit takes there [s]."""
    command = [sys.executable, "-m", __spec__.name, json.dumps(task)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(json.loads(said))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
