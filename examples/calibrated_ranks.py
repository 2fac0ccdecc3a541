"""Claim: truths rank evenly among the draws of their posteriors, and posteriors half as wide show at once.

uv run python examples/calibrated_ranks.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import twin
from calibration import Problem
from calibration.sampling import sbc

TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0])


def build() -> Problem:
    """First-order loss with log-normal errors; its readings do not matter here, only when they are taken."""
    model = twin.Model(
        "loss",
        [twin.State("A", "A0")],
        [twin.Parameter("k", 0.5), twin.Parameter("A0", 2.0)],
        [twin.Reaction("loss", "A ->", "k * A")],
        observables=[twin.Observable("y", "A")],
    )
    table = pd.DataFrame({"observable": "y", "time": TIMES, "value": 1.0})
    estimates = [
        twin.Estimate("k", 1e-3, 10.0, prior=twin.Prior("normal", -0.3, 0.3)),
        twin.Estimate("A0", 1e-2, 100.0, prior=twin.Prior("normal", 0.3, 0.5)),
        twin.Estimate("sd", 1e-2, 10.0, nominal=0.3, prior=twin.Prior("normal", -0.5, 0.2)),
    ]
    return Problem(model, table, estimates, twin.Noise("log_normal", "sd"))


def main(folder: Path = Path("out")) -> None:
    """Rank truths among draws, then the same with posteriors that are half as wide as they should be."""
    found = sbc(build(), simulations=120, seed=0, quiet=True)
    print(found)
    assert found.is_calibrated(0.01)
    print(found.table().round(3).to_string())

    rng = np.random.default_rng(0)
    draws = found.mean[:, None] + 0.5 * found.sd[:, None] * rng.normal(size=(120, found.draws, 3))
    ranks = np.column_stack([np.sum(draws < found.truth[:, None], axis=1), found.ranks[:, -1]])
    narrow = replace(found, ranks=ranks, problem="posteriors half as wide")
    print(narrow)
    assert not narrow.is_calibrated(0.01)

    print(
        "\nClaim: truths rank evenly among the draws of posteriors of 120 simulated data sets; among draws of "
        "posteriors half as wide they do not."
    )
    folder.mkdir(parents=True, exist_ok=True)
    found.plot().savefig(folder / "calibrated_ranks.png", dpi=150)
    narrow.plot().savefig(folder / "calibrated_ranks_narrow.png", dpi=150)


if __name__ == "__main__":
    main()
