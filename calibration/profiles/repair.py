"""Points of a profile that a vector found on another profile undercuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from calibration.profiles.walk import Lane

UNDERCUT = 0.02
"""A vector counts when its objective is so much lower than the curve between two points."""


class Bypass(NamedTuple):
    """A point to be optimised again.

    Args:
        lane: Its walk.
        point: Its place in the walk.
        theta: The vector to start from.
    """

    lane: int
    point: int
    theta: Float[np.ndarray, " parameter"]


def bypasses(lanes: Sequence[Lane]) -> list[Bypass]:
    """For every point the vector that undercuts its curve most nearby, if there is one."""
    pool = np.stack([point.theta for lane in lanes for point in lane.points])
    values = np.array([point.value for lane in lanes for point in lane.points])
    found = []
    for number, lane in enumerate(lanes):
        x = lane.direction * np.array([point.position for point in lane.points])
        y = np.array([point.value for point in lane.points])
        at = lane.direction * pool[:, lane.which]
        right = np.searchsorted(x, at, side="left")
        inside = (right >= 1) & (right < len(x))
        right = np.clip(right, 1, max(len(x) - 1, 1))
        if len(x) < 2:
            continue
        share = (at - x[right - 1]) / (x[right] - x[right - 1])
        # A straight line lies above a convex curve; the lower end is no higher than the curve where it rises.
        chord = np.minimum((1.0 - share) * y[right - 1] + share * y[right], y[right])
        margin = chord - values
        # The bend of a curve between two points explains a margin that its own slopes account for.
        slopes = lane.direction * np.array([point.slope for point in lane.points])
        tangent = np.maximum(y[right - 1] + slopes[right - 1] * (at - x[right - 1]), y[right - 1])
        margin = np.where(inside, np.minimum(margin, tangent - values), -np.inf)
        for point in range(1, len(x)):
            near = np.flatnonzero((right == point) | (right == point + 1))
            if len(near) and margin[best := near[np.argmax(margin[near])]] > UNDERCUT:
                found.append(Bypass(number, point, pool[best]))
    return found
