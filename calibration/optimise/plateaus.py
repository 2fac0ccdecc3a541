"""Walks off plateaus: from where a start has ended, along directions that the readings do not feel there.

Where a reaction is so fast that only its ratio to another counts, or so slow that nothing happens, the objective is
flat along some direction, and a start that is there converges, however much better it is beyond the plateau. No slope
leads there; a few looks at the objective on the way to the bounds do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.optimise.lanes import CONVERGED, HOPPED, STUCK, Rules
from calibration.optimise.objective import Evaluation, RegionObjective
from calibration.optimise.polish import NEAR
from calibration.optimise.starts import strictly_inside
from calibration.optimise.trust_region import TrustRegions, first_regions

FLAT = 1.0
"""A direction is flat if twice the change of the objective that its curvature promises over the whole range of the
parameters is less."""

MOST_DIRECTIONS, LOOKS = 4, 12
"""Flat directions that are walked along, the flattest first, and looks on the way to a bound."""

LEAST_GAIN = 0.1
"""Units of log-likelihood that a walk has to gain."""


def walked(
    objective: RegionObjective, state: TrustRegions, rules: Rules, settled: Bool[np.ndarray, " start"]
) -> TrustRegions | None:
    """The state in which starts that ended on a plateau go on from where it is left; None if there are none.

    Args:
        objective: What is minimised.
        state: Where the starts ended.
        rules: Those of the fit.
        settled: Starts from which a walk gained nothing; those of this one are added.
    """
    best = min(rules.best, float(np.min(state.value)))
    ended = np.isin(state.status, (CONVERGED, STUCK, HOPPED)) & (state.evaluations < rules.iterations)
    index = np.flatnonzero(ended & ~settled & (state.value > best + NEAR))
    settled[index] = True
    owner, points = _points(state.rows(index), rules)
    if not len(points):
        return None
    value = objective.look(points).value
    lowest = np.full(len(index), -1)
    for start in np.unique(owner):
        own = np.flatnonzero(owner == start)
        least = own[np.argmin(np.where(np.isfinite(value[own]), value[own], np.inf))]
        if value[least] < state.value[index[start]] - LEAST_GAIN:
            lowest[start] = least
    goes_on = lowest >= 0
    if not goes_on.any():
        return None
    index, theta = index[goes_on], points[lowest[goes_on]]
    at = Evaluation(*(np.array(x) for x in objective(theta)))
    lower = at.value < state.value[index] - LEAST_GAIN
    if not lower.any():
        return None
    index, theta, at = index[lower], theta[lower], Evaluation(*(x[lower] for x in at))
    settled[index] = False
    begun = first_regions(theta, at)
    # Nothing is known of their pace: they are not retired before as many evaluations as tell it.
    begun = replace(begun, evaluations=state.evaluations[index] + 1, past=np.full_like(begun.past, np.inf))
    return state.with_rows(index, begun)


def _points(
    state: TrustRegions, rules: Rules
) -> tuple[Int[np.ndarray, " point"], Float[np.ndarray, "point parameter"]]:
    """Points along the flat directions of each start up to the bounds, and whose they are."""
    span = rules.upper - rules.lower
    span = np.where(np.isfinite(span), span, 1.0)
    shares = np.arange(1, LOOKS + 1) / LOOKS
    owners, points = [], []
    for start, (theta, curvature) in enumerate(zip(state.theta, state.curvature, strict=True)):
        if not np.isfinite(curvature).all():
            continue
        bend, directions = np.linalg.eigh(curvature * np.outer(span, span))
        for column in np.flatnonzero(bend < FLAT)[:MOST_DIRECTIONS]:
            for direction in (directions[:, column] * span, -directions[:, column] * span):
                with np.errstate(divide="ignore", invalid="ignore"):
                    ends = np.where(direction > 0, rules.upper - theta, rules.lower - theta) / direction
                length = np.min(np.where(direction != 0, ends, np.inf))
                if np.isfinite(length) and length > 0:
                    points.append(theta + np.outer(length * shares, direction))
                    owners.append(np.full(LOOKS, start))
    if not points:
        return np.zeros(0, dtype=int), np.zeros((0, len(span)))
    return np.concatenate(owners), strictly_inside(np.concatenate(points), rules.lower, rules.upper)
