"""Profile likelihoods of parameters: both directions of all of them at once, as lanes of one batched optimiser.

    PL_i(x) = min over theta with theta_i = x of  -2 log L(theta)

References:
    Raue et al., Bioinformatics 25:1923-1929 (2009), doi:10.1093/bioinformatics/btp358: profiles, their thresholds, and
    structural and practical non-identifiability. Murphy and van der Vaart, J. Am. Stat. Assoc. 95:449-465 (2000):
    intervals from profiles.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from calibration.optimise.fit import Fit
from calibration.optimise.local import minimise
from calibration.optimise.objective import Objective
from calibration.problem import Problem
from calibration.profiles.curve import UNDECIDED, Curve, judge
from calibration.profiles.elimination import along_entry
from calibration.profiles.entry_pull import EntryPull
from calibration.profiles.reference import BETTER, Reference, check_level, find_reference, threshold_of
from calibration.profiles.repair import bypasses
from calibration.profiles.result import Profiles
from calibration.profiles.walk import Asked, Lane, Point, Solved, point_of, walk
from twin.errors import ProblemError, TwinWarning, suggestion
from twin.precision import in_float64
from twin.progress import Progress, progress

LONGEST_STEP = 1 / 16
"""Longest step as a part of the range between the bounds."""
ITERATIONS = 40
TOLERANCE = 1e-5
ROUNDS = 3
"""Most rounds of repairing points that another curve shows to be too high, and walking on."""


@in_float64
def profile(
    problem: Problem,
    fit: Fit | Float[np.ndarray, " parameter"],
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    with_prior: bool = False,
    steps: int = 60,
    quiet: bool = False,
) -> Profiles:
    """Profile the likelihood of parameters: confidence intervals, and which parameters the data do not determine.

    Each parameter is held at values further and further from its optimum while all others are optimised again. The
    interval ends where -2 log L has risen by the quantile of the chi-squared distribution with one degree of freedom.
    Step lengths follow slope and curvature of the profile, so that about six points lead to the threshold.

    Args:
        problem: What was fitted.
        fit: Result of `calibration.fit`, or a vector at an optimum, estimation scale.
        names: Entries of the vector to profile; default all.
        level: Confidence level of the intervals.
        with_prior: Whether the log-prior is added to the log-likelihood. Without it (the default) priors count nowhere,
            only the bounds do, and a fit under informative priors is first moved to the maximum of the likelihood.
        steps: Most points on each side.
        quiet: Show no progress.

    Returns:
        Curves, intervals and flags. If a vector better than the fit turns up it is in `Profiles.better`, rises count
        from it, and a `TwinWarning` says so: the fit was no global optimum. If it is so much better that the fit lies
        outside its confidence region, all flags are "undecided".

    Raises:
        ProblemError: an unknown name, a level outside (0, 1), or a vector that does not fit the problem.
        SimulationError: the problem cannot be integrated at the fit.

    Example:
        >>> profiles = calibration.profile(problem, calibration.fit(problem))
        >>> profiles.table()
        >>> profiles.plot().savefig("profiles.png")
    """
    begin = time.perf_counter()
    check_level(level)
    indices = check_names(problem, names)
    if steps < 1:
        raise ProblemError(f"steps is {steps}", where="profile", expected="at least 1")
    threshold = threshold_of(level)
    objective = Objective(problem, with_prior=with_prior)
    reference = find_reference(problem, objective, fit)
    with progress(f"profiling {problem.name}", 1000, quiet) as line:
        walks = Walks(problem, objective, reference, indices)
        walk(walks.lanes, walks.solve, threshold, steps, line)
        for _ in range(ROUNDS):
            if not walks.repair(threshold):
                break
            walk(walks.lanes, walks.solve, threshold, steps, line)
    best = walks.polished_best()
    better = best if best.value < reference.value - BETTER else None
    # Under informative priors the fit is no optimum of the likelihood, nor meant to be.
    same_objective = with_prior or not problem.prior.precision.any()
    warn_of_better(problem, reference, better, same_objective)
    curves = walks.curves(min(best.value, reference.value), better, threshold)
    verdicts = [judge(curve, i, problem.lower, problem.upper) for curve, i in zip(curves, indices, strict=True)]
    if better is not None and 2.0 * (reference.value - better.value) > threshold:
        # The walks went around a vector that the data rule out.
        verdicts = [(UNDECIDED, ()) for _ in curves]
    return Profiles(
        names=tuple(problem.names[i] for i in indices),
        entries=problem.names,
        scales=tuple(entry.scale for entry in problem.parameters.entries),
        lower=problem.lower,
        upper=problem.upper,
        curves=curves,
        flags=tuple(flag for flag, _ in verdicts),
        along=tuple(tuple(problem.names[i] for i in others) for _, others in verdicts),
        best=reference.theta,
        objective=reference.value,
        better=None if better is None else better.theta,
        better_objective=None if better is None else better.value,
        level=level,
        with_prior=with_prior,
        evaluations=walks.evaluations,
        seconds=time.perf_counter() - begin,
    )


def warn_of_better(problem: Problem, reference: Reference, better: Point | None, same_objective: bool) -> None:
    """Say what the fit had missed."""
    if better is not None:
        gain = reference.value - better.value
        text = (
            f"profiling {problem.name} found a vector whose objective is {gain:.3g} below that of the fit: "
            "the fit is no global optimum. Fit with more starts, or go on from `better` of the result"
        )
    elif same_objective and reference.given > reference.value + BETTER:
        text = (
            f"the fit of {problem.name} had not converged: further steps lowered its objective by "
            f"{reference.given - reference.value:.3g}; the profiles begin at the vector that they reached"
        )
    else:
        return
    warnings.warn(text, TwinWarning, stacklevel=4)


def check_names(problem: Problem, names: Sequence[str] | None) -> list[int]:
    """Places in the vector of the named entries; of all for None.

    Raises:
        ProblemError: no name, an unknown one, or one twice.
    """
    if names is None:
        return list(range(len(problem.names)))
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ProblemError("no parameter is named", where="profile", expected="at least one, or None for all")
    for name in names:
        if name not in problem.names:
            raise ProblemError(
                f"{name!r} is no entry of the vector", where="profile", fix=suggestion(str(name), problem.names)
            )
        if names.count(name) > 1:
            raise ProblemError(f"{name!r} is named twice", where="profile", fix="name it once")
    return [problem.names.index(name) for name in names]


class Walks:
    """The walks of all profiled parameters, with the optimiser that they share.

    Args:
        problem: The problem.
        objective: Its objective.
        reference: The optimum.
        indices: Profiled entries.
    """

    def __init__(self, problem: Problem, objective: Objective, reference: Reference, indices: Sequence[int]) -> None:
        self.problem, self.objective, self.reference, self.indices = problem, objective, reference, indices
        self.evaluations = reference.evaluations
        self.lanes: list[Lane] = []
        lower, upper = problem.lower, problem.upper
        for index in indices:
            tangent, curvature = along_entry(reference.curvature, index, self._free(reference.theta[None])[0])
            start = Point(
                float(reference.theta[index]),
                reference.value,
                float(reference.gradient[index]),
                curvature,
                reference.theta,
                True,
            )
            for direction, limit in ((-1, lower[index]), (1, upper[index])):
                largest = LONGEST_STEP * float(upper[index] - lower[index])
                self.lanes.append(Lane(index, direction, [start], tangent, float(limit), largest))

    def _free(self, theta: np.ndarray) -> Bool[np.ndarray, "lane parameter"]:
        return (theta > self.problem.lower) & (theta < self.problem.upper)

    def solve(self, asked: Asked) -> Solved:
        """Optimise all entries but one, which is held at its target or pulled towards it."""
        lower, upper, rows = self.problem.lower, self.problem.upper, np.arange(len(asked.which))
        held, which = ~asked.pulled, asked.which
        theta = np.clip(asked.guesses, lower, upper)
        theta[rows[held], which[held]] = asked.targets[held]
        fixed = np.zeros(theta.shape, dtype=bool)
        fixed[rows[held], which[held]] = True
        pull = EntryPull(self.objective, which, asked.targets, asked.pulled, asked.steps)
        run = minimise(
            self.objective,
            theta,
            pull.evaluate(theta, rows),
            lower,
            upper,
            iterations=ITERATIONS,
            tolerance=TOLERANCE,
            line=Progress("", 1, quiet=True),
            fixed=fixed,
            own=pull,
        )
        self.evaluations += int(run.iterations.sum())
        at, free = pull.without(run.at, run.theta), self._free(run.theta)
        curvature = [along_entry(at.curvature[k], which[k], free[k])[1] for k in rows]
        slope = at.gradient[rows, which]
        return Solved(run.theta[rows, which], at.value, slope, np.array(curvature), run.theta, run.converged)

    def repair(self, threshold: float) -> bool:
        """Re-optimise points that lie above a vector found on another curve; whether some were improved.

        A walk can follow a valley that is not the lowest one. Every vector found anywhere is an upper bound for each
        profile at its own value of that parameter; where it lies below a curve, the points around start anew from it.
        """
        found = bypasses(self.lanes)
        if not found:
            return False
        which = np.array([self.lanes[f.lane].which for f in found])
        guesses = np.stack([f.theta for f in found])
        targets = np.array([self.lanes[f.lane].points[f.point].position for f in found])
        steps = np.abs(guesses[np.arange(len(found)), which] - targets)
        pulled = np.array([self.lanes[f.lane].pulls for f in found]) & (steps > 0.0)
        solved = self.solve(Asked(which, targets, steps, guesses, pulled))
        improved = False
        for index, each in enumerate(found):
            lane, point = self.lanes[each.lane], point_of(solved, index)
            if point.value < lane.points[each.point].value - BETTER and lane.fits(point, each.point):
                lane.points[each.point] = point
                improved = True
        for lane in self.lanes:
            if lane.end in ("threshold", "jump") and 2.0 * (lane.points[-1].value - lane.points[0].value) < threshold:
                lane.end = ""
        return improved

    def polished_best(self) -> Point:
        """The best point of all walks, brought to its own optimum with every entry free if it lies below the fit."""
        best = min((point for lane in self.lanes for point in lane.points), key=lambda point: point.value)
        if best.value > self.reference.value - BETTER:
            return best
        polished = find_reference(self.problem, self.objective, best.theta)
        return Point(np.nan, polished.value, 0.0, 0.0, polished.theta, True)

    def curves(self, lowest: float, better: Point | None, threshold: float) -> tuple[Curve, ...]:
        """Both sides of each parameter put together, rises above the lowest objective."""
        curves = []
        for place, index in enumerate(self.indices):
            down, up = self.lanes[2 * place], self.lanes[2 * place + 1]
            points = [*down.points[:0:-1], *up.points]
            if better is not None:
                extra = better._replace(position=float(better.theta[index]))
                # A duplicate of the position would leave the cubic between the two undefined.
                points = [p for p in points if abs(p.position - extra.position) > 1e-12]
                points = sorted([*points, extra], key=lambda point: point.position)
            curves.append(
                Curve(
                    name=self.problem.names[index],
                    position=np.array([p.position for p in points]),
                    rise=2.0 * (np.array([p.value for p in points]) - lowest),
                    slope=2.0 * np.array([p.slope for p in points]),
                    theta=np.stack([p.theta for p in points]),
                    converged=np.array([p.converged for p in points]),
                    optimum=float((self.reference if better is None else better).theta[index]),
                    ends=(down.end, up.end),
                    threshold=threshold,
                )
            )
        return tuple(curves)
