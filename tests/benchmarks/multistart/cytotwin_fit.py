"""One problem fitted by this package; writes a line of JSON for every start.

The first fit counts with all its compilation (nothing is cached); a second one says what is left without it. At the
limit of time a fit is interrupted as by Ctrl-C and gives what its starts have reached, then without a second fit.
"""

from __future__ import annotations

import json
import math
import os
import signal
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
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    fits, seconds = [], []
    for _ in range(2):
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, task["limit"])
        fits.append(calibration.fit(problem, starts=task["starts"], seed=task["seed"], retire=retire, quiet=True))
        signal.setitimer(signal.ITIMER_REAL, 0)
        seconds.append(time.perf_counter() - began)
        if fits[-1].interrupted:
            break
    compiled = seconds[-1] if len(fits) == 2 and not fits[-1].interrupted else math.nan
    for number, objective in enumerate(fits[0].nllh):
        row = {"start": number, "objective": float(objective), "seconds": seconds[0], "compiled": compiled}
        row |= {"note": "hopped"} if fits[0].outcome[number] == "hopped" else {}
        print(json.dumps(row), file=replies, flush=True)
    if fits[0].interrupted:
        remark = {"start": -1, "objective": math.nan, "seconds": seconds[0], "note": "limit of time"}
        print(json.dumps(remark), file=replies, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
