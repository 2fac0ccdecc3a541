"""A smooth curve through points: a natural cubic smoothing spline, continued by straight lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from scipy.interpolate import make_smoothing_spline

Curve = Callable[[Float[np.ndarray, "time"]], Float[np.ndarray, "time"]]
Warp = Callable[[Float[np.ndarray, "time"], float, float], Float[np.ndarray, "time"]]

MIN_SPLINE_TIMES = 5  # make_smoothing_spline's own minimum


def _plain(time: Float[np.ndarray, "time"], start: float, end: float) -> Float[np.ndarray, "time"]:
    """Time as a share of the span."""
    return (np.asarray(time, dtype=float) - start) / ((end - start) or 1.0)


def _logarithmic(time: Float[np.ndarray, "time"], start: float, end: float) -> Float[np.ndarray, "time"]:
    """Logarithm of time, straight near the start: what happens early gets the room it needs.

    The 20th part of the span is where linear turns to logarithmic.
    """
    return np.log1p(20.0 * np.maximum(_plain(time, start, end), 0.0)) / np.log(21.0)


WARPS: Mapping[str, Warp] = MappingProxyType({"time": _plain, "log time": _logarithmic})


def fit_curve(x: Float[np.ndarray, "point"], y: Float[np.ndarray, "point"], *, flat: bool = False) -> Curve:
    """Fit a curve: a smoothing spline, with fewer than five distinct x a line, with one a constant.

    The smoothing is chosen by generalised cross-validation. Outside the points the curve goes on straight, as
    a natural spline does (SciPy's object would continue its last cubic piece), or `flat` at its last value.

    Args:
        x: Positions, scaled to the order of 1; may repeat.
        y: Values.
        flat: Hold the end values outside the points.

    References:
        Woltring 1986, doi:10.1016/0141-1195(86)90098-7 (the algorithm in SciPy).
    """
    knots, where = np.unique(x, return_inverse=True)
    count = np.bincount(where).astype(float)
    mean = np.bincount(where, weights=y) / count
    low, high = float(knots[0]), float(knots[-1])
    if len(knots) == 1 or np.ptp(mean) == 0.0:
        value = float(np.average(mean, weights=count))
        return lambda at: np.full(np.shape(at), value)
    if len(knots) < MIN_SPLINE_TIMES:
        slope, intercept = np.polyfit(knots, mean, 1, w=np.sqrt(count))
        ends = np.array([slope, slope])
        inner: Curve = lambda at: slope * at + intercept  # noqa: E731
    else:
        spline = make_smoothing_spline(knots, mean, w=count)
        ends = spline.derivative()(np.array([low, high]))
        inner = spline

    def curve(at: Float[np.ndarray, "time"]) -> Float[np.ndarray, "time"]:
        at = np.asarray(at, dtype=float)
        held = np.asarray(inner(np.clip(at, low, high)))
        if flat:
            return held
        return held + ends[0] * np.minimum(at - low, 0.0) + ends[1] * np.maximum(at - high, 0.0)

    return curve
