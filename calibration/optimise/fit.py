"""Multi-start fitting: many starts, one batched program, the best optimum and how often it was found."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from calibration.optimise.fisher_scoring import Run, minimise
from calibration.optimise.objective import Evaluation, Objective
from calibration.optimise.starts import latin_hypercube
from calibration.problem import Problem
from twin.errors import ProblemError, SimulationError
from twin.precision import in_float64
from twin.progress import Progress, progress

REDRAWS = 10
SAME_OPTIMUM = 0.1
"""Starts within this of the best objective count as having found it (a tenth of a log-likelihood unit)."""


@dataclass(frozen=True)
class Fit:
    """Result of a multi-start fit, best start first.

    Args:
        names: Entries of the vector.
        theta: Optimum of each start, estimation scale.
        objective: Negative log-posterior there, ascending. Without informative priors it is `nllh` up to a constant.
        nllh: Negative log-likelihood there.
        starts: Where each start began.
        converged: Whether each start met the tolerance.
        redrawn: Starting points whose integration failed and that were drawn anew.
        failed: Starts that never became finite; they are at the end, with infinite objective.
        at_bound: Entries of the best vector that lie on a bound.
        seconds: Wall time.
        curvature: Expected Hessian of the objective at the best vector.
    """

    names: tuple[str, ...]
    theta: Float[np.ndarray, "start parameter"]
    objective: Float[np.ndarray, " start"]
    nllh: Float[np.ndarray, " start"]
    starts: Float[np.ndarray, "start parameter"]
    converged: Bool[np.ndarray, " start"]
    redrawn: int
    failed: int
    at_bound: tuple[str, ...]
    seconds: float
    curvature: Float[np.ndarray, "parameter parameter"]

    @property
    def best(self) -> Float[np.ndarray, " parameter"]:
        """The best vector, estimation scale."""
        return self.theta[0]

    @property
    def hits(self) -> int:
        """How many starts reached the best objective."""
        return int(np.sum(self.objective <= self.objective[0] + SAME_OPTIMUM))

    def to_frame(self) -> pd.DataFrame:
        """One row per start."""
        frame = pd.DataFrame(self.theta, columns=list(self.names))
        frame.insert(0, "objective", self.objective)
        frame.insert(1, "nllh", self.nllh)
        frame.insert(2, "converged", self.converged)
        return frame

    def __str__(self) -> str:
        lines = [
            f"best objective {self.objective[0]:.4f} (negative log-likelihood {self.nllh[0]:.4f}), "
            f"found by {self.hits} of {len(self.objective)} starts in {self.seconds:.1f} s"
        ]
        if self.redrawn or self.failed:
            lines.append(f"{self.redrawn} starting points redrawn, {self.failed} starts failed")
        if self.at_bound:
            lines.append(f"on a bound: {', '.join(self.at_bound)}")
        return "\n".join(lines)


@in_float64
def fit(
    problem: Problem,
    starts: int = 100,
    seed: int = 0,
    *,
    iterations: int = 200,
    tolerance: float = 1e-4,
    quiet: bool = False,
) -> Fit:
    """Maximise the posterior density of a problem from many starting points.

    Args:
        problem: What to fit.
        starts: Number of starting points, drawn from the priors.
        seed: Seed of the starting points.
        iterations: Most evaluations per start.
        tolerance: Decrease of the objective below which a start has converged.
        quiet: Show no progress.

    Raises:
        SimulationError: no starting point could be integrated.

    Example:
        >>> result = calibration.fit(problem, starts=100, seed=0)
        >>> result.best, result.hits
    """
    if starts < 1:
        raise ProblemError(f"starts is {starts}", where="fit", expected="at least 1")
    begin = time.perf_counter()
    objective = Objective(problem)
    theta = latin_hypercube(problem.prior, starts, seed)
    at, theta, redrawn = _finite_starts(problem, objective, theta, seed)
    first = theta.copy()
    with progress(f"fitting {problem.name}", iterations, quiet) as line:
        run = minimise(
            objective,
            theta,
            at,
            problem.lower,
            problem.upper,
            iterations=iterations,
            tolerance=tolerance,
            line=line,
        )
        order = np.argsort(run.at.value, kind="stable")
        _polish(objective, run, order[0], problem, line)
    order = np.argsort(run.at.value, kind="stable")
    best = run.theta[order[0]]
    on_bound = (best <= problem.lower) | (best >= problem.upper)
    return Fit(
        names=problem.names,
        theta=run.theta[order],
        objective=run.at.value[order],
        nllh=run.at.nllh[order],
        starts=first[order],
        converged=run.converged[order],
        redrawn=redrawn,
        failed=int(np.sum(~np.isfinite(run.at.value))),
        at_bound=tuple(name for name, here in zip(problem.names, on_bound, strict=True) if here),
        seconds=time.perf_counter() - begin,
        curvature=run.at.curvature[order[0]],
    )


def _polish(objective: Objective, run: Run, index: int, problem: Problem, line: Progress) -> None:
    """Bring the best start to convergence a thousand times tighter."""
    one = slice(index, index + 1)
    at = Evaluation(*(x[one].copy() for x in run.at))
    polished = minimise(
        objective, run.theta[one], at, problem.lower, problem.upper, iterations=50, tolerance=1e-7, line=line
    )
    run.theta[one] = polished.theta
    # Integration error may keep it from the tighter tolerance; it has then converged as before.
    run.converged[one] |= polished.converged
    for old, new in zip(run.at, polished.at, strict=True):
        old[one] = new


def _finite_starts(
    problem: Problem, objective: Objective, theta: np.ndarray, seed: int
) -> tuple[Evaluation, np.ndarray, int]:
    """Draw starting points anew where the integration fails, a bounded number of times."""
    at, redrawn = objective(theta), 0
    for attempt in range(1, REDRAWS + 1):
        bad = ~np.isfinite(at.value)
        if not bad.any():
            break
        redrawn += int(bad.sum())
        theta = np.where(bad[:, None], latin_hypercube(problem.prior, len(theta), seed + 7919 * attempt), theta)
        at = objective(theta)
    if not np.isfinite(at.value).any():
        raise SimulationError(
            f"none of {len(theta)} starting points could be integrated, nor any of {redrawn} redrawn ones",
            where=problem.name,
            fix="narrow the bounds or the priors, or raise max_steps",
        )
    return at, theta, redrawn
