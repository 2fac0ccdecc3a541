"""Time from starting Python to the first dataset, and per further call.

A fresh interpreter is started, imports the package, loads a model, compiles it and simulates it; then the same call is
repeated with other parameters, one set and a thousand sets at a time.

    uv run python tests/benchmarks/first_result.py [MODEL]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

SCRIPT = """
import json, sys, time
import numpy as np, models, twin
model = models.load(sys.argv[1])
name, value = next((n, v) for n, v in model.default_parameters.items() if v)
ts = np.linspace(0.0, 7.0, 141)
started = time.perf_counter()
twin.simulate(model, ts)
first = time.perf_counter() - started
reached = time.time()
def best(values, repeats):
    twin.simulate(model, ts, {name: values[0]})
    seconds = []
    for value in values[1 : repeats + 1]:
        begin = time.perf_counter()
        twin.simulate(model, ts, {name: value})
        seconds.append(time.perf_counter() - begin)
    return min(seconds)
factors = np.linspace(0.9, 1.1, 12)
one = best([value * f for f in factors], 10)
many = best([value * f * np.linspace(0.99, 1.01, 1000) for f in factors], 3)
print(json.dumps({"reached": reached, "first": first, "one": one, "many": many}))
"""


def main() -> None:
    """Measure and print."""
    model = sys.argv[1] if len(sys.argv) > 1 else "influenza_teiv"
    started = time.time()
    answer = subprocess.run([sys.executable, "-c", SCRIPT, model], capture_output=True, text=True, check=True)
    figures = json.loads(answer.stdout.splitlines()[-1])
    to_first = figures["reached"] - started
    print(f"{model}: {to_first:.1f} s from process start to the first dataset ({figures['first']:.2f} s in the call)")
    print(
        f"further calls: {1e3 * figures['one']:.1f} ms for one parameter set, {1e3 * figures['many']:.0f} ms for 1,000"
    )


if __name__ == "__main__":
    main()
