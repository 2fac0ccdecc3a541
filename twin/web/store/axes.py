"""Axes of pictures: where a value lies in pixels, and which values are written beside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
FEW_DECADES = 1.5
"""Below so many decades a logarithmic axis has marks at 2 and 5, too."""


@dataclass(frozen=True)
class Axis:
    """A line from one value to another.

    Args:
        low: Value at `start`.
        high: Value at `stop`, above `low`.
        start: Place of `low` [px].
        stop: Place of `high` [px].
        log: Whether it is logarithmic; `low` is positive then.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def place(self, values: Float[np.ndarray, " ..."] | float) -> Float[np.ndarray, " ..."]:
        """Places of values; not a number where a logarithm is none, at the ends where a value is infinite."""
        values = np.asarray(values, dtype=float)
        with np.errstate(invalid="ignore", divide="ignore"):
            at = np.log10(np.where(values > 0, values, np.nan)) if self.log else values
        low, high = (math.log10(x) if self.log else x for x in (self.low, self.high))
        share = np.clip((at - low) / (high - low), -1.0, 2.0)
        return self.start + share * (self.stop - self.start)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Values to be written and their text."""
        if self.log:
            return self._log_ticks(most)
        steps = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        slack = 1e-9 * (self.high - self.low)
        inside = [float(x) for x in steps if self.low - slack <= x <= self.high + slack]
        return [(x, _plain(0.0 if abs(x) < slack else x)) for x in inside]

    def _log_ticks(self, most: int) -> list[tuple[float, str]]:
        first, last = math.log10(self.low), math.log10(self.high)
        digits = (1, 2, 5) if last - first < FEW_DECADES else (1,)
        step = max(1, math.ceil((last - first) / most))
        found = []
        for decade in range(math.floor(first), math.ceil(last) + 1):
            if digits == (1,) and decade % step:
                continue
            for digit in digits:
                value = digit * 10.0**decade
                if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9):
                    found.append((value, _power(digit, decade)))
        return found


def _plain(value: float) -> str:
    """A number as people write it: 150000, 1.5·10⁶."""
    text = f"{value:.6g}"
    if "e" in text:
        digits, decade = text.split("e")
        text = f"{digits}·10{str(int(decade)).translate(_SUPERSCRIPT)}"
    return text.replace("-", "−")


def _power(digit: int, decade: int) -> str:
    if -3 <= decade <= 4:
        return f"{digit * 10.0**decade:g}"
    return (f"{digit}·" if digit > 1 else "") + "10" + str(decade).translate(_SUPERSCRIPT)


def axis_over(values: Float[np.ndarray, " ..."], start: float, stop: float, *, log: bool = False) -> Axis | None:
    """An axis that holds values with a little room; None if there is nothing that can be shown on it.

    Args:
        values: Any; what is not finite, or on a logarithmic axis not positive, is left out.
        start: Place of the lower end [px].
        stop: Place of the upper end [px].
        log: Whether it is logarithmic.
    """
    values = np.asarray(values, dtype=float).ravel()
    shown = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not len(shown):
        return None
    low, high = float(shown.min()), float(shown.max())
    if log:
        room = max((high / low) ** 0.04, 1.05)
        return Axis(low / room, high * room, start, stop, log=True)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    # A quantity that is never negative is not given room below zero.
    return Axis(0.0 if 0 <= low < room else low - room, high + room, start, stop)
