"""One problem fitted by this package; writes a line of JSON for every start.

The first fit counts with all its compilation (nothing is cached); a second one says what is left without it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ["CYTOTWIN_NO_CACHE"] = "1"

import calibration

TOLERANCE = 1e-8


def main(task: dict) -> None:
    """Fits twice."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    problem = calibration.read_petab(Path(task["path"]), rtol=TOLERANCE, atol=TOLERANCE, max_steps=20_000)
    print(json.dumps({"built": True}), file=replies, flush=True)
    retire = not task["engine"].endswith("keeping all")
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        fit = calibration.fit(problem, starts=task["starts"], seed=task["seed"], retire=retire, quiet=True)
        seconds.append(time.perf_counter() - began)
    for number, objective in enumerate(fit.nllh):
        row = {"start": number, "objective": float(objective), "seconds": seconds[0], "compiled": seconds[1]}
        print(json.dumps(row), file=replies, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
