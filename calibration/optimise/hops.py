"""Hops from one optimum to the next: a parameter is put elsewhere, the others follow, then all are free again.

Optima of reaction networks differ mostly in which process explains the readings, which one parameter decides. Where
it lies in another range, the others have to be elsewhere too, so that neither a slope nor a straight line leads there.
From the best start every parameter is put at places all over its range; from optima that several starts share, those
parameters that are felt least there. What each place leads to is followed in rounds of which the lower half is left.

References:
    D. J. Wales & J. P. K. Doye, "Global optimization by basin-hopping and the lowest energy structures of
    Lennard-Jones clusters containing up to 110 atoms", J. Phys. Chem. A 101:5111-5116 (1997), doi:10.1021/jp970984n,
    whose hops are drawn at random.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.optimise.lanes import CONVERGED, HOPPED, STUCK, Rules
from calibration.optimise.local import Run, minimise
from calibration.optimise.objective import Evaluation, RegionObjective
from calibration.optimise.polish import NEAR
from calibration.optimise.starts import strictly_inside
from calibration.optimise.trust_region import TrustRegions, first_regions
from twin.progress import Progress

PLACES = 5
"""Places in the range of a parameter that is put elsewhere; the one where it lies is left out."""

FELT_LEAST = 4
"""Parameters that are put elsewhere where several starts ended together."""

MOST_SHARED, SMALLEST_SHARE, FEWEST_TOGETHER = 4, 0.04, 3
"""Shared optima per round, the most frequent first; the share of all starts, and the number of them, that make one."""

SAME_OBJECTIVE = 0.05
"""Starts whose objectives differ by less, and which the curvature does not tell apart, ended at one optimum."""

HELD, ROUNDS_OF_HALF, LAST_FEW, OF_LAST_FEW = 8, (8, 12), 3, 30
"""Evaluations while the parameter is held; in the rounds after which half are left; how many are left at last, and
their evaluations."""

LEAST_GAIN = 0.1
"""Units of log-likelihood that a hop has to gain."""

LOOSE = 1e-2
"""Tolerance on the way."""

MOST_SHARE = 2
"""Evaluations of all hops of a round, in multiples of those so far: a single start does not hop."""


class _Optimum(NamedTuple):
    """Where starts ended together.

    Args:
        first: The one that hops for them.
        members: All of them.
        moves: Parameters that are put elsewhere.
    """

    first: int
    members: Int[np.ndarray, " member"]
    moves: Int[np.ndarray, " moved"]


class _Followed(NamedTuple):
    """What places lead to.

    Args:
        owner: Number of the optimum that each belongs to.
        theta: Where they have come.
        at: Evaluation there.
        spent: Evaluations so far, of each optimum.
    """

    owner: Int[np.ndarray, " place"]
    theta: Float[np.ndarray, "place parameter"]
    at: Evaluation
    spent: Int[np.ndarray, " optimum"]

    def rows(self, index: np.ndarray) -> _Followed:
        """Some of the places."""
        return _Followed(self.owner[index], self.theta[index], Evaluation(*(x[index] for x in self.at)), self.spent)

    def after(self, run: Run) -> _Followed:
        """Where they are after a run, which counts."""
        spent = self.spent + np.bincount(self.owner, run.iterations - 1, len(self.spent)).astype(np.int64)
        return _Followed(self.owner, run.theta, run.at, spent)

    def lowest(self, most: np.ndarray) -> Int[np.ndarray, " place"]:
        """The lowest places of each optimum, at most so many."""
        value = np.where(np.isfinite(self.at.value), self.at.value, np.inf)
        order = np.lexsort((value, self.owner))
        first = np.searchsorted(self.owner[order], self.owner[order])
        rank = np.arange(len(order)) - first
        return order[(rank < most[self.owner[order]]) & np.isfinite(value[order])]


def hopped(objective: RegionObjective, state: TrustRegions, rules: Rules, line: Progress) -> TrustRegions | None:
    """The state after a hop from the best start and from optima that several starts share; None if nobody hops.

    Starts that ended at one optimum hop together, from the best of them; it has all evaluations of the hop. Where
    nothing was gained they hop no more.

    Args:
        objective: What is minimised.
        state: Where the starts ended.
        rules: Those of the fit.
        line: Progress to update.
    """
    optima = _optima(state, rules)
    if not optima:
        return None
    places = _followed(objective, state, optima, rules, line)
    evaluations, hops = state.evaluations.copy(), state.hops.copy()
    for optimum, spent in zip(optima, places.spent, strict=True):
        evaluations[optimum.first] += spent
        hops[optimum.members] = False
    state = replace(state, evaluations=evaluations, hops=hops)
    least = places.rows(places.lowest(np.ones(len(optima), dtype=int)))
    before = state.value[[optima[number].first for number in least.owner]]
    gained = least.rows(np.flatnonzero(least.at.value < before - LEAST_GAIN))
    if not len(gained.owner):
        return state
    run = minimise(
        objective,
        gained.theta,
        gained.at,
        rules.lower,
        rules.upper,
        iterations=rules.iterations,
        tolerance=rules.tolerance,
        line=line,
    )
    arrived = replace(
        first_regions(run.theta, run.at),
        inside=np.zeros(len(run.theta), dtype=bool),
        status=np.where(run.converged, HOPPED, STUCK),
    )
    for row, number in enumerate(gained.owner):
        first, members = optima[number].first, optima[number].members
        evaluations = state.evaluations[members] + np.where(members == first, run.iterations[row] - 1, 0)
        there = arrived.rows(np.full(len(members), row))
        state = state.with_rows(members, replace(there, evaluations=evaluations))
    return state


def _optima(state: TrustRegions, rules: Rules) -> list[_Optimum]:
    """The best start, for all that are near it, and the most frequent of the other optima that several starts share."""
    may = state.hops & np.isfinite(state.value)
    order = np.argsort(state.value, kind="stable")
    best = order[0]
    found: list[_Optimum] = []
    if may[best] and state.value[best] <= rules.best:
        found.append(_Optimum(int(best), np.array([best]), np.arange(state.theta.shape[1])))
    ended = np.isin(state.status, (CONVERGED, STUCK, HOPPED)) & (
        state.value > min(rules.best, state.value[best]) + NEAR
    )
    fewest = max(FEWEST_TOGETHER, SMALLEST_SHARE * len(order))
    shared = [members for members in _together(state, order[ended[order]]) if len(members) >= fewest]
    shared = [members for members in shared if may[members].all()]
    for members in sorted(shared, key=len, reverse=True)[:MOST_SHARED]:
        found.append(_Optimum(int(members[0]), members, _felt_least(state.curvature[members[0]], rules)))
    bounded = np.isfinite(rules.upper - rules.lower)  # only these have places
    found = [each._replace(moves=each.moves[bounded[each.moves]]) for each in found]
    found = [each for each in found if len(each.moves)]
    spent, most = np.cumsum([_most_evaluations(each) for each in found]), MOST_SHARE * state.evaluations.sum()
    return [each for each, total in zip(found, spent, strict=True) if total <= most]


def _most_evaluations(optimum: _Optimum) -> int:
    """Of a hop: all places, then half of them after each round, and the last few."""
    places = len(optimum.moves) * PLACES
    rounds = sum(places * iterations // 2**number for number, iterations in enumerate(ROUNDS_OF_HALF))
    return places * (1 + HELD) + rounds + LAST_FEW * OF_LAST_FEW


def _together(state: TrustRegions, order: Int[np.ndarray, " ended"]) -> list[Int[np.ndarray, " member"]]:
    """Starts in groups that ended at one optimum each, in the order of their objectives."""
    groups: list[list[int]] = []
    for start in order:
        near = [members for members in groups if state.value[start] - state.value[members[0]] < SAME_OBJECTIVE]
        home = next((members for members in reversed(near) if _same(state, members[0], start)), None)
        if home is None:
            groups.append([start])
        else:
            home.append(start)
    return [np.array(members) for members in groups]


def _same(state: TrustRegions, first: int, start: int) -> bool:
    """Whether the readings hardly tell two starts apart."""
    apart = state.theta[start] - state.theta[first]
    return bool(0.5 * apart @ state.curvature[first] @ apart < 1.0)


def _felt_least(curvature: Float[np.ndarray, "parameter parameter"], rules: Rules) -> Int[np.ndarray, " moved"]:
    """Parameters that make up the flattest directions."""
    if not np.isfinite(curvature).all():
        return np.arange(0)
    span = _range(rules)
    _, directions = np.linalg.eigh(curvature * np.outer(span, span))
    return np.unique(np.argmax(np.abs(directions[:, :FELT_LEAST]), axis=0))


def _range(rules: Rules) -> Float[np.ndarray, " parameter"]:
    span = rules.upper - rules.lower
    return np.where(np.isfinite(span), span, 1.0)


def _followed(
    objective: RegionObjective, state: TrustRegions, optima: list[_Optimum], rules: Rules, line: Progress
) -> _Followed:
    """What the places of all optima lead to, until a few of each are left."""
    owner, theta, held = _places(state, optima, rules)
    spent = np.bincount(owner, minlength=len(optima))
    places = _Followed(owner, theta, Evaluation(*(np.array(x) for x in objective(theta))), spent)
    here = places.lowest(np.full(len(optima), len(owner)))
    places, held = places.rows(here), held[here]

    def run(iterations: int, fixed: Bool[np.ndarray, "place parameter"] | None = None) -> _Followed:
        return places.after(
            minimise(
                objective,
                places.theta,
                places.at,
                rules.lower,
                rules.upper,
                iterations=iterations + 1,
                tolerance=LOOSE,
                line=line,
                fixed=fixed,
            )
        )

    places = run(HELD, held)
    for iterations in ROUNDS_OF_HALF:
        places = run(iterations)
        count = np.bincount(places.owner, minlength=len(optima))
        places = places.rows(places.lowest(np.maximum(LAST_FEW, (count + 1) // 2)))
    places = places.rows(places.lowest(np.full(len(optima), LAST_FEW)))
    return run(OF_LAST_FEW)


def _places(
    state: TrustRegions, optima: list[_Optimum], rules: Rules
) -> tuple[Int[np.ndarray, " place"], Float[np.ndarray, "place parameter"], Bool[np.ndarray, "place parameter"]]:
    """Vectors in which one parameter is elsewhere, whose they are, and that parameter."""
    shares = (np.arange(PLACES) + 0.5) / PLACES
    owner, theta, held = [], [], []
    for number, optimum in enumerate(optima):
        at = state.theta[optimum.first]
        for parameter in optimum.moves:
            low, high = rules.lower[parameter], rules.upper[parameter]
            there = low + shares * (high - low)
            there = there[np.abs(there - at[parameter]) >= 0.5 * (high - low) / PLACES]
            moved = np.repeat(at[None], len(there), axis=0)
            moved[:, parameter] = there
            owner.append(np.full(len(there), number))
            theta.append(moved)
            held.append(np.repeat(np.arange(len(at))[None] == parameter, len(there), axis=0))
    return np.concatenate(owner), strictly_inside(np.concatenate(theta), rules.lower, rules.upper), np.concatenate(held)
