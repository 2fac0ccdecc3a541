"""What is read off each patient's trajectories: times beyond a threshold, areas, peaks, values, first crossings.

A trajectory is known at its sample times, and taken as straight between them: times beyond a threshold and crossings
are exact for that polyline, areas are those of the trapezoidal rule, a peak is the largest sample. Times that an
endpoint names (`time`, `start`, `stop`) are sampled, too, so that nothing is interpolated there.

The rules are written once for NumPy and for JAX, whose arrays they can be differentiated in; whatever a branch that is
not taken would divide by is 1 there, because the derivative of an infinite value that is not taken is not a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Real
from types import ModuleType
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twin.errors import ScenarioError, suggestion
from twin.units import DIMENSIONLESS

Kind = Literal["time_above", "time_below", "area", "peak", "time_of_peak", "value", "first_crossing"]
KINDS: tuple[str, ...] = get_args(Kind)
DIRECTIONS = ("up", "down", "any")
_WITH_THRESHOLD = ("time_above", "time_below", "first_crossing")
_IN_TIME = ("time_above", "time_below", "time_of_peak", "first_crossing")

type Times = Float[np.ndarray, " time"]
type Curves = Float[np.ndarray, "time patient"]
type Values = Float[np.ndarray, " patient"]


@dataclass(frozen=True)
class Endpoint:
    """One number for each patient.

    Args:
        kind: "time_above" or "time_below" a threshold, "area" under the curve, "peak", "time_of_peak", "value" at a
            time, or "first_crossing" of a threshold.
        of: The variable, or an expression of model symbols, as for `twin.simulate`.
        threshold: For times and crossings, in the unit of the variable.
        time: For "value" [model time unit].
        start: Begin of the window that counts; None for the first sample time.
        stop: End of it; None for the last.
        direction: For "first_crossing": "up", "down" or "any". Who begins beyond the threshold crosses it when coming
            back to it.
        otherwise: For "first_crossing": the value of patients who never cross.

    Example:
        >>> Endpoint("time_above", "V", threshold=2.0)(np.array([0.0, 2.0]), np.array([[1.0], [3.0]]))
        array([1.])
    """

    kind: Kind
    of: str
    threshold: float | None = None
    time: float | None = None
    start: float | None = None
    stop: float | None = None
    direction: Literal["up", "down", "any"] = "any"
    otherwise: float = math.inf

    def check(self, where: str) -> None:
        """Refuse what makes no sense.

        Raises:
            ScenarioError: A kind that there is not, a missing or superfluous number, or an empty window.
        """
        if self.kind not in KINDS:
            found = f"the kind of endpoint is {self.kind!r}"
            raise ScenarioError(found, where=where, expected=", ".join(KINDS), fix=suggestion(str(self.kind), KINDS))
        if not isinstance(self.of, str) or not self.of.strip():
            raise ScenarioError(f"it is of {self.of!r}", where=where, expected="a variable or an expression as text")
        needed = {"threshold": self.kind in _WITH_THRESHOLD, "time": self.kind == "value"}
        for name in ("threshold", "time", "start", "stop"):
            value = getattr(self, name)
            if value is None and needed.get(name, False):
                raise ScenarioError(f"{self.kind} has no {name}", where=where, fix=f"give {name}")
            if value is not None and not needed.get(name, True):
                raise ScenarioError(f"{self.kind} has a {name}", where=where, fix="leave it out")
            if value is not None and not _is_finite(value):
                raise ScenarioError(f"{name} is {value!r}", where=where, expected="a finite number")
        if self.direction not in DIRECTIONS:
            raise ScenarioError(f"direction is {self.direction!r}", where=where, expected=", ".join(DIRECTIONS))
        if not isinstance(self.otherwise, Real) or math.isnan(self.otherwise):
            raise ScenarioError(f"otherwise is {self.otherwise!r}", where=where, expected="a number")
        if self.kind == "value" and not (self.start is None and self.stop is None):
            raise ScenarioError("value has a window", where=where, fix="leave start and stop out")
        if self.start is not None and self.stop is not None and not self.start < self.stop:
            found = f"the window from {self.start:g} to {self.stop:g} is empty"
            raise ScenarioError(found, where=where, expected="a stop later than the start")

    @property
    def formula(self) -> str:
        """It in one line: the kind, what it is of, and what is set otherwise than by default.

        Example:
            >>> Endpoint("time_above", "V", threshold=2.0, stop=5.0).formula
            'time_above(V, threshold=2, stop=5)'
        """
        set_ = [
            f"{item.name}={value if isinstance(value, str) else format(value, '.12g')}"
            for item in fields(self)[2:]
            if (value := getattr(self, item.name)) != item.default
        ]
        return f"{self.kind}({', '.join([self.of, *set_])})"

    @property
    def moments(self) -> tuple[float, ...]:
        """Times that have to be sampled."""
        return tuple(float(x) for x in (self.time, self.start, self.stop) if x is not None)

    def unit(self, of: str, time: str) -> str:
        """Its unit, of the units of the variable and of time; empty where that is unknown."""
        if self.kind in _IN_TIME:
            return time
        if self.kind == "area":
            parts = [unit for unit in (of, time) if unit != DIMENSIONLESS]
            return "" if not of else " * ".join(f"({unit})" for unit in parts) if len(parts) > 1 else "".join(parts)
        return of

    def __call__(self, ts: Times, curves: Curves) -> Float[np.ndarray, " patient"]:
        """The value of each patient; NaN where the curve is not a number at a time that counts."""
        rows, ts = self._window(ts)
        if self.kind == "value":
            return curves[rows][0].copy()
        curves = curves[rows]
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            found = _RULES[self.kind](self, np, ts, curves)
        return np.where(np.isnan(curves).any(axis=0), np.nan, found)

    def traced(self, ts: Times, curves: Float[Array, "time patient"]) -> Float[Array, " patient"]:
        """The value of each patient as JAX traces it; NaN as for NumPy."""
        rows, ts = self._window(ts)
        curves = curves[rows]
        found = curves[0] if self.kind == "value" else _RULES[self.kind](self, jnp, ts, curves)
        return jnp.where(jnp.isnan(curves).any(axis=0), jnp.nan, found)

    @property
    def has_slopes(self) -> bool:
        """Whether it changes with what it is of by more than jumps, so that a derivative says something."""
        return self.kind != "time_of_peak"

    def _window(self, ts: Times) -> tuple[slice, Times]:
        """Which sample times count."""
        if self.kind == "value":
            first = int(np.searchsorted(ts, self.time))
            last = first + 1
        else:
            first = 0 if self.start is None else int(np.searchsorted(ts, self.start))
            last = len(ts) if self.stop is None else int(np.searchsorted(ts, self.stop, side="right"))
        return slice(first, last), ts[first:last]


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _time_above(xp: ModuleType, ts: Times, above: Curves) -> Values:
    """Time for which a polyline is positive."""
    left, right = above[:-1], above[1:]
    up, down = (left <= 0) & (right > 0), (left > 0) & (right <= 0)
    change = xp.where(up | down, right - left, 1.0)
    share = xp.where((left > 0) & (right > 0), 1.0, 0.0)
    share = xp.where(up, right / change, xp.where(down, -left / change, share))
    # A curve that falls from infinity, or rises to it, is above for all of its interval: the limit of the ratio.
    share = xp.where(xp.isnan(share), 1.0, share)
    return np.diff(ts) @ share


def _first_crossing(endpoint: Endpoint, xp: ModuleType, ts: Times, curves: Curves) -> Values:
    beyond = curves - endpoint.threshold
    left, right = beyond[:-1], beyond[1:]
    up, down = (left < 0) & (right >= 0), (left > 0) & (right <= 0)
    met = up if endpoint.direction == "up" else down if endpoint.direction == "down" else up | down
    index, crossed = met.argmax(axis=0), met.any(axis=0)
    patients = np.arange(curves.shape[1])
    a, b = left[index, patients], right[index, patients]
    share = a / xp.where(crossed, a - b, 1.0)
    share = xp.where(xp.isfinite(share), share, 1.0)
    at = xp.asarray(ts)
    return xp.where(crossed, at[index] + share * (at[index + 1] - at[index]), endpoint.otherwise)


def _area(ts: Times, curves: Curves) -> Values:
    return 0.5 * np.diff(ts) @ (curves[1:] + curves[:-1])


_RULES: dict[str, Callable[[Endpoint, ModuleType, Times, Curves], Values]] = {
    "time_above": lambda e, xp, ts, y: _time_above(xp, ts, y - e.threshold),
    "time_below": lambda e, xp, ts, y: _time_above(xp, ts, e.threshold - y),
    "area": lambda e, xp, ts, y: _area(ts, y),
    "peak": lambda e, xp, ts, y: y.max(axis=0),
    "time_of_peak": lambda e, xp, ts, y: xp.asarray(ts)[y.argmax(axis=0)],
    "first_crossing": _first_crossing,
}
