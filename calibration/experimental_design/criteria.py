"""Criteria of information and what each purchase would add to them, averaged over vectors.

With the information M, its inverse C, and what is of interest as rows K (unit vectors of parameters, derivatives of
predictions), S = K C K' is the covariance bound of that. The criteria are Kiefer's [1], as logarithms to be maximised:

    D  -log det(S) / k        A  -log(trace(S) / k)        E  -log(largest eigenvalue of S)

All are concave in M (each is the logarithm of a positive concave function), and so are their means over vectors: for D
that is Bayesian D-optimality [2]. exp(difference) is an efficiency: the share of the readings with which the better of
two designs would do as well, and half the difference is the logarithm of a ratio of standard errors.

References:
    [1] Pukelsheim, F. (2006). Optimal Design of Experiments. SIAM, chapters 3, 6 and 7.
    [2] Chaloner, K. & Verdinelli, I. (1995). Bayesian experimental design: a review. Statistical Science 10, 273-304.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

type Letter = Literal["D", "A", "E"]

LETTERS = ("D", "A", "E")


def covariance_of(
    information: Float[np.ndarray, "draw parameter parameter"], interest: Float[np.ndarray, "draw k parameter"]
) -> Float[np.ndarray, "draw k k"]:
    """S = K M^-1 K'."""
    return interest @ np.linalg.solve(information, np.swapaxes(interest, 1, 2))


def value_of(covariance: Float[np.ndarray, "*item draw k k"], letter: Letter) -> Float[np.ndarray, "*item"]:
    """The criterion, mean over draws."""
    size = covariance.shape[-1]
    if letter == "D":
        each = -np.linalg.slogdet(covariance)[1] / size
    elif letter == "A":
        each = -np.log(np.trace(covariance, axis1=-2, axis2=-1) / size)
    else:
        each = -np.log(np.linalg.eigvalsh(covariance)[..., -1])
    return each.mean(axis=-1)


class Information:
    """Designs of some purchases and their criterion, as the search wants them.

    Everything is in coordinates of each draw in which all candidates together have the information 1, so that neither
    units nor sloppy directions matter for the arithmetic.

    Args:
        known: Information there is without any purchase.
        rows: Rows of each purchase; zeros where one has fewer.
        interest: Rows K.
        letter: The criterion.
        most: How often each purchase can be made.
    """

    RIDGE = 1e-9
    """Information assumed in every direction during the search, as a share of that of all candidates, where nothing is
    known beforehand: a first reading cannot determine everything."""

    def __init__(
        self,
        known: Float[np.ndarray, "draw parameter parameter"],
        rows: Float[np.ndarray, "draw item row parameter"],
        interest: Float[np.ndarray, "draw k parameter"],
        letter: Letter,
        most: int,
    ) -> None:
        flat = rows.reshape(len(rows), -1, rows.shape[-1])
        everything = known + most * np.swapaxes(flat, 1, 2) @ flat
        factor = np.linalg.cholesky(everything)
        back = np.swapaxes(np.linalg.inv(factor), 1, 2)
        self.letter, self.most, self.count = letter, most, rows.shape[1]
        self.rows, self.interest = rows @ back[:, None], interest @ back
        self.known = np.swapaxes(back, 1, 2) @ known @ back
        least = np.linalg.eigvalsh(self.known)[:, 0].min()
        self.ridge = self.RIDGE if least < self.RIDGE else 0.0
        self._floor = self.known + self.ridge * np.eye(self.known.shape[-1])

    def information(self, counts: Float[np.ndarray, " item"]) -> Float[np.ndarray, "draw parameter parameter"]:
        """Information of a design with counts, or weights, of the purchases."""
        used = np.flatnonzero(counts)
        weighted = self.rows[:, used] * np.sqrt(counts[used])[:, None, None]
        flat = weighted.reshape(len(weighted), -1, weighted.shape[-1])
        return self._floor + np.swapaxes(flat, 1, 2) @ flat

    def value(self, counts: Float[np.ndarray, " item"]) -> float:
        """The criterion of a design."""
        return float(value_of(covariance_of(self.information(counts), self.interest), self.letter))

    def values_with(self, counts: Float[np.ndarray, " item"], items: np.ndarray) -> Float[np.ndarray, " candidate"]:
        """The criterion of a design with one of `items` more: updates of low rank instead of new inverses."""
        inverse = np.linalg.inv(self.information(counts))
        rows = self.rows[:, items]
        moved = rows @ inverse[:, None]  # [draw, item, row, parameter]
        inner = np.eye(rows.shape[2]) + moved @ np.swapaxes(rows, 2, 3)
        across = moved @ np.swapaxes(self.interest, 1, 2)[:, None]  # [draw, item, row, k]
        now = self.interest @ inverse @ np.swapaxes(self.interest, 1, 2)
        size = now.shape[-1]
        if self.letter == "D":
            # det(S - U V^-1 U') = det(S) det(V - U' S^-1 U) / det(V)
            left = inner - across @ np.linalg.solve(now[:, None], np.swapaxes(across, 2, 3))
            each = np.linalg.slogdet(now)[1][:, None] + np.linalg.slogdet(left)[1] - np.linalg.slogdet(inner)[1]
            return np.mean(-each / size, axis=0)
        if self.letter == "A":
            lost = np.sum(across * np.linalg.solve(inner, across), axis=(2, 3))
            return np.mean(-np.log((np.trace(now, axis1=1, axis2=2)[:, None] - lost) / size), axis=0)
        left = now[:, None] - np.swapaxes(across, 2, 3) @ np.linalg.solve(inner, across)
        return np.mean(-np.log(np.linalg.eigvalsh(left)[..., -1]), axis=0)

    def smooth(self, counts: Float[np.ndarray, " item"], power: float) -> tuple[float, Float[np.ndarray, " item"]]:
        """Kiefer's criterion of a power (0 is D, 1 is A, towards infinity E) and its derivative in each count.

        -log((trace(S^p) / k)^(1/p)), whose derivative in M is K C with S^(p-1) / trace(S^p) between.
        """
        inverse = np.linalg.inv(self.information(counts))
        half = self.interest @ inverse
        values, vectors = np.linalg.eigh(half @ np.swapaxes(self.interest, 1, 2))
        size = values.shape[1]
        relative = values / values[:, -1:]
        if power == 0:
            each = -np.log(values).mean(axis=1)
            weights = 1.0 / (size * values)
        else:
            total = np.sum(relative**power, axis=1, keepdims=True)
            each = -np.log(values[:, -1]) - np.log(total[:, 0] / size) / power
            weights = relative**power / total / values
        root = np.sqrt(weights)[..., None] * np.swapaxes(vectors, 1, 2) @ half  # [draw, k, parameter]
        slope = np.sum((self.rows @ np.swapaxes(root, 1, 2)[:, None]) ** 2, axis=(2, 3))
        return float(each.mean()), slope.mean(axis=0)
