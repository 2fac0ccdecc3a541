"""Whether the curve of PIT values stays inside ArviZ's simultaneous band, and how large a shift it would notice."""

from __future__ import annotations

import numpy as np
from arviz_stats.ecdf_utils import compute_ecdf, ecdf_pit
from jaxtyping import Float
from scipy.stats import norm

from calibration.sim2real.check_row import Check

BAND = 0.99
BAND_SIMULATIONS, POWER_SIMULATIONS = 1000, 100
LEAST_POWER = 0.5
LEAST_READINGS = 5


def pit_ecdf_check(key: str, name: str, pit: Float[np.ndarray, " reading"], *, seed: int = 0) -> Check:
    """The empirical distribution of PIT values against its 99 % simultaneous band.

    The value is the share of points outside. Power is that of finding all predictions one predictive standard deviation
    too low.

    References:
        Säilynoja, Bürkner & Vehtari 2022, doi:10.1007/s11222-022-10090-6.
    """
    pit = np.sort(np.asarray(pit, dtype=float))
    if len(pit) < LEAST_READINGS:
        return Check(key, name, "no power", None, f"{len(pit)} readings are too few for a band", powerless=True)
    rng = np.random.default_rng(seed)
    points, curve, low, high = ecdf_pit(pit, BAND, BAND_SIMULATIONS, rng=rng)
    share = float(np.mean((curve < low) | (curve > high)))
    inner = slice(1, -1)  # the ends, where the band has no width, are added by ArviZ
    shifted = norm.cdf(rng.standard_normal((POWER_SIMULATIONS, len(pit))) + 1.0)
    curves = np.stack([compute_ecdf(each, points[inner]) for each in shifted])
    power = float(np.mean(np.any((curves < low[inner]) | (curves > high[inner]), axis=1)))
    note = (
        f"{len(pit)} readings as if independent; power {power:.0%} for predictions all one predictive standard "
        "deviation too low"
    )
    if share == 0 and power < LEAST_POWER:
        return Check(key, name, "no power (inside the 99 % band)", None, note, share, powerless=True)
    inside = "inside the 99 % band" if share == 0 else f"{share:.0%} of the curve outside the 99 % band"
    return Check(key, name, inside, share == 0, note, share)
