"""Numbers that sum a course up: its peak, when that is, and the area under it. Plain NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the bands: the middle 90 % and 50 %, and the median."""


class Endpoints(NamedTuple):
    """Of every patient: highest value [unit], its time [time], trapezoidal area [unit x time]."""

    peak: Float[np.ndarray, " patient"]
    time_of_peak: Float[np.ndarray, " patient"]
    area: Float[np.ndarray, " patient"]


NAMES: Mapping[str, str] = {"peak": "Peak", "time_of_peak": "Time of peak", "area": "Area under the curve"}


def endpoints_of(times: Float[np.ndarray, " time"], values: Float[np.ndarray, "patient time"]) -> Endpoints:
    """Peak, its time and area of each course, on the times given (the page puts every dose among them)."""
    at = values.argmax(axis=1)
    widths = np.diff(times)
    area = 0.5 * (values[:, 1:] + values[:, :-1]) @ widths
    return Endpoints(values.max(axis=1), times[at], area)


def whole(values: Float[np.ndarray, "patient time"]) -> np.ndarray:
    """Which courses are finite throughout: of a failed integration nothing is shown."""
    return np.isfinite(values).all(axis=1)


def bands(values: Float[np.ndarray, "patient time"]) -> Float[np.ndarray, "share time"]:
    """Quantiles over patients at every time, linearly interpolated between order statistics (R's type 7)."""
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1)
    place = np.array(SHARES) * (ordered.shape[1] - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, ordered.shape[1] - 1)
    return (ordered[:, low] + (place - low) * (ordered[:, high] - ordered[:, low])).T


def histogram(values: Float[np.ndarray, " patient"], bins: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Shares of patients [%] and the edges of the bins; one bin around values that are all the same."""
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        half = 0.5 * (abs(low) or 1.0) * 0.1
        return np.array([100.0]), np.array([low - half, low + half])
    # Times of peak lie on a grid: more bins than values would leave gaps that mean nothing.
    counts, edges = np.histogram(values, bins=min(bins, len(np.unique(values))), range=(low, high))
    return 100.0 * counts / len(values), edges
