"""Endpoints of a time course: peak, its time, area, clearance time, last value. NumPy only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

ENDPOINTS = ("peak", "peak_time", "area", "clearance_time", "last")
FRACTION = 0.1
"""Where there is no detection limit, a course is cleared when it has fallen to this share of its peak."""


def endpoints(
    time: Float[np.ndarray, " time"], value: Float[np.ndarray, " time"], limit: float | None = None
) -> dict[str, float]:
    """Endpoints of one course; straight lines between its points.

    The clearance time is when the course falls below the threshold for the last time: the detection limit if there is
    one, otherwise a tenth of its peak. NaN if it has not done so by the last time, or never was above.

    Args:
        time: Increasing times.
        value: Values at them.
        limit: Detection limit, in the observable's unit.

    Returns:
        A number per name of `ENDPOINTS`; all NaN for fewer than two points.
    """
    if len(time) < 2:
        return dict.fromkeys(ENDPOINTS, np.nan)
    top = int(np.argmax(value))
    threshold = limit if limit is not None else FRACTION * float(value[top])
    return {
        "peak": float(value[top]),
        "peak_time": float(time[top]),
        "area": float(np.trapezoid(value, time)),
        "clearance_time": _last_crossing(time, value, threshold),
        "last": float(value[-1]),
    }


def _last_crossing(time: np.ndarray, value: np.ndarray, threshold: float) -> float:
    above = np.flatnonzero(value > threshold)
    if not len(above) or above[-1] == len(value) - 1:
        return np.nan
    i = above[-1]
    share = (value[i] - threshold) / (value[i] - value[i + 1])
    return float(time[i] + share * (time[i + 1] - time[i]))
