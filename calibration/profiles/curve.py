"""One profile: its points, where it crosses the threshold, and what it says about identifiability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

IDENTIFIABLE = "identifiable"
PRACTICALLY_NOT = "practically non-identifiable"
STRUCTURALLY_NOT = "structurally non-identifiable"
UNDECIDED = "undecided"
FLAT = 0.01
"""A profile that rises by less than this part of the threshold is flat."""
SHORTEST_FLAT = 0.05
"""A flat stretch must cover this part of the range between the bounds to count as structural."""
MOST_UNCONVERGED = 0.1
"""A profile with a larger part of points at which the optimiser gave up decides nothing."""
MOVES_ALONG = 0.05
"""A parameter moves along when it covers this part of the profiled one's way, both relative to their ranges."""


@dataclass(frozen=True)
class Curve:
    """The profile of one quantity; positions on the estimation scale for parameters, observable's unit for predictions.

    Args:
        name: What is profiled.
        position: Values of the quantity, ascending.
        rise: Rise of -2 log L above the best value known.
        slope: Derivative of `rise` in `position`.
        theta: Vector at every point, estimation scale.
        converged: Whether the others' re-optimisation met its tolerance.
        optimum: Where the fit lies.
        ends: Why the walk ended below and above: "threshold", "bound" (of the quantity), "range" (no pull moves it
            further), "steps" (out of steps), "failed" (the integration failed beyond) or "jump" (past the threshold,
            but in one leap between points as near as steps become: the edge of a region where solutions blow up, or a
            valley too narrow for the optimiser; the interval may be too short there).
        threshold: Rise at which the interval ends.
    """

    name: str
    position: Float[np.ndarray, " point"]
    rise: Float[np.ndarray, " point"]
    slope: Float[np.ndarray, " point"]
    theta: Float[np.ndarray, "point parameter"]
    converged: Bool[np.ndarray, " point"]
    optimum: float
    ends: tuple[str, str]
    threshold: float

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval; an infinite end where the profile does not reach the threshold on that side."""
        return self._crossing(-1), self._crossing(1)

    def _crossing(self, direction: int) -> float:
        """The outermost crossing on one side, on the cubic through values and slopes."""
        order = slice(None, None, direction)
        x, rise, slope = self.position[order], self.rise[order], self.slope[order]
        start = int(np.argmin(rise))
        above = rise[start:] >= self.threshold
        up = np.flatnonzero(~above[:-1] & above[1:])
        if not len(up):
            return direction * np.inf
        a, b = start + up[-1], start + up[-1] + 1
        if direction * slope[a] < 0.0 or direction * slope[b] <= 0.0:
            # Slopes of points that are not converged, or across a jump, would bend the cubic out of its segment.
            share = (self.threshold - rise[a]) / (rise[b] - rise[a])
            return float(x[a] + share * (x[b] - x[a]))
        ends = sorted(((x[a], rise[a], slope[a]), (x[b], rise[b], slope[b])))
        cubic = CubicHermiteSpline(*(list(column) for column in zip(*ends, strict=True)))
        return float(brentq(lambda v: float(cubic(v)) - self.threshold, ends[0][0], ends[1][0], xtol=1e-12))


def judge(
    curve: Curve, index: int, lower: Float[np.ndarray, " parameter"], upper: Float[np.ndarray, " parameter"]
) -> tuple[str, tuple[int, ...]]:
    """What the profile of a parameter says, and which others moved along where it is flat.

    A parameter is structurally non-identifiable when its profile is flat from bound to bound, or flat until a parameter
    that compensates for it comes to a bound of its own (what rises from there on is an artefact of that bound). It is
    practically non-identifiable when the profile rises, but does not reach the threshold on one side or both. A point
    below the threshold at a bound proves that, whatever happened elsewhere, since any vector bounds the profile from
    above. Otherwise, where the integration fails, the steps run out, a jump stands for the crossing, or the optimiser
    often gave up, it stays undecided.

    Args:
        curve: Profile of the parameter.
        index: Its place in the vector.
        lower: Lower bounds.
        upper: Upper bounds.
    """
    width = upper - lower
    otherwise = PRACTICALLY_NOT if _is_open_at_a_bound(curve) else UNDECIDED
    if np.mean(~curve.converged) > MOST_UNCONVERGED:
        return otherwise, ()
    here = int(np.argmin(np.abs(curve.position - curve.optimum)))
    # The bottom of the curve may lie a little lower than the fit; what counts is the rise along the stretch.
    below = _flat_points(curve, index, -1, here, lower, upper)
    above = _flat_points(curve, index, 1, here, lower, upper)
    if below is not None and above is not None:
        rows = np.array([*below[::-1], here, *above])
        stretch = curve.position[rows[-1]] - curve.position[rows[0]]
        if stretch >= SHORTEST_FLAT * width[index]:
            moved = np.ptp(curve.theta[rows], axis=0) / width
            along = np.flatnonzero(moved >= MOVES_ALONG * stretch / width[index])
            return STRUCTURALLY_NOT, tuple(int(i) for i in along if i != index)
    if any(end in ("failed", "steps", "jump", "range") for end in curve.ends):
        return otherwise, ()
    return (IDENTIFIABLE if np.isfinite(curve.interval).all() else PRACTICALLY_NOT), ()


def _is_open_at_a_bound(curve: Curve) -> bool:
    """Whether the curve comes to a bound of its parameter below the threshold."""
    last = (curve.rise[0], curve.rise[-1])
    return any(end == "bound" and rise < curve.threshold for end, rise in zip(curve.ends, last, strict=True))


def _flat_points(
    curve: Curve, index: int, direction: int, here: int, lower: np.ndarray, upper: np.ndarray
) -> list[int] | None:
    """Points on one side along which the curve is flat; None if it rises, or ends, where no bound is met."""

    def on_bound(row: int) -> np.ndarray:
        margin = 1e-6 * (upper - lower)
        found = (curve.theta[row] <= lower + margin) | (curve.theta[row] >= upper - margin)
        found[index] = False
        return found

    flat: list[int] = []
    at_first = on_bound(here)
    rows = range(here - 1, -1, -1) if direction < 0 else range(here + 1, len(curve.position))
    for row in rows:
        if curve.rise[row] - curve.rise[here] > FLAT * curve.threshold:
            return flat if flat and np.any(on_bound(row) & ~at_first) else None
        flat.append(row)
    return flat if curve.ends[0 if direction < 0 else 1] == "bound" else None
