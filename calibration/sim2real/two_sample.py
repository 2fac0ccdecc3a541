"""Two-sample tests with permutation p-values: do two sets of vectors come from one law?

A test is a function of vectors x [n, feature], y [m, feature] and a generator. The p-value is (1 + e) / (1 + B) with e
of B permutations of the labels at or above the statistic seen, so the level is kept exactly under exchangeability
(Phipson & Smyth 2010, doi:10.2202/1544-6115.1585).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, wasserstein_distance
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

PERMUTATIONS = 199
FEW_PERMUTATIONS = 59
"""For sliced Wasserstein, whose permutations cannot share work: the least p-value is 1/60."""
PROJECTIONS = 10
X = Float[np.ndarray, "n feature"]
Y = Float[np.ndarray, "m feature"]


class TwoSample(NamedTuple):
    """A statistic and its permutation p-value."""

    statistic: float
    p_value: float


TwoSampleTest = Callable[[X, Y, np.random.Generator], TwoSample]


def mmd(x: X, y: Y, rng: np.random.Generator) -> TwoSample:
    """Squared maximum mean discrepancy (biased), Gaussian kernel with the median distance as length.

    References:
        Gretton et al. 2012, Journal of Machine Learning Research 13, equation 5.
    """
    pooled = np.concatenate([x, y])
    length = float(np.median(pdist(pooled)))
    kernel = rbf_kernel(pooled, gamma=1.0 / (2.0 * length**2) if length > 0 else 1.0)
    labels = _labels(len(x), len(y), PERMUTATIONS, rng)
    weight = np.where(labels, 1.0 / len(x), -1.0 / len(y))
    return _judge(np.einsum("bi,bi->b", weight @ kernel, weight))


def c2st(x: X, y: Y, rng: np.random.Generator) -> TwoSample:
    """Classifier test: area under the curve of nearest-neighbour votes, each vector left out of its own vote.

    Half is no better than guessing; unequal sample sizes do not matter to it.

    References:
        Lopez-Paz & Oquab 2017, Revisiting Classifier Two-Sample Tests, section 3 (their nearest-neighbour classifier).
    """
    pooled = np.concatenate([x, y])
    votes = max(1, round(len(pooled) ** 0.5))
    near = NearestNeighbors(n_neighbors=votes).fit(pooled).kneighbors(return_distance=False)
    labels = _labels(len(x), len(y), PERMUTATIONS, rng)
    ranks = rankdata(labels[:, near].mean(axis=-1), axis=1)
    above = np.sum(ranks * labels, axis=1) - len(x) * (len(x) + 1) / 2
    return _judge(above / (len(x) * len(y)))


def sliced_wasserstein(x: X, y: Y, rng: np.random.Generator) -> TwoSample:
    """Mean over random directions of the 1-Wasserstein distance of the projected vectors.

    References:
        Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3.
    """
    pooled = np.concatenate([x, y])
    directions = rng.standard_normal((pooled.shape[1], PROJECTIONS))
    projected = (pooled @ (directions / np.linalg.norm(directions, axis=0))).T
    labels = _labels(len(x), len(y), FEW_PERMUTATIONS, rng)
    return _judge(np.array([np.mean([wasserstein_distance(p[b], p[~b]) for p in projected]) for b in labels]))


TESTS: Mapping[str, tuple[str, TwoSampleTest]] = MappingProxyType(
    {
        "mmd": ("MMD", mmd),
        "c2st": ("classifier two-sample test", c2st),
        "sliced_wasserstein": ("sliced Wasserstein", sliced_wasserstein),
    }
)


def _labels(n: int, m: int, permutations: int, rng: np.random.Generator) -> Bool[np.ndarray, "permutation row"]:
    """Which rows count as x: first the true labels, then permutations of them."""
    true = np.arange(n + m) < n
    return np.concatenate([true[None], rng.permuted(np.tile(true, (permutations, 1)), axis=1)])


def _judge(values: Float[np.ndarray, " permutation"]) -> TwoSample:
    """Judge the first of the values among all of them; rounding must not break ties."""
    seen = values[0]
    at_least = values >= seen - 1e-12 * max(1.0, abs(seen))
    return TwoSample(float(seen), float(np.mean(at_least)))
