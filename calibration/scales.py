"""Estimation scales: from a number to its place on one and back, and the slope of the way back.

"logit" is for numbers between 0 and 1; "atanh" (Fisher's z) is for correlations, and no scale that an estimate may
ask for.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from twin.study import Scale

SCALES = ("lin", "log", "log10", "logit")
"""Those of estimates."""
BASES = {"log": np.e, "log10": 10.0}
"""Of the logarithmic ones."""
DOMAIN = {"lin": "a finite number", "log": "a positive number", "log10": "a positive number"} | {
    "logit": "a number between 0 and 1",
    "atanh": "a number between -1 and 1",
}


def has_place(value: float, scale: str) -> bool:
    """Whether a number has a finite place on a scale."""
    inside = {"lin": True, "logit": 0.0 < value < 1.0, "atanh": -1.0 < value < 1.0}.get(scale, value > 0.0)
    return bool(np.isfinite(value) and inside)


def to_scale(value: Any, scale: Scale) -> Any:
    """Numbers on the estimation scale (NumPy)."""
    if scale == "lin":
        return value
    if scale == "logit":
        return np.log(value) - np.log1p(-value)
    return {"log": np.log, "log10": np.log10, "atanh": np.arctanh}[scale](value)


def from_scale(value: Array, scale: Scale) -> Array:
    """Numbers of the estimation scale on the linear scale (JAX)."""
    if scale == "lin":
        return value
    if scale == "logit":
        # Not jax.nn.sigmoid, which is compiled apart.
        return 0.5 * (1.0 + jnp.tanh(0.5 * value))
    if scale == "atanh":
        return jnp.tanh(value)
    return jnp.exp(value) if scale == "log" else jnp.exp(value * np.log(10.0))


def linear(value: Any, scale: str) -> Any:
    """Numbers of the estimation scale on the linear scale (NumPy)."""
    if scale == "lin":
        return value
    if scale in BASES:
        return BASES[scale] ** value
    return np.tanh(value) if scale == "atanh" else 0.5 * (1.0 + np.tanh(0.5 * np.asarray(value)))


def slope(value: Any, scale: str) -> Any:
    """Derivative of the number in its place on the scale, at a place (NumPy)."""
    if scale == "lin":
        return np.ones_like(value)
    number = linear(value, scale)
    if scale in BASES:
        return number * np.log(BASES[scale])
    return 1.0 - number**2 if scale == "atanh" else number * (1.0 - number)
