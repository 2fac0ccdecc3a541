"""Trust-region steps that end on bounds, of all starts at once: exact where the optimum lies on one.

With g the gradient and H the curvature, a step s minimises m(s) = g^T s + s^T H s / 2 over |s| <= radius. One that
would leave the bounds goes as far as the first one; the entry that meets it stays there, and the rest of the step is
the solution of the subproblem for the other entries from that point, in what is left of the ball. So the step is a path
of straight pieces, each of which lowers m, and the bounds can be reached exactly. Entries on a bound whose gradient
points outwards stay; the others are free again.

References:
    Conn, Gould & Toint, Trust-Region Methods, SIAM (2000), section 12.2 (active sets that change within a step).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from calibration.optimise.ball import in_ball

NEARLY_ALL = 0.95
"""A path that has come this far in the ball ends: what is left of it is not worth another subproblem."""


class Steps(NamedTuple):
    """Steps of many starts.

    Args:
        trial: Where they lead, inside the bounds.
        moved: The steps.
        length: Their lengths in the coordinates of the trust region.
        free: Whether the radius had no say in them.
    """

    trial: Float[np.ndarray, "start parameter"]
    moved: Float[np.ndarray, "start parameter"]
    length: Float[np.ndarray, " start"]
    free: Bool[np.ndarray, " start"]


def steps_along_bounds(
    theta: Float[np.ndarray, "start parameter"],
    gradient: Float[np.ndarray, "start parameter"],
    curvature: Float[np.ndarray, "start parameter parameter"],
    radius: Float[np.ndarray, " start"],
    lower: Float[np.ndarray, " parameter"],
    upper: Float[np.ndarray, " parameter"],
) -> Steps:
    """The step of every start.

    Args:
        theta: Where they are, inside the bounds.
        gradient: Gradients there.
        curvature: Hessians or their approximations, symmetric.
        radius: Radii of the trust regions, in the units of theta.
        lower: Lower bounds, or minus infinity.
        upper: Upper bounds, or infinity.
    """
    free = ~(((theta <= lower) & (gradient > 0)) | ((theta >= upper) & (gradient < 0)))
    moved, unbound = np.zeros_like(theta), np.ones(len(theta), dtype=bool)
    todo = np.arange(len(theta))
    # Every piece fixes at least one entry.
    for _ in range(theta.shape[1] + 1):
        open_, before, bend = free[todo], moved[todo], curvature[todo]
        matrix = np.where(open_[:, :, None] & open_[:, None, :], bend, 0.0)
        np.einsum("spp->sp", matrix)[...] += np.where(open_, 0.0, 1.0)
        slope = np.where(open_, gradient[todo] + np.einsum("spq,sq->sp", bend, before), 0.0)
        left = np.sqrt(np.maximum(radius[todo] ** 2 - np.sum(before**2, axis=1), 0.0))
        piece, inside = in_ball(slope, matrix, np.maximum(left, np.finfo(float).tiny))
        piece = np.where(open_, piece, 0.0)
        at = theta[todo] + before
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            room = np.where(piece > 0, (upper - at) / piece, np.where(piece < 0, (lower - at) / piece, np.inf))
        share = np.minimum(room.min(axis=1), 1.0)
        meets = room <= share[:, None]
        bound = np.where(piece > 0, upper, lower) - theta[todo]
        moved[todo] = np.where(meets, bound, before + share[:, None] * piece)
        free[todo] &= ~meets
        unbound[todo] &= inside
        more = meets.any(axis=1) & free[todo].any(axis=1)
        todo = todo[more & (np.linalg.norm(moved[todo], axis=1) < NEARLY_ALL * radius[todo])]
        if not len(todo):
            break
    trial = np.clip(theta + moved, lower, upper)
    return Steps(trial, trial - theta, np.linalg.norm(trial - theta, axis=1), unbound)


def promised(
    moved: Float[np.ndarray, "start parameter"],
    gradient: Float[np.ndarray, "start parameter"],
    curvature: Float[np.ndarray, "start parameter parameter"],
) -> Float[np.ndarray, " start"]:
    """The decrease that the quadratic model has for each step."""
    return -np.einsum("sp,sp->s", gradient, moved) - 0.5 * np.einsum("sp,spq,sq->s", moved, curvature, moved)
