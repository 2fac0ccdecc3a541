"""Adaptive walks away from an optimum, many side by side: each point re-optimised, steps sized by the rise they make.

The rise is R = 2 (objective - objective at the optimum). At a constrained optimum the derivative of the objective along
the profile is that in the held quantity alone (the others contribute nothing to first order), so every point comes with
its exact slope; with the curvature that the expected Hessian leaves after the others are eliminated, the step h that
raises R by T solves s h + c h^2 / 2 = T for slope s and curvature c of R.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from twin.progress import Progress

RISES = 6
"""Steps in which the rise is to reach the threshold."""
LARGEST_RISE = 3.0
"""A step that raises R by more than so many times what was aimed at is taken again, shorter."""
GROWTH = 2.5
SHRINKS = 6
"""Most further tries of a step."""
MARGIN = 1.1
"""Walks end where the rise is this many times the threshold, so that the crossing lies between two points."""
PULL = 10.0
"""What a pull adds to the objective at the beginning of a step."""
STALLED = 1e-3
"""A walk whose quantity moves by less than this part of what was asked has come to the end of its range."""


class Solved(NamedTuple):
    """Constrained optima, one per lane.

    Args:
        position: The profiled quantity.
        value: Objective (half of -2 log L); infinite where the integration failed.
        slope: Derivative of the objective along the profile.
        curvature: Its second derivative by the expected Hessian.
        theta: The whole vector.
        converged: Whether the optimiser met its tolerance.
    """

    position: Float[np.ndarray, " lane"]
    value: Float[np.ndarray, " lane"]
    slope: Float[np.ndarray, " lane"]
    curvature: Float[np.ndarray, " lane"]
    theta: Float[np.ndarray, "lane parameter"]
    converged: Bool[np.ndarray, " lane"]


class Point(NamedTuple):
    """One constrained optimum, fields as in `Solved`."""

    position: float
    value: float
    slope: float
    curvature: float
    theta: Float[np.ndarray, " parameter"]
    converged: bool


class Asked(NamedTuple):
    """The optima that walks ask for, one per lane.

    Args:
        which: What each lane profiles.
        targets: Where its quantity should come to lie.
        steps: How far that is from where it lies; 0 to hold it at the target.
        guesses: Vectors to start from.
        pulled: Lanes whose quantity is pulled towards the target instead of being held there.
    """

    which: Int[np.ndarray, " lane"]
    targets: Float[np.ndarray, " lane"]
    steps: Float[np.ndarray, " lane"]
    guesses: Float[np.ndarray, "lane parameter"]
    pulled: Bool[np.ndarray, " lane"]


type Solve = Callable[[Asked], Solved]
"""The constrained optimiser."""


@dataclass
class Lane:
    """A walk in one direction.

    Args:
        which: What is profiled, for `Solve`.
        direction: 1 or -1.
        points: The optimum and what has been reached from it, outwards.
        tangent: Derivative of the vector along the profile at the optimum.
        limit: Where the walk must end; may be infinite.
        largest: Longest step.
        pulls: Whether the quantity is pulled towards its targets instead of being held there.
        end: Why it ended ("threshold", "jump", "bound", "range", "steps", "failed"), empty while it goes on.
    """

    which: int
    direction: int
    points: list[Point]
    tangent: Float[np.ndarray, " parameter"]
    limit: float
    largest: float
    pulls: bool = False
    end: str = ""
    step: float = 0.0
    shrinks: int = 0
    target: float = field(default=0.0, init=False)

    def propose(self, aim: float) -> None:
        """Set the next target from slope and curvature here."""
        here = self.points[-1]
        slope, curvature = max(2.0 * self.direction * here.slope, 0.0), max(2.0 * here.curvature, 0.0)
        divisor = slope + np.sqrt(slope**2 + 2.0 * curvature * aim)
        wanted = 2.0 * aim / divisor if divisor > 0.0 else np.inf
        grown = GROWTH * self.step if self.step > 0.0 else np.inf
        self._aim_at(min(wanted, grown, self.largest))

    def _aim_at(self, step: float) -> None:
        here = self.points[-1].position
        self.step = step
        self.target = here + self.direction * step
        # A last step of a hair's breadth would be wasted.
        if self.direction * (self.target - self.limit) > -0.1 * step:
            # What is pulled lags behind its target: it comes to rest on the limit where the target lies beyond.
            self.target = self.limit + (self.direction * step if self.pulls else 0.0)
            self.step = abs(self.target - here)

    def guess(self) -> Float[np.ndarray, " parameter"]:
        """The vector at the target, extrapolated from the last two optima; at every second try the last optimum."""
        here = self.points[-1]
        # What the data hardly determine may be extrapolated to where nothing can be integrated.
        if self.shrinks % 2:
            return here.theta
        ahead = self.target - here.position
        if len(self.points) == 1:
            return here.theta + ahead * self.tangent
        before = self.points[-2]
        along = here.position - before.position
        return here.theta + (here.theta - before.theta) * (ahead / along if along else 0.0)

    def fits(self, point: Point, place: int) -> bool:
        """Whether a point may take the place of one on the walk: it lies between the neighbours of that one."""
        before, after = self.points[place - 1], self.points[place + 1 : place + 2]
        ahead = self.direction * (point.position - before.position) > 0.0
        return ahead and all(self.direction * (x.position - point.position) > 0.0 for x in after)

    def take(self, point: Point, threshold: float, steps: int) -> None:
        """Accept a point or ask for a shorter step; say whether the walk is over."""
        aim, last = threshold / RISES, self.points[-1]
        if not self.pulls and not (np.isfinite(point.value) and point.converged):
            # Beside solutions that blow up a vector that is moved to a target fails; one that is pulled finds its way.
            self.pulls, self.shrinks = True, 1
            self._aim_at(self.step)
            return
        rise = 2.0 * (point.value - last.value)
        if not rise <= LARGEST_RISE * aim and self.shrinks < SHRINKS:
            self.shrinks += 1
            if np.isfinite(rise):
                factor = float(np.clip(0.8 * np.sqrt(aim / rise), 0.15, 0.6))
            else:
                factor = 1.0 if self.shrinks % 2 else 0.3
            self._aim_at(factor * self.step)
            return
        jumped, self.shrinks = not rise <= LARGEST_RISE * aim, 0
        if not np.isfinite(point.value):
            self.end = "failed"
            return
        moved = self.direction * (point.position - last.position)
        at_limit = self.direction * (point.position - self.limit) >= 0.0
        if moved < STALLED * self.step and not (at_limit and moved > 0.0):
            self.end = "range"
            return
        self.points.append(point)
        if 2.0 * (point.value - self.points[0].value) >= MARGIN * threshold:
            self.end = "jump" if jumped else "threshold"
        elif at_limit:
            self.end = "bound"
        elif len(self.points) > steps:
            self.end = "steps"
        else:
            self.step = moved
            self.propose(aim)


def walk(lanes: Sequence[Lane], solve: Solve, threshold: float, steps: int, line: Progress) -> None:
    """Let all lanes walk until each has ended.

    Args:
        lanes: The walks; those that have ended stay as they are.
        solve: The constrained optimiser.
        threshold: Rise of -2 log L at which the interval ends.
        steps: Most points of a walk.
        line: Progress to update.
    """
    for lane in lanes:
        if not lane.end:
            if lane.direction * (lane.points[-1].position - lane.limit) >= 0.0:
                lane.end = "bound"
            else:
                lane.propose(threshold / RISES)
    while running := [lane for lane in lanes if not lane.end]:
        before = np.array([lane.points[-1].position for lane in running])
        targets = np.array([lane.target for lane in running])
        asked = Asked(
            which=np.array([lane.which for lane in running]),
            targets=targets,
            steps=np.abs(targets - before),
            guesses=np.stack([lane.guess() for lane in running]),
            pulled=np.array([lane.pulls for lane in running]),
        )
        solved = solve(asked)
        for index, lane in enumerate(running):
            lane.take(point_of(solved, index), threshold, steps)
        reached = sum(_share(lane, threshold) for lane in lanes)
        line.update(int(1000 * reached / len(lanes)), f"{len(running)} of {len(lanes)} sides under way")


def pulling_weight(steps: Float[np.ndarray, " lane"]) -> Float[np.ndarray, " lane"]:
    """w of a pull w (quantity - target)^2 / 2 over these steps."""
    return 2.0 * PULL / steps**2


def point_of(solved: Solved, index: int) -> Point:
    """One lane's optimum."""
    position, value, slope, curvature = (float(x[index]) for x in solved[:4])
    return Point(position, value, slope, curvature, solved.theta[index].copy(), bool(solved.converged[index]))


def _share(lane: Lane, threshold: float) -> float:
    if lane.end:
        return 1.0
    start, last = lane.points[0], lane.points[-1]
    by_rise = 2.0 * (last.value - start.value) / threshold
    by_way = abs(last.position - start.position) / max(abs(lane.limit - start.position), 1e-300)
    return float(np.clip(max(by_rise, by_way), 0.0, 1.0))
