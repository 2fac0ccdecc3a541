"""From promising designs downhill, with derivatives and the limits inside: sequential quadratic programming in a region
of trust. Limits that cannot be kept are missed by as little as possible, so that a descent always has an end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from twin.scenario.optimise.measures import Limit

MOST_EVALUATIONS = 40
FIRST_RADIUS, LEAST_RADIUS = 0.25, 1e-7
"""Of the region in which the linear and quadratic models are trusted, in units of the cube."""
PENALTY, MOST_PENALTY = 10.0, 1e6
"""Of missing limits, in units of the spread of the measures; raised where it does not suffice."""

type Unit = Float[np.ndarray, " factor"]
type Sloped = Callable[[Unit], tuple[Float[np.ndarray, " measure"], Float[np.ndarray, "measure factor"]]]


@dataclass(frozen=True)
class _Here:
    """Goal and limits at a point: values, slopes; a limit is kept where its excess is not positive."""

    unit: Unit
    goal: float
    slope: Float[np.ndarray, " factor"]
    excess: Float[np.ndarray, " bound"]
    excess_slopes: Float[np.ndarray, "bound factor"]

    def merit(self, penalty: float) -> float:
        """What shall become small."""
        return self.goal + penalty * float(np.maximum(self.excess, 0.0).sum())


def descend(
    start: Unit,
    sloped: Sloped,
    sign: float,
    limits: Sequence[Limit],
    spread: Float[np.ndarray, " measure"],
    most: int = MOST_EVALUATIONS,
) -> Unit:
    """Follow the gradient from a point of the unit cube.

    Args:
        start: Where it begins.
        sloped: Measures of a point (goal, then limits) and their derivatives.
        sign: 1 to minimise, -1 to maximise.
        limits: What has to be kept.
        spread: By how much each measure varies: its unit here.
        most: Most evaluations.

    Returns:
        Where it ends: to be judged by the caller, for a descent may end at a kink.

    References:
        Nocedal and Wright 2006, doi:10.1007/978-0-387-40065-5, chapter 18 (penalty, trust region, damped BFGS).
    """

    def look(unit: Unit) -> _Here | None:
        measures, slopes = sloped(unit)
        if not (np.isfinite(measures).all() and np.isfinite(slopes).all()):
            return None
        measures, slopes = measures / spread, slopes / spread[:, None]
        rows = [
            (way * (measures[row] - bound / spread[row]), way * slopes[row])
            for row, limit in enumerate(limits, start=1)
            for bound, way in ((limit.at_most, 1.0), (limit.at_least, -1.0))
            if bound is not None
        ]
        excess = np.array([value for value, _ in rows])
        gradients = np.array([slope for _, slope in rows]).reshape(len(rows), len(unit))
        return _Here(unit, sign * float(measures[0]), sign * slopes[0], excess, gradients)

    here, radius, penalty = look(start), FIRST_RADIUS, PENALTY
    if here is None:
        return start
    curvature = np.eye(len(start))
    for _ in range(most - 1):
        step, penalty = _step(here, curvature, radius, penalty)
        expected = here.merit(penalty) - _modelled(here, curvature, step, penalty)
        if radius < LEAST_RADIUS or not expected > 1e-13:
            break
        there = look(np.clip(here.unit + step, 0.0, 1.0))
        gained = -np.inf if there is None else here.merit(penalty) - there.merit(penalty)
        if gained < 0.25 * expected:
            radius = 0.3 * min(radius, float(np.abs(step).max()))
        elif gained > 0.75 * expected and np.abs(step).max() > 0.9 * radius:
            radius = min(2.0 * radius, 0.5)
        if there is not None and gained > 1e-4 * expected:
            curvature = _updated(curvature, here, there, penalty)
            here = there
    return here.unit


def _modelled(here: _Here, curvature: np.ndarray, step: np.ndarray, penalty: float) -> float:
    """The merit that is expected after a step."""
    missed = np.maximum(here.excess + here.excess_slopes @ step, 0.0).sum()
    return float(here.goal + here.slope @ step + 0.5 * step @ curvature @ step + penalty * missed)


def _step(here: _Here, curvature: np.ndarray, radius: float, penalty: float) -> tuple[np.ndarray, float]:
    """The best step of the model within the region and the cube; the penalty is raised until it counts."""
    from scipy.optimize import minimize

    factors, bounds = len(here.unit), len(here.excess)
    low, high = np.maximum(-radius, -here.unit), np.minimum(radius, 1.0 - here.unit)
    while True:
        # Unknowns are the step and by how much each bound is missed after it.
        weights = np.concatenate([here.slope, np.full(bounds, penalty)])
        found = minimize(
            lambda x, weights=weights: weights @ x + 0.5 * x[:factors] @ curvature @ x[:factors],
            np.concatenate([np.zeros(factors), np.maximum(here.excess, 0.0)]),
            jac=lambda x, weights=weights: weights + np.concatenate([curvature @ x[:factors], np.zeros(bounds)]),
            method="SLSQP",
            bounds=[*zip(low, high, strict=True), *[(0.0, None)] * bounds],
            constraints={
                "type": "ineq",
                "fun": lambda x: x[factors:] - here.excess - here.excess_slopes @ x[:factors],
                "jac": lambda _: np.hstack([-here.excess_slopes, np.eye(bounds)]),
            }
            if bounds
            else (),
            options={"maxiter": 100, "ftol": 1e-14},
        )
        step = np.clip(found.x[:factors], low, high)
        before, after = (np.maximum(here.excess + here.excess_slopes @ d, 0.0).sum() for d in (0.0 * step, step))
        if after <= max(0.9 * before, 1e-9) or penalty >= MOST_PENALTY:
            return step, penalty
        penalty *= 10.0


def _updated(curvature: np.ndarray, here: _Here, there: _Here, penalty: float) -> np.ndarray:
    """Curvature of the Lagrangian after a step, kept positive (damped BFGS)."""
    from scipy.optimize import nnls

    active = there.excess > -1e-6
    slopes = there.excess_slopes[active]
    # Multipliers of the limits that bind: those that best balance the slope of the goal.
    multipliers = np.minimum(nnls(slopes.T, -there.slope)[0], penalty) if active.any() else np.zeros(0)
    step = there.unit - here.unit
    change = there.slope - here.slope
    if active.any():
        change = change + (slopes - here.excess_slopes[active]).T @ multipliers
    bent = curvature @ step
    along = float(step @ bent)
    if along <= 0.0:
        return curvature
    share = 1.0 if step @ change >= 0.2 * along else 0.8 * along / (along - float(step @ change))
    change = share * change + (1.0 - share) * bent
    return curvature - np.outer(bent, bent) / along + np.outer(change, change) / float(step @ change)
