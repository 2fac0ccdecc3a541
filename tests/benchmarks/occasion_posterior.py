"""The posterior of the study of `examples/occasions.py` by NUTS beside the maximum of its marginal likelihood.

Run: uv run python -m tests.benchmarks.occasion_posterior --draws 250
"""

from __future__ import annotations

import argparse
import runpy
import tempfile
import time
from pathlib import Path

import arviz_stats
import numpy as np
import pandas as pd

from calibration import sample
from calibration.population import fit_population

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "occasions.py"))


def main() -> None:
    """Fit, sample, compare on the estimation scale."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=250)
    draws = parser.parse_args().draws
    with tempfile.TemporaryDirectory() as folder:
        path, _ = EXAMPLE["event_table"](Path(folder) / "study.csv")
        problem = EXAMPLE["problem"](path, with_visits=True)
    found = fit_population(problem, starts=1, quiet=True)
    begin = time.perf_counter()
    tree = sample(problem, warmup=draws, draws=draws, predictive=False, quiet=True)
    seconds = time.perf_counter() - begin
    theta = tree["posterior"]["theta"].to_numpy()[..., found.likelihood.positions]
    error, flat = np.sqrt(np.diag(found.covariance)), theta.reshape(-1, theta.shape[-1])
    table = pd.DataFrame(
        {
            "FOCEI": found.theta,
            "standard error": error,
            "posterior mean": flat.mean(axis=0),
            "sd": flat.std(axis=0),
            "difference / standard error": (flat.mean(axis=0) - found.theta) / error,
            "R-hat": [float(arviz_stats.rhat(theta[..., k])) for k in range(theta.shape[-1])],
            "effective": [float(arviz_stats.ess(theta[..., k])) for k in range(theta.shape[-1])],
        },
        index=list(found.likelihood.names),
    )
    print(table.round(3).to_string())
    print(f"{int(np.sum(tree['sample_stats']['diverging'].to_numpy()))} divergences, {seconds:.0f} s")


if __name__ == "__main__":
    main()
