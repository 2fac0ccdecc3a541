"""Akaike's and Schwarz's information criteria, and the weights that follow from differences.

References:
    Akaike, IEEE Transactions on Automatic Control 19:716-723 (1974), for the AIC; Hurvich & Tsai, Biometrika
    76:297-307 (1989), for the AICc; Schwarz, Annals of Statistics 6:461-464 (1978), for the BIC; Burnham & Anderson,
    Model Selection and Multimodel Inference (2002), section 2.9, for the weights.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float


def aic(nllh: float, parameters: int) -> float:
    """2 k - 2 log L.

    Args:
        nllh: Smallest negative log-likelihood.
        parameters: Number of estimated numbers, those of the noise included.
    """
    return 2.0 * parameters + 2.0 * nllh


def aicc(nllh: float, parameters: int, readings: int) -> float:
    """AIC with the correction for few readings, 2 k (k + 1) / (n - k - 1); NaN where n is at most k + 1.

    The correction is exact for linear models with normal noise of estimated size only.
    """
    spare = readings - parameters - 1
    if spare <= 0:
        return math.nan
    return aic(nllh, parameters) + 2.0 * parameters * (parameters + 1) / spare


def bic(nllh: float, parameters: int, readings: int) -> float:
    """k log n - 2 log L."""
    return parameters * math.log(readings) + 2.0 * nllh


def information_criteria(nllh: float, parameters: int, readings: int) -> dict[str, float]:
    """All three by name."""
    return {
        "AIC": aic(nllh, parameters),
        "AICc": aicc(nllh, parameters, readings),
        "BIC": bic(nllh, parameters, readings),
    }


def differences(values: Float[np.ndarray, " model"]) -> Float[np.ndarray, " model"]:
    """How far each criterion lies above the smallest; NaN stays NaN."""
    values = np.asarray(values, dtype=float)
    return values - np.nanmin(values) if np.isfinite(values).any() else np.full(len(values), np.nan)


def weights(values: Float[np.ndarray, " model"]) -> Float[np.ndarray, " model"]:
    """exp(-difference / 2), normalised: relative support among these models; 0 where the criterion is undefined."""
    relative = np.nan_to_num(np.exp(-0.5 * differences(values)), nan=0.0)
    total = relative.sum()
    return relative / total if total > 0 else np.full(len(relative), np.nan)
