"""Eigenvalues, numerical rank, directions without information and Cramér-Rao bounds of a matrix given by its rows.

Whether a direction counts as one without information must not depend on units, so rank and null directions come from
the rows with every column divided by its norm (the collinearity analysis of [1]): a direction is without information
if its singular value is below a stated share of the largest one. Columns of parameters that nothing depends on, whose
norm is rounding error, are set aside first. The eigenvalues are those of the matrix itself.

References:
    [1] Brun, R., Reichert, P. & Künsch, H. R. (2001). Practical identifiability analysis of large environmental
        simulation models. Water Resources Research 37, 1015-1030, eq. 4. doi:10.1029/2000WR900350
    [2] Rothenberg, T. J. (1971). Identification in parametric models. Econometrica 39, 577-591, theorem 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

TOUCHED = 1e-3
"""A parameter is undetermined if its unit vector has a part of more than this in the directions without information
(columns of norm one): there the bound on its variance is infinite. Smaller parts are those of inexact derivatives."""


@dataclass(frozen=True)
class Spectrum:
    """What the rows say of all directions.

    Args:
        eigenvalues: Of the product of the rows with themselves, largest first.
        eigenvectors: One per row, of unit length, the entry of largest size positive.
        rank: How many directions have information.
        null: A basis of the directions without information, each of unit length and with as few entries as possible.
        undetermined: Parameters that take part in such a direction.
        covariance: Inverse of the information; where that does not exist, infinite variances of undetermined
            parameters, NaN as their covariances, and the rest given the directions that have information.
        tolerance: Share of the largest singular value below which a direction has no information.
    """

    eigenvalues: Float[np.ndarray, " direction"]
    eigenvectors: Float[np.ndarray, "direction parameter"]
    rank: int
    null: Float[np.ndarray, "combination parameter"]
    undetermined: Bool[np.ndarray, " parameter"]
    covariance: Float[np.ndarray, "parameter parameter"]
    tolerance: float


def spectrum(
    rows: Float[np.ndarray, "row parameter"], width: Float[np.ndarray, " parameter"], tolerance: float
) -> Spectrum:
    """Analyse the information ``rows.T @ rows``.

    Args:
        rows: The rows.
        width: How far each parameter can go (the width of its bounds): a parameter has no influence if going all that
            way would move the readings by less than `tolerance` standard errors.
        tolerance: Share of the largest singular value below which a direction has no information.
    """
    count = rows.shape[1]
    # Fewer rows than parameters leave directions that the decomposition would not list.
    padded = np.concatenate([rows, np.zeros((max(count - len(rows), 0), count))])
    _, singular, vectors = np.linalg.svd(padded, full_matrices=False)
    norm = np.linalg.norm(padded, axis=0)
    active = norm * width > tolerance
    null, touched = np.eye(count)[~active], ~active
    covariance = np.full((count, count), np.nan)
    rank = 0
    if active.any():
        _, size, basis = np.linalg.svd(padded[:, active] / norm[active], full_matrices=False)
        rank = int(np.sum(size > tolerance * size[0]))
        silent = basis[rank:]
        part = np.zeros((len(silent), count))
        part[:, active] = _few_entries(silent) / norm[active]
        null = np.concatenate([null, part / np.linalg.norm(part, axis=1, keepdims=True)])
        touched[active] = np.linalg.norm(silent, axis=0) > TOUCHED
        scaled = basis[:rank].T / size[:rank]
        covariance[np.ix_(active, active)] = scaled @ scaled.T / np.outer(norm[active], norm[active])
    covariance[touched] = covariance[:, touched] = np.nan
    np.fill_diagonal(covariance, np.where(touched, np.inf, np.diag(covariance)))
    return Spectrum(singular**2, _signed(vectors), rank, _signed(null), touched, covariance, tolerance)


def _few_entries(basis: Float[np.ndarray, "combination parameter"]) -> Float[np.ndarray, "combination parameter"]:
    """Another basis of the same space with many zeros: reduced echelon form, pivots by size.

    The decomposition gives some basis of the directions without information; two products k1*k2 and k3*k4 would come
    out as mixtures of all four names.
    """
    reduced = basis.copy()
    for step in range(len(reduced)):
        row, column = np.unravel_index(np.argmax(np.abs(reduced[step:])), reduced[step:].shape)
        reduced[[step, step + row]] = reduced[[step + row, step]]
        reduced[step] /= reduced[step, column]
        others = np.arange(len(reduced)) != step
        reduced[others] -= np.outer(reduced[others, column], reduced[step])
    return np.where(np.abs(reduced) < TOUCHED, 0.0, reduced)


def _signed(vectors: Float[np.ndarray, "direction parameter"]) -> Float[np.ndarray, "direction parameter"]:
    """The same directions, the entry of largest size positive (a sign that does not hang on rounding)."""
    if not len(vectors):
        return vectors
    # Of entries that are equal but for rounding, the first.
    largest = np.argmax(np.round(np.abs(vectors), 6), axis=1)
    return vectors * np.where(np.take_along_axis(vectors, largest[:, None], axis=1) < 0, -1.0, 1.0)
