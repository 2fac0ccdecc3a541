"""What the Fisher information lacks of the Hessian, learnt from the gradients along the way.

The expected Hessian F leaves out the second derivatives of the predictions, times the residuals. Along a curved valley
these decide, and steps without them crawl. A matrix S takes their place in H = F + S. It follows from the secant
equation S s = y - F s, y the difference of the gradients over a step s; of all matrices that meet it, that one is taken
that changes least in the norm of a matrix which maps s to y. S is shrunk first where it promises more than was seen.

References:
    Dennis, Gay & Welsch, ACM Trans. Math. Softw. 7:348-368 (1981), doi:10.1145/355958.355965 (NL2SOL), equations 3.1 to
    3.3 (update and sizing) and section 4 (the choice between the two models).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

FLATTEST = 1e-6
"""A step along which the gradient changes by less than this cosine determines no update."""

PREFERENCE = 1.5
"""The other model is taken when it predicted the last change better by this factor (NL2SOL's)."""

type Vectors = Float[np.ndarray, "start parameter"]
type Matrices = Float[np.ndarray, "start parameter parameter"]


def updated(second: Matrices, step: Vectors, change: Vectors, fisher: Matrices) -> Matrices:
    """S after a step; unchanged for starts whose step says nothing.

    Args:
        second: S before.
        step: s.
        change: y, the gradient's change over the step.
        fisher: F at the end of the step.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        wanted = change - np.einsum("spq,sq->sp", fisher, step)
        has = np.einsum("spq,sq->sp", second, step)
        seen, promised = np.einsum("sp,sp->s", step, wanted), np.einsum("sp,sp->s", step, has)
        size = np.where(promised != 0, np.minimum(np.abs(seen / promised), 1.0), 1.0)
        shrunk = size[:, None, None] * second
        missing = wanted - size[:, None] * has
        along = np.einsum("sp,sp->s", step, change)
        cross = missing[:, :, None] * change[:, None, :]
        square = change[:, :, None] * change[:, None, :] / along[:, None, None] ** 2
        update = (cross + np.swapaxes(cross, 1, 2)) / along[:, None, None]
        update -= np.einsum("sp,sp->s", missing, step)[:, None, None] * square
        told = along > FLATTEST * np.linalg.norm(step, axis=1) * np.linalg.norm(change, axis=1)
    told &= np.isfinite(update).all(axis=(1, 2))
    return np.where(told[:, None, None], shrunk + np.where(told[:, None, None], update, 0.0), second)


def chosen(
    uses: Bool[np.ndarray, " start"],
    gain: Float[np.ndarray, " start"],
    by_fisher: Float[np.ndarray, " start"],
    by_both: Float[np.ndarray, " start"],
) -> Bool[np.ndarray, " start"]:
    """Which starts use S in their next step.

    Args:
        uses: Which used it in the last one.
        gain: By how much the objective fell; not finite where the integration failed, which changes nothing.
        by_fisher: What the model with F alone predicted for that step.
        by_both: What the model with F + S predicted.
    """
    with np.errstate(invalid="ignore"):
        wrong, wrong_both = np.abs(gain - by_fisher), np.abs(gain - by_both)
        keeps = ~(PREFERENCE * wrong < wrong_both)
        takes = PREFERENCE * wrong_both < wrong
    return np.where(np.isfinite(gain), np.where(uses, keeps, takes), uses)
