"""The optimum from which profiles are walked, and the threshold to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2

from calibration.optimise.fit import Fit
from calibration.optimise.local import minimise
from calibration.optimise.objective import Evaluation, Objective
from calibration.problem import Problem
from twin.errors import ProblemError, SimulationError
from twin.progress import Progress

BETTER = 0.01
"""An objective lower than the fit's by this counts as a better optimum: well above the error of the integration."""


@dataclass(frozen=True)
class Reference:
    """An optimum.

    Args:
        theta: The vector.
        value: Objective there.
        gradient: Its gradient.
        curvature: Its expected Hessian.
        evaluations: Evaluations spent on it.
        given: Objective of the vector that was given.
    """

    theta: Float[np.ndarray, " parameter"]
    value: float
    gradient: Float[np.ndarray, " parameter"]
    curvature: Float[np.ndarray, "parameter parameter"]
    evaluations: int
    given: float


def find_reference(problem: Problem, objective: Objective, fit: Fit | Sequence[float] | np.ndarray) -> Reference:
    """The fit's best vector, brought to convergence.

    Raises:
        ProblemError: the vector does not belong to the problem.
        SimulationError: it cannot be integrated.
    """
    if isinstance(fit, Fit) and fit.names != problem.names:
        raise ProblemError(
            "the fit is one of another problem: their entries differ",
            where="fit",
            expected=", ".join(problem.names[:6]) + (", ..." if len(problem.names) > 6 else ""),
        )
    theta = np.asarray(fit.best if isinstance(fit, Fit) else fit, dtype=float)
    if theta.shape != problem.lower.shape or not np.isfinite(theta).all():
        raise ProblemError(
            f"the vector has shape {theta.shape}" if theta.shape != problem.lower.shape else "it is not finite",
            where="fit",
            expected=f"a Fit, or {len(problem.names)} finite numbers on the estimation scale",
        )
    margin = 1e-9 * (problem.upper - problem.lower)
    if outside := [
        name
        for name, out in zip(
            problem.names, (theta < problem.lower - margin) | (theta > problem.upper + margin), strict=True
        )
        if out
    ]:
        raise ProblemError(f"{outside[0]!r} lies outside its bounds", where="fit", expected="a vector inside them")
    theta = np.clip(theta, problem.lower, problem.upper)[None]
    at = objective(theta)
    if not np.isfinite(at.value[0]):
        raise SimulationError(
            "the problem cannot be integrated at the fit", where=problem.name, fix="fit again, or raise max_steps"
        )
    run = minimise(
        objective,
        theta,
        Evaluation(*(np.array(x) for x in at)),
        problem.lower,
        problem.upper,
        iterations=100,
        tolerance=1e-8,
        line=Progress("", 1, quiet=True),
    )
    now = run.at
    return Reference(
        theta=run.theta[0],
        value=float(now.value[0]),
        gradient=now.gradient[0],
        curvature=now.curvature[0],
        evaluations=int(run.iterations[0]),
        given=float(at.value[0]),
    )


def check_level(level: float) -> None:
    """Refuse a confidence level that is none.

    Raises:
        ProblemError: it is not between 0 and 1.
    """
    if not (isinstance(level, int | float | np.floating) and 0.0 < level < 1.0):
        raise ProblemError(
            f"the level is {level!r}", where="profile", expected="a number between 0 and 1", fix="95 % is 0.95"
        )


def threshold_of(level: float, freedom: int = 1) -> float:
    """Rise of -2 log L at the edge of a confidence region."""
    return float(chi2.ppf(level, freedom))
