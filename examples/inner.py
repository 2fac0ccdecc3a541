"""Claim: gains, backgrounds and noise scales need no search: they follow from the rates, and the fit is the same.

Two instruments read the two species of a chain A -> B -> in arbitrary units, each with a gain, a background and a noise
scale of its own. Six of the eight unknowns are solved for inside; the optimiser sees the two rates.

    uv run python examples/inner.py
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import calibration
import twin
from calibration.inner import InnerObjective, inner_parameters
from calibration.optimise.local import minimise
from calibration.optimise.objective import Objective
from calibration.optimise.starts import latin_hypercube
from twin.progress import progress

TRUTH = {"k1": 0.8, "k2": 0.3, "gain_A": 40.0, "gain_B": 900.0, "background_A": 3.0, "background_B": -20.0}
"""Rates [1/h], gains and backgrounds of the two instruments [arbitrary units]."""
TIMES = np.linspace(0.0, 12.0, 25)


def chain() -> calibration.Problem:
    """The problem, with simulated readings."""
    model = twin.Model(
        "chain",
        states=[twin.State("A", 1.0), twin.State("B", 0.0)],
        parameters=[twin.Parameter(name, value) for name, value in TRUTH.items()],
        reactions=[twin.Reaction("first", "A -> B", "k1 * A"), twin.Reaction("second", "B ->", "k2 * B")],
        observables=[twin.Observable(f"read_{x}", f"gain_{x} * {x} + background_{x}") for x in "AB"],
    )
    exact = twin.simulate(model, TIMES)
    rng, tables = np.random.default_rng(0), []
    for name, sd in (("read_A", 1.0), ("read_B", 10.0)):
        values = exact[name].to_numpy() + sd * rng.standard_normal(len(TIMES))
        tables.append(pd.DataFrame({"experiment": "e", "observable": name, "time": TIMES, "value": values}))
    estimates = [twin.Estimate(name, 1e-3, 1e2) for name in ("k1", "k2")]
    estimates += [twin.Estimate(f"gain_{x}", 1e-3, 1e5) for x in "AB"]
    estimates += [twin.Estimate(f"background_{x}", -1e3, 1e3, scale="lin") for x in "AB"]
    estimates += [twin.Estimate(f"sd_{x}", 1e-3, 1e3, nominal=1.0) for x in "AB"]
    noise = {f"read_{x}": twin.Noise("normal", f"sd_{x}") for x in "AB"}
    return calibration.Problem(model, pd.concat(tables, ignore_index=True), estimates, noise, solver="tsit5")


def main() -> None:
    """Fit inside and outside from the same starting points."""
    problem = chain()
    print(inner_parameters(problem).to_string(index=False))
    inner, whole = InnerObjective(problem), Objective(problem)
    with twin.float64(), progress("fits", 1, quiet=True) as line:
        starts = latin_hypercube(problem.prior, 20, seed=0)
        runs = {}
        for name, objective, theta, lower, upper in (
            ("inside", inner, starts[:, inner.outer], inner.lower, inner.upper),
            ("outside", whole, starts, problem.lower, problem.upper),
        ):
            at = objective(theta)
            runs[name] = minimise(objective, theta, at, lower, upper, iterations=300, tolerance=1e-8, line=line)
        for name, run in runs.items():
            value = run.at.value
            hits, best = int((value < value.min() + 0.1).sum()), value.min()
            print(f"{name:8} best {best:.6f}, reached by {hits} of 20 starts, median {np.median(run.iterations)} steps")
        best = inner.complete(runs["inside"].theta[[np.argmin(runs["inside"].at.value)]])
    found = dict(zip(problem.names, problem.parameters.linear(best)[0], strict=True))
    print("found:", ", ".join(f"{name} {value:.3g}" for name, value in found.items()))

    least = {name: run.at.value.min() for name, run in runs.items()}
    hits = {name: int((run.at.value < min(least.values()) + 0.1).sum()) for name, run in runs.items()}
    steps = {name: float(np.median(run.iterations)) for name, run in runs.items()}
    print(
        f"\nClaim: the objectives differ by {abs(least['inside'] - least['outside']):.1e}; "
        f"{hits['inside']} of 20 starts reach it inside, {hits['outside']} outside, "
        f"in {steps['inside']:.0f} against {steps['outside']:.0f} steps."
    )
    assert abs(least["inside"] - least["outside"]) < 1e-4
    assert steps["inside"] < 0.5 * steps["outside"]
    assert all(abs(found[name] / TRUTH[name] - 1) < 0.2 for name in ("k1", "k2", "gain_A", "gain_B"))


if __name__ == "__main__":
    main()
