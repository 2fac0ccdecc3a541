"""A Fisher scoring step that stays short along directions which the data hardly see."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

LONGEST = 0.05
"""A step is cut at this share of the width of the bounds, along each principal direction."""


def scoring_step(
    information: Float[np.ndarray, "entry entry"],
    gradient: Float[np.ndarray, " entry"],
    width: Float[np.ndarray, " entry"],
) -> Float[np.ndarray, " entry"]:
    """The step that the expected Hessian asks for, cut along each of its principal directions.

    Two entries of which the data see little more than the sum have a long direction, their difference. Cut entry by
    entry, the step would lose what it says of the sum.

    Args:
        information: Expected Hessian of the negative log-likelihood.
        gradient: Its gradient.
        width: Width of the bounds; principal directions are those of entries in these units.
    """
    values, directions = np.linalg.eigh(information * np.outer(width, width))
    slopes = directions.T @ (width * gradient)
    # A curvature that would lead further than LONGEST counts as one that leads just so far.
    curvature = np.maximum.reduce([values, np.abs(slopes) / LONGEST, np.full(len(values), np.finfo(float).tiny)])
    return -width * (directions @ (slopes / curvature))
