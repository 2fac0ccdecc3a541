"""Starting points of a multi-start fit: space-filling designs through the priors, draws from them, or given vectors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from calibration.optimise.objective import FitObjective
from calibration.priors import PriorDensity
from calibration.problem import Problem
from twin.errors import ProblemError, suggestion

SAMPLINGS = ("latin-hypercube", "sobol", "prior")

MARGIN = 1e-6
"""Starts on a bound are moved inside by this share of the range: a step inside the bounds cannot leave them."""


def latin_hypercube(prior: PriorDensity, count: int, seed: int, skip: int = 0) -> Float[np.ndarray, "start parameter"]:
    """Points that fill the prior evenly (for uniform priors: the box of the bounds).

    Args:
        prior: Priors of the vector.
        count: Number of points.
        seed: Seed of the hypercube.
        skip: Number of points of earlier hypercubes; another number gives another hypercube.
    """
    generator = np.random.default_rng([seed, skip] if skip else seed)
    return prior.quantile(qmc.LatinHypercube(len(prior.lower), rng=generator).random(count))


def sobol(prior: PriorDensity, count: int, seed: int, skip: int = 0) -> Float[np.ndarray, "start parameter"]:
    """Points of a scrambled Sobol sequence, mapped to the prior; `skip` of them are left out."""
    sequence = qmc.Sobol(len(prior.lower), rng=np.random.default_rng(seed))
    # One by one: a number that is no power of two is otherwise a warning about balance, which a part cannot keep.
    points = np.concatenate([sequence.random(1) for _ in range(skip + count)])
    return prior.quantile(points[skip:])


def draws(prior: PriorDensity, count: int, seed: int, skip: int = 0) -> Float[np.ndarray, "start parameter"]:
    """Independent draws from the prior; the first `skip` are left out."""
    return prior.draw(np.random.default_rng(seed), skip + count)[skip:]


def draw_starts(
    prior: PriorDensity, sampling: str, count: int, seed: int, skip: int = 0
) -> Float[np.ndarray, "start parameter"]:
    """Starting points by the name of their design.

    Args:
        prior: Priors of the vector.
        sampling: "latin-hypercube", "sobol" or "prior".
        count: Number of points.
        seed: Seed.
        skip: Number of starts that a fit has already. The points of "sobol" and "prior" are those that follow, so that
            an extended fit has the same as one with all starts; "latin-hypercube" is a further hypercube.

    Raises:
        ProblemError: there is no such design.
    """
    designs = dict(zip(SAMPLINGS, (latin_hypercube, sobol, draws), strict=True))
    if sampling not in designs:
        raise ProblemError(f"the sampling is {sampling!r}", where="fit", fix=suggestion(str(sampling), SAMPLINGS))
    return designs[sampling](prior, count, seed, skip)


def strictly_inside(
    theta: Float[np.ndarray, "start parameter"],
    lower: Float[np.ndarray, " parameter"],
    upper: Float[np.ndarray, " parameter"],
) -> Float[np.ndarray, "start parameter"]:
    """The points, those on a bound moved a little inside."""
    margin = np.where(np.isfinite(upper - lower), MARGIN * (upper - lower), MARGIN)
    return np.clip(theta, lower + margin, upper - margin)


def given_starts(problem: Problem, objective: FitObjective, theta: np.ndarray) -> Float[np.ndarray, "start parameter"]:
    """Starting vectors of the user, as the objective takes them.

    Raises:
        ProblemError: they have another shape, are not finite, or lie outside the bounds.
    """
    theta = np.array(theta, dtype=float)
    if theta.ndim != 2 or theta.shape[1] != len(problem.names) or not len(theta):
        raise ProblemError(
            f"the starting vectors have shape {theta.shape}",
            where="fit",
            expected=f"[start, parameter] with {len(problem.names)} parameters, on the estimation scale",
        )
    chosen = theta[:, [problem.names.index(name) for name in objective.names]]
    outside = ~((chosen >= objective.lower) & (chosen <= objective.upper))
    if outside.any():
        start, entry = np.argwhere(outside)[0]
        raise ProblemError(
            f"{objective.names[entry]!r} of start {start} is {chosen[start, entry]:g}",
            where="fit",
            expected=f"between {objective.lower[entry]:g} and {objective.upper[entry]:g}, on the estimation scale",
        )
    return chosen
