"""Where a design is to be good: at one vector, or over draws of a posterior or of the priors."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import ArrayLike, Float

from calibration.problem import Problem
from twin.errors import ProblemError


def one_vector(problem: Problem, theta: ArrayLike | None) -> Float[np.ndarray, "1 parameter"]:
    """The vector that was given, or the nominal one.

    Raises:
        ProblemError: another shape, or numbers that are not finite.
    """
    at = np.asarray(problem.nominal if theta is None else theta, dtype=float)
    if at.shape != (len(problem.names),) or not np.isfinite(at).all():
        raise ProblemError(
            f"theta has shape {at.shape}" if at.shape != (len(problem.names),) else "theta is not finite",
            where="design",
            expected=f"one vector of {len(problem.names)} finite numbers, estimation scale, for instance fit.best",
        )
    return at[None]


def posterior_draws(
    problem: Problem, posterior: xr.DataTree | ArrayLike, count: int
) -> Float[np.ndarray, "draw parameter"]:
    """Evenly spaced draws of a posterior.

    Args:
        problem: The problem.
        posterior: What `calibration.sample` returns, or vectors [draw, parameter] on the estimation scale.
        count: How many are wanted.

    Raises:
        ProblemError: no posterior of this problem, or numbers that are not finite.
    """
    if isinstance(posterior, xr.DataTree):
        if "posterior" not in posterior or "theta" not in posterior["posterior"]:
            raise ProblemError(
                "the tree has no variable 'theta' in its group 'posterior'",
                where="design",
                expected="what calibration.sample returns",
            )
        of = posterior["posterior"]["theta"]
        names = tuple(map(str, of.coords["entry"].to_numpy())) if "entry" in of.coords else ()
        if names != problem.names:
            raise ProblemError(
                f"the posterior is of {', '.join(names) or 'other entries'}",
                where="design",
                expected=f"a posterior of this problem, of {', '.join(problem.names)}",
            )
        draws = of.transpose("chain", "draw", "entry").to_numpy().reshape(-1, len(names))
    else:
        draws = np.asarray(posterior, dtype=float)
    if draws.ndim != 2 or draws.shape[1] != len(problem.names) or not len(draws) or not np.isfinite(draws).all():
        raise ProblemError(
            f"the draws have shape {draws.shape}" if draws.ndim != 2 or draws.shape[1:] != (len(problem.names),)
            else "the draws are not all finite",
            where="design",
            expected=f"finite vectors [draw, {len(problem.names)}] on the estimation scale",
        )  # fmt: skip
    return draws[np.unique(np.linspace(0, len(draws) - 1, min(count, len(draws))).round().astype(int))]
