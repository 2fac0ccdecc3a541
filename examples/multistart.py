"""Claim: one start is not enough for real readings; what some starts find is kept, goes on, is extended, and hops.

The dimerisation of STAT5 (Boehm et al. 2014) has several optima. A fit of a few starts is kept in a file, loaded again
and extended; the waterfall shows which plateaus of the objective were found and how often, as long as every start only
goes down its slope. With hops, which are the default, starts leave those plateaus.

    uv run python examples/multistart.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import calibration
from calibration import Fit


def main(folder: Path = Path("out")) -> None:
    """Fit, keep, extend, draw where the starts ended, and hop."""
    folder.mkdir(parents=True, exist_ok=True)
    problem = calibration.Problem.from_study("stat5_boehm2014")
    few = calibration.fit(problem, starts=8, seed=1, hop=False, quiet=True)
    few.save(folder / "multistart.nc")
    kept = Fit.load(folder / "multistart.nc")
    found = calibration.fit(problem, starts=40, seed=1, hop=False, extend=kept, quiet=True)
    found.plot_waterfall(folder / "multistart.png")
    found.plot_parameters(folder / "multistart_parameters.png", most=40)

    above = found.objective - found.objective[0]
    plateaus, counts = np.unique(np.round(above[above < 30.0], 1), return_counts=True)
    print(f"{few}\n\nextended:\n{found}\n")
    for height, count in zip(plateaus, counts, strict=True):
        print(f"{height:5.1f} above the best: {count:2d} starts")
    hopped = calibration.fit(problem, starts=40, seed=1, quiet=True)
    print(f"\nwith hops:\n{hopped}")
    print(
        f"\nClaim: {found.hits} of {len(found.objective)} starts reach the best objective, and the next plateau is "
        f"{above[found.hits]:.1f} units of log-likelihood above it; with hops {hopped.hits} reach it."
    )
    assert found.objective[0] <= few.objective[0]
    assert len(found.objective) == 40
    assert 1 < found.hits < 40
    assert above[found.hits] > 1.0, "the best optimum stands apart"
    assert hopped.objective[0] <= found.objective[0] + 0.1
    assert hopped.hits > found.hits and "hopped" in hopped.outcome


if __name__ == "__main__":
    main()
