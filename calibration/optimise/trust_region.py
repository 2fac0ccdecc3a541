"""Fisher scoring with a secant correction in trust regions, all starts at once.

Trial points are looked at without derivatives, which cost many times as much; only where a step ends are they computed,
so that a region is shrunk at little cost. Steps bend with the valley (`acceleration`). The first phase stays strictly
inside the bounds; where it ends, a second one goes along them. Failed integrations shrink the region as bad steps do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.optimise.acceleration import is_small, pull_of_the_bend
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
from calibration.optimise.objective import Evaluation, Look, RegionObjective
from calibration.optimise.secant import chosen, updated

LAST_RADIUS = 0.1
"""At the first step along the bounds."""

BAD, GOOD, NEARLY_WHOLE = 0.25, 0.75, 0.8
"""Ratios of gain and promise below which the region shrinks and above which it grows, if the step filled this share."""

SHRINKING, GROWING = 4.0, 2.5


class Surface(Protocol):
    """What steps ask of an objective at vectors that belong to some of the starts."""

    def look(self, thetas: Float[np.ndarray, "some parameter"], starts: Int[np.ndarray, " some"], /) -> Look:
        """Values and predictions."""
        ...

    def evaluate(self, thetas: Float[np.ndarray, "some parameter"], starts: Int[np.ndarray, " some"], /) -> Evaluation:
        """Values with derivatives."""
        ...


@dataclass(frozen=True)
class Same:
    """The surface on which all starts minimise the same."""

    objective: RegionObjective

    def look(self, thetas: np.ndarray, _: np.ndarray) -> Look:
        return self.objective.look(thetas)

    def evaluate(self, thetas: np.ndarray, _: np.ndarray) -> Evaluation:
        return self.objective(thetas)


@dataclass(frozen=True)
class TrustRegions(State):
    """Where all starts stand.

    Args:
        curvature: Expected Hessian.
        second: What it lacks (see `secant`).
        uses: Whether the next step counts that in.
        inside: Whether steps still stay strictly inside the bounds.
        hops: Whether it may hop to another optimum where it ends (see `hops`).
        additive: Predictions, as in `Evaluation`; the next two as well.
        information: Their information.
        slopes: Their derivatives.
    """

    curvature: Float[np.ndarray, "start parameter parameter"]
    second: Float[np.ndarray, "start parameter parameter"]
    uses: Bool[np.ndarray, " start"]
    inside: Bool[np.ndarray, " start"]
    hops: Bool[np.ndarray, " start"]
    additive: Float[np.ndarray, "start reading"]
    information: Float[np.ndarray, "start reading"]
    slopes: Float[np.ndarray, "start reading parameter"]


def first_regions(theta: Float[np.ndarray, "start parameter"], at: Evaluation) -> TrustRegions:
    """All starts at their starting points, which lie strictly inside the bounds."""
    count, size = theta.shape
    return TrustRegions(
        **beginning(theta, at),
        curvature=np.array(at.curvature),
        second=np.zeros((count, size, size)),
        uses=np.zeros(count, dtype=bool),
        inside=np.ones(count, dtype=bool),
        hops=np.ones(count, dtype=bool),
        **{name: np.array(getattr(at, name)) for name in ("additive", "information", "slopes")},
    )


class _Tried(NamedTuple):
    """Steps that were looked at.

    Args:
        steps: The steps.
        by_fisher: The decrease that the expected Hessian promised for them.
        by_both: The decrease with what it lacks.
        promise: That of the two which the start goes by.
        value: Objective at their ends.
    """

    steps: Steps
    by_fisher: Float[np.ndarray, " start"]
    by_both: Float[np.ndarray, " start"]
    promise: Float[np.ndarray, " start"]
    value: Float[np.ndarray, " start"]


def region_step(surface: Surface, now: TrustRegions, rules: Rules) -> TrustRegions:
    """One step of every start."""
    tried = _looked_at(surface, now, rules)
    steps, predicted = tried.steps, tried.promise
    at, value = _evaluated(surface, now, tried)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = now.value - value
        ratio = np.where(np.isfinite(gain) & (predicted > 0), gain / predicted, -1.0)
    better = np.isfinite(gain) & (gain > 0)
    radius = np.where(ratio < BAD, np.minimum(now.radius, steps.length) / SHRINKING, now.radius)
    radius = np.where((ratio > GOOD) & (steps.length > NEARLY_WHOLE * now.radius), GROWING * now.radius, radius)
    small = steps.free & ((predicted < rules.tolerance) | (better & (gain < rules.tolerance) & (ratio > BAD)))
    idle = np.where(better & (gain >= rules.tolerance), 0, now.idle + 1)
    ends = small | (radius < SMALLEST_RADIUS) | (idle >= PATIENCE)
    # The interior comes near a bound only bit by bit: the last steps of every start are those that end on bounds.
    turns = ends & now.inside
    return TrustRegions(
        theta=np.where(better[:, None], steps.trial, now.theta),
        second=updated(now.second, steps.moved, at.gradient - now.gradient, at.curvature),
        uses=chosen(now.uses, gain, tried.by_fisher, tried.by_both),
        radius=np.where(turns, LAST_RADIUS, radius),
        evaluations=now.evaluations + 1,
        idle=np.where(turns, 0, idle),
        past=np.concatenate([at.value[:, None], now.past[:, :-1]], axis=1),
        inside=now.inside & ~turns,
        hops=now.hops,
        status=np.where(ends & ~turns, np.where(small, CONVERGED, STUCK), RUNNING),
        **at._asdict(),
    )


def _looked_at(surface: Surface, now: TrustRegions, rules: Rules) -> _Tried:
    """The step of every start, bent where the predictions are, and the objective at its end."""
    steps = _steps(now, now.gradient, rules)
    by_fisher = promised(steps.moved, now.gradient, now.curvature)
    by_both = promised(steps.moved, now.gradient, now.curvature + now.second)
    promise = np.where(now.uses, by_both, by_fisher)
    pull = pull_of_the_bend(surface.look, now, steps.moved, promise > rules.tolerance)
    if pull.any():
        bent = _steps(now, now.gradient + pull, rules)
        takes = (is_small(steps.moved, bent.moved) & pull.any(axis=1))[:, None]
        steps = steps._replace(
            trial=np.where(takes, bent.trial, steps.trial), moved=np.where(takes, bent.moved, steps.moved)
        )
    value = surface.look(steps.trial, np.arange(len(now.value))).value
    return _Tried(steps, by_fisher, by_both, promise, value)


def _bend(now: TrustRegions) -> Float[np.ndarray, "start parameter parameter"]:
    """The Hessians that steps are taken by."""
    return now.curvature + np.where(now.uses[:, None, None], now.second, 0.0)


def _steps(now: TrustRegions, slope: np.ndarray, rules: Rules) -> Steps:
    """Steps inside the bounds for some starts, along them for the others."""
    parts, bend = [], _bend(now)
    for make, here in ((steps_inside, now.inside), (steps_along_bounds, ~now.inside)):
        index = np.flatnonzero(here)
        if not len(index):
            continue
        given = (now.theta[index], slope[index], bend[index], now.radius[index])
        parts.append((index, make(*given, rules.lower, rules.upper)))
    back = np.argsort(np.concatenate([index for index, _ in parts]))
    return Steps(*(np.concatenate(x)[back] for x in zip(*(steps for _, steps in parts), strict=True)))


def _evaluated(surface: Surface, now: TrustRegions, tried: _Tried) -> tuple[Evaluation, Float[np.ndarray, " start"]]:
    """Evaluations where the starts go on from, and the objective at the ends of their steps.

    Only ends that looked lower are evaluated. There the values with derivatives count: where these fail, or are no
    lower after all, the start stays.
    """
    at, value = Evaluation(*(getattr(now, name).copy() for name in Evaluation._fields)), tried.value.copy()
    index = np.flatnonzero(value < now.value)
    if len(index):
        found = surface.evaluate(tried.steps.trial[index], index)
        value[index] = found.value
        lower = found.value < now.value[index]
        for old, new in zip(at, found, strict=True):
            old[index[lower]] = new[lower]
    return at, value
