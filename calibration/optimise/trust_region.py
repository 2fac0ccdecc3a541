"""Fisher scoring with a secant correction in trust regions, all starts at once.

Every trial point is evaluated with gradient and curvature, so that an accepted one needs no second evaluation. The
first phase stays strictly inside the bounds; where it ends, a second one goes along them. Failed integrations shrink
the region as bad steps do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.optimise.along_bounds import Steps, promised, steps_along_bounds
from calibration.optimise.interior import steps_inside
from calibration.optimise.lanes import (
    CONVERGED,
    PATIENCE,
    RUNNING,
    SMALLEST_RADIUS,
    STUCK,
    Rules,
    State,
    beginning,
)
from calibration.optimise.objective import Evaluation
from calibration.optimise.secant import chosen, updated

LAST_RADIUS = 0.1
"""At the first step along the bounds."""

BAD, GOOD, NEARLY_WHOLE = 0.25, 0.75, 0.8
"""Ratios of gain and promise below which the region shrinks and above which it grows, if the step filled this share."""

SHRINKING, GROWING = 4.0, 2.5


@dataclass(frozen=True)
class TrustRegions(State):
    """Where all starts stand.

    Args:
        curvature: Expected Hessian.
        second: What it lacks (see `secant`).
        uses: Whether the next step counts that in.
        inside: Whether steps still stay strictly inside the bounds.
    """

    curvature: Float[np.ndarray, "start parameter parameter"]
    second: Float[np.ndarray, "start parameter parameter"]
    uses: Bool[np.ndarray, " start"]
    inside: Bool[np.ndarray, " start"]


def first_regions(theta: Float[np.ndarray, "start parameter"], at: Evaluation) -> TrustRegions:
    """All starts at their starting points, which lie strictly inside the bounds."""
    count, size = theta.shape
    return TrustRegions(
        **beginning(theta, at),
        curvature=np.array(at.curvature),
        second=np.zeros((count, size, size)),
        uses=np.zeros(count, dtype=bool),
        inside=np.ones(count, dtype=bool),
    )


def region_step(evaluate: Callable[[np.ndarray], Evaluation], now: TrustRegions, rules: Rules) -> TrustRegions:
    """One step of every start."""
    both = now.curvature + np.where(now.uses[:, None, None], now.second, 0.0)
    trial, moved, length, free = _trials(now, both, rules)
    by_fisher = promised(moved, now.gradient, now.curvature)
    by_both = promised(moved, now.gradient, now.curvature + now.second)
    predicted = np.where(now.uses, by_both, by_fisher)
    new = evaluate(trial)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = now.value - new.value
        ratio = np.where(np.isfinite(gain) & (predicted > 0), gain / predicted, -1.0)
    better = np.isfinite(gain) & (gain > 0)
    change = np.where(better[:, None], new.gradient - now.gradient, 0.0)
    radius = np.where(ratio < BAD, np.minimum(now.radius, length) / SHRINKING, now.radius)
    radius = np.where((ratio > GOOD) & (length > NEARLY_WHOLE * now.radius), GROWING * now.radius, radius)
    small = free & ((predicted < rules.tolerance) | (better & (gain < rules.tolerance) & (ratio > BAD)))
    idle = np.where(better & (gain >= rules.tolerance), 0, now.idle + 1)
    ends = small | (radius < SMALLEST_RADIUS) | (idle >= PATIENCE)
    # The interior comes near a bound only bit by bit: the last steps of every start are those that end on bounds.
    turns = ends & now.inside
    keep = lambda fresh, old: np.where(better.reshape(-1, *[1] * (old.ndim - 1)), fresh, old)  # noqa: E731
    value = keep(new.value, now.value)
    return TrustRegions(
        theta=keep(trial, now.theta),
        value=value,
        nllh=keep(new.nllh, now.nllh),
        gradient=keep(new.gradient, now.gradient),
        curvature=keep(new.curvature, now.curvature),
        second=updated(now.second, moved, change, new.curvature),
        uses=chosen(now.uses, gain, by_fisher, by_both),
        radius=np.where(turns, LAST_RADIUS, radius),
        evaluations=now.evaluations + 1,
        idle=np.where(turns, 0, idle),
        past=np.concatenate([value[:, None], now.past[:, :-1]], axis=1),
        inside=now.inside & ~turns,
        status=np.where(ends & ~turns, np.where(small, CONVERGED, STUCK), RUNNING),
    )


def _trials(now: TrustRegions, curvature: np.ndarray, rules: Rules) -> Steps:
    """Steps inside the bounds for some starts, along them for the others."""
    parts = []
    for make, here in ((steps_inside, now.inside), (steps_along_bounds, ~now.inside)):
        index = np.flatnonzero(here)
        given = (now.theta[index], now.gradient[index], curvature[index], now.radius[index])
        parts.append((index, make(*given, rules.lower, rules.upper)))
    back = np.argsort(np.concatenate([index for index, _ in parts]))
    return Steps(*(np.concatenate(x)[back] for x in zip(*(steps for _, steps in parts), strict=True)))
