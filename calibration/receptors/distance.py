"""A distance of receptors after TCRdist: substitutions weighed by BLOSUM62, gaps in the middle, CDR3 trimmed.

    d = w sum_i s(a_i, b_i) + w g |difference of lengths| (+ v if the V genes are of different families)

with s(a, a) = 0, s(a, b) = min(4, 4 - BLOSUM62(a, b)), w = 3, g = 8 (Dash et al. 2017, doi:10.1038/nature22383,
Methods). Departure from the paper: it compares the loops CDR1, CDR2 and CDR2.5 of the V genes by the same sum, for
which one needs their sequences; here V genes count by a constant, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from calibration.receptors.alphabet import BLOSUM62, encode

WEIGHT, GAP, DIFFERENT_V = 3.0, 8.0, 20.0
DROP_FIRST, DROP_LAST = 3, 2
SUBSTITUTION = np.minimum(4.0, 4.0 - BLOSUM62) * (1 - np.eye(20))


def cdr3_distances(one: Sequence[str], two: Sequence[str]) -> Float[np.ndarray, "one two"]:
    """Distances of all pairs; the shorter of two loops has its gap in the middle."""
    first, second = ([encode(text[DROP_FIRST : len(text) - DROP_LAST]) for text in side] for side in (one, two))
    result = np.empty((len(first), len(second)))
    for length, rows in _by_length(first).items():
        a = np.stack([first[i] for i in rows])
        for other, columns in _by_length(second).items():
            b = np.stack([second[i] for i in columns])
            common = min(length, other)
            left = (common + 1) // 2
            total = np.full((len(rows), len(columns)), GAP * abs(length - other))
            for i in range(common):
                at, bt = (i, i) if i < left else (length - common + i, other - common + i)
                total += SUBSTITUTION[a[:, at][:, None], b[:, bt][None, :]]
            result[np.ix_(rows, columns)] = WEIGHT * total
    return result


def with_v(
    distances: Float[np.ndarray, "one two"], one: Sequence[str], two: Sequence[str]
) -> Float[np.ndarray, "one two"]:
    """Distances with a constant added where V families differ."""
    first, second = (np.array([name.split("-")[0] for name in side]) for side in (one, two))
    return distances + DIFFERENT_V * (first[:, None] != second[None, :])


def _by_length(encoded: list[np.ndarray]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for index, each in enumerate(encoded):
        groups.setdefault(len(each), []).append(index)
    return groups
