"""Second-order corrections of steps: they follow valleys that bend instead of bouncing off their walls.

A Gauss-Newton step takes predictions f for linear. Along a step d they bend by f'' = d^T (d2f) d, which one look at a
point ahead tells,

    f'' = 2/h ((f(theta + h d) - f(theta)) / h - J d),

and the readings pull back against that by J^T W f''/2, W their information. The corrected step is that of the gradient
g + J^T W f''/2 in the same region. Predictions are those on the scale on which noise is additive.

References:
    Transtrum & Sethna, "Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares minimization",
    arXiv:1201.5885 (2012): geodesic acceleration, its finite difference, and the bound on the correction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float

from calibration.optimise.objective import Look

AHEAD = 0.1
"""Share of a step after which predictions are looked at."""

LARGEST_CORRECTION = 0.375
"""A correction longer than this share of the step is none: the expansion does not reach so far."""

type Vectors = Float[np.ndarray, "start parameter"]


class Linearised(Protocol):
    """Where the starts are, and predictions there; fields as in `Evaluation`."""

    theta: Vectors
    additive: Float[np.ndarray, "start reading"]
    information: Float[np.ndarray, "start reading"]
    slopes: Float[np.ndarray, "start reading parameter"]


def pull_of_the_bend(
    look: Callable[[Vectors, np.ndarray], Look], at: Linearised, moved: Vectors, wanted: Bool[np.ndarray, " start"]
) -> Vectors:
    """What the bend of the predictions adds to the gradient over whole steps; zero where it is not known.

    Args:
        look: The objective at vectors of some starts.
        at: Where the starts are.
        moved: Their steps, all of which stay inside the bounds.
        wanted: Starts for which it is asked.
    """
    pull = np.zeros_like(moved)
    index = np.flatnonzero(wanted)
    if not len(index) or not at.additive.shape[1]:
        return pull
    ahead = look(at.theta[index] + AHEAD * moved[index], index).additive
    with np.errstate(invalid="ignore", over="ignore"):
        straight = np.einsum("srp,sp->sr", at.slopes[index], moved[index])
        bend = 2.0 / AHEAD * ((ahead - at.additive[index]) / AHEAD - straight)
        found = 0.5 * np.einsum("srp,sr->sp", at.slopes[index], at.information[index] * bend)
    pull[index] = np.where(np.isfinite(found).all(axis=1, keepdims=True), found, 0.0)
    return pull


def is_small(straight: Vectors, corrected: Vectors) -> Bool[np.ndarray, " start"]:
    """Whether corrected steps are near enough to the straight ones to be believed."""
    change = np.linalg.norm(corrected - straight, axis=1)
    return change <= LARGEST_CORRECTION * np.linalg.norm(straight, axis=1)
