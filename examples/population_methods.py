"""Claim: SAEM, which does not approximate the likelihood, and FOCEI give the same population on theophylline.

Both estimators take the problem of `examples/population.py`; importance sampling gives the likelihood of both.

Run: uv run python examples/population_methods.py
"""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.population import fit_population, importance_sampling

OUT = Path("out")
SHARED = runpy.run_path(str(Path(__file__).with_name("population.py")))
"""The model and the event table of the example beside this one."""


def main() -> None:
    """Fit twice, compare."""
    given = SHARED["problem"](SHARED["event_table"](OUT / "theophylline.csv"))
    fits = {
        "focei": fit_population(given, starts=1),
        "saem": fit_population(given, method="saem", iterations=(100, 100)),
    }
    errors = np.sqrt(np.diag(fits["focei"].covariance))
    away = (fits["saem"].theta - fits["focei"].theta) / errors
    table = pd.DataFrame({name: found.table["estimate"] for name, found in fits.items()})
    print(table.assign(se=fits["focei"].table["se"], difference=away).round(3).to_string())
    for name, found in fits.items():
        sampled = importance_sampling(found)
        print(f"{name}: -2 log-likelihood {sampled.objective:.2f} (Monte-Carlo error {sampled.error:.2f}),")
        print(f"    by Laplace's approximation {found.objective:.2f}")
    assert fits["focei"].converged
    assert (np.abs(away) < 0.25).all()
    print(f"Claim: the estimates agree within {np.abs(away).max():.2f} standard errors.")


if __name__ == "__main__":
    main()
