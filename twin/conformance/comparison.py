"""Results against expected numbers: the largest deviation, in units of what the suite tolerates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.conformance.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Deviation:
    """A number that is not as expected.

    Args:
        size: |found - expected| / (absolute + relative |expected|); infinite where one of them is not a number.
        label: What it belongs to.
        found: What was found.
        expected: What was expected.
    """

    size: float
    label: str
    found: float
    expected: float

    def __str__(self) -> str:
        return f"{self.label}: {self.found:.8g} instead of {self.expected:.8g} ({self.size:.3g} tolerances away)"


def worst_deviation(
    found: np.ndarray, expected: np.ndarray, labels: Sequence[str], absolute: float, relative: float
) -> Deviation:
    """The number that lies farthest from what is expected.

    Two NaN agree, and so do two infinities of the same sign.

    Args:
        found: Numbers found.
        expected: Numbers expected, in the same order.
        labels: What they are.
        absolute: Absolute tolerance.
        relative: Tolerance relative to what is expected.
    """
    import numpy as np

    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        size = np.abs(found - expected) / (absolute + relative * np.abs(expected))
    # An infinite expectation makes the quotient 0 or NaN; neither says that the numbers agree.
    size = np.where(same, 0.0, np.where(np.isfinite(found) & np.isfinite(expected), size, np.inf))
    place = int(np.argmax(size))
    return Deviation(float(size[place]), labels[place], float(found[place]), float(expected[place]))


def verdict_on(deviation: Deviation) -> Verdict:
    """Passed if the largest deviation is within the tolerance."""
    return Verdict("passed") if deviation.size <= 1.0 else Verdict("wrong", str(deviation))
