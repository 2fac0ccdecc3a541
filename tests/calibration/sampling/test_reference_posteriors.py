"""Samplers against reference draws of two mechanistic posteriors of posteriordb."""

from __future__ import annotations

import sys
from pathlib import Path

import arviz_stats
import numpy as np
import pytest
import xarray as xr

from calibration import sample

sys.path.insert(0, str(Path(__file__).parent))
from reference_posteriors import MOMENTS, PROBLEMS, REFERENCE_DRAWS

SETTINGS = {"nuts": {"draws": 3000, "starts": 8}, "smc": {"draws": 500, "moves": 6}}
WITHOUT_VARIANCE = {"K_m", "V_m"}
"""Far out the readings fix only V_m / K_m, so half-Cauchy priors of both leave densities that fall with the cube:
a mean, but no variance. The standard deviation of draws converges to nothing, so neither the draws' mean nor the
references' has a Monte-Carlo error; quantiles have. Chains that visit this ridge stay there for dozens of draws, as
chance will have it: 1,000 draws had effective sizes from 200 to 1,900 with ten seeds, 3,000 have 630 and more."""


def error_of(values: xr.DataArray, method: str, **which: float) -> float:
    """Monte-Carlo error of an estimate from these draws and of the same from the independent reference draws."""
    mcse = float(np.asarray(arviz_stats.mcse(values, method=method, **which)))
    ess = float(np.asarray(arviz_stats.ess(values, method=method, **({"prob": which["prob"]} if which else {}))))
    return mcse * np.sqrt(1 + ess / REFERENCE_DRAWS)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("method", ["nuts", "smc"])
def test_moments_and_quantiles_are_those_of_the_reference_draws(name: str, method: str) -> None:
    tree = sample(PROBLEMS[name](), seed=3, method=method, predictive=False, quiet=True, **SETTINGS[method])
    away = {}
    for parameter, (mean, sd, *quantiles) in MOMENTS[name].items():
        values = tree["posterior"][parameter]
        assert float(np.asarray(arviz_stats.rhat(values))) < 1.02, parameter
        assert float(np.asarray(arviz_stats.ess(values))) > 400, parameter
        if parameter not in WITHOUT_VARIANCE:
            away[parameter, "mean"] = (float(values.mean()) - mean) / error_of(values, "mean")
            away[parameter, "sd"] = (float(values.std(ddof=1)) - sd) / error_of(values, "sd")
        for probability, reference in zip((0.05, 0.5, 0.95), quantiles, strict=True):
            error = error_of(values, "quantile", prob=probability)
            away[parameter, probability] = (float(values.quantile(probability)) - reference) / error
    worst = max(away, key=lambda key: abs(away[key]))
    # Forty comparisons of one problem: the largest of as many normal errors exceeds 4 once in 400 times.
    assert abs(away[worst]) < 4, (worst, away[worst])
    assert np.mean(np.square(list(away.values()))) < 2.5
