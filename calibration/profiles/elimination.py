"""What the expected Hessian says of a profile before it is walked: tangent and curvature with the others eliminated."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

SINGULAR = 1e-10
"""Directions whose scaled eigenvalue is smaller than this part of the largest are left alone."""


def along_entry(
    hessian: Float[np.ndarray, "parameter parameter"], index: int, free: Bool[np.ndarray, " parameter"]
) -> tuple[Float[np.ndarray, " parameter"], float]:
    """Tangent and curvature of a parameter's profile.

    With the others following at their optimum, d theta_f = -H_ff^-1 H_fi d theta_i, and the curvature is the Schur
    complement H_ii - H_if H_ff^-1 H_fi.

    Args:
        hessian: Expected Hessian of the objective.
        index: The profiled entry.
        free: Entries that may follow.
    """
    tangent = np.zeros(len(hessian))
    tangent[index] = 1.0
    if not np.isfinite(hessian).all():  # where the integration failed
        return tangent, 0.0
    others = np.flatnonzero(free & (np.arange(len(hessian)) != index))
    if len(others):
        tangent[others] = -_solve(hessian[np.ix_(others, others)], hessian[others, index])
    return tangent, max(float(tangent @ hessian @ tangent), 0.0)


def along_prediction(
    hessian: Float[np.ndarray, "parameter parameter"],
    gradient: Float[np.ndarray, " parameter"],
    free: Bool[np.ndarray, " parameter"],
) -> tuple[Float[np.ndarray, " parameter"], float]:
    """Tangent and curvature of the profile of a prediction with the given gradient.

    Among the steps that move the prediction by 1 the cheapest is H^-1 z' / (z'^T H^-1 z').
    """
    tangent = np.zeros(len(hessian))
    rows = np.flatnonzero(free)
    known = np.isfinite(hessian).all() and np.isfinite(gradient).all()
    if not known or not len(rows) or not np.any(gradient[rows]):
        return tangent, np.inf
    direction = _solve(hessian[np.ix_(rows, rows)], gradient[rows])
    moved = float(gradient[rows] @ direction)
    if moved <= 0.0:
        return tangent, np.inf
    tangent[rows] = direction / moved
    return tangent, 1.0 / moved


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Least-norm solution in the scaling that makes the diagonal one."""
    diagonal = np.diag(matrix)
    # Entries that nothing depends on (all of them, where the integration failed) stay where they are.
    felt = diagonal > 1e-14 * max(float(diagonal.max()), 1e-200)
    if not felt.any():
        return np.zeros(len(right))
    scale = np.where(felt, 1.0 / np.sqrt(np.where(felt, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(matrix * np.outer(scale, scale))
    kept = values > SINGULAR * values.max()
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    return scale * (vectors @ (inverse * (vectors.T @ (scale * right))))
