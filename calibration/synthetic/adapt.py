"""Domain adaptation: synthetic examples moved or weighted towards real ones by features alone.

References:
    Weights: Bickel, Brueckner & Scheffer, J Mach Learn Res 10:2137 (2009): odds of a classifier that tells the domains
        apart.
    CORAL: Sun, Feng & Saenko, AAAI (2016), arXiv:1511.05547, algorithm 1; here with the means aligned, too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.linalg import sqrtm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

type Features = Float[np.ndarray, "subject feature"]
type Adapted = tuple[Features, Float[np.ndarray, " subject"] | None]

LARGEST_WEIGHT = 20.0
"""Weights are cut here, so that one synthetic subject cannot stand for all."""
SHRINK = 1.0
"""Added to the diagonal of covariances of standardised features: with a dozen subjects they are near singular."""


def importance_weights(synthetic: Features, real: Features) -> Adapted:
    """Weights p(real | x) / p(synthetic | x), by logistic regression."""
    x = np.concatenate([synthetic, real])
    label = np.repeat([0, 1], [len(synthetic), len(real)])
    telling = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000))
    chance = telling.fit(x, label).predict_proba(synthetic)[:, 1]
    return synthetic, np.minimum(chance / np.maximum(1 - chance, 1e-12), LARGEST_WEIGHT)


def coral(synthetic: Features, real: Features) -> Adapted:
    """Synthetic features with the mean and the (shrunken) covariance of the real ones."""
    spread = synthetic.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    s, r = synthetic / spread, real / spread
    eye = SHRINK * np.eye(s.shape[1])
    of_s, of_r = np.atleast_2d(np.cov(s.T)) + eye, np.atleast_2d(np.cov(r.T)) + eye
    turn = np.linalg.solve(np.real(sqrtm(of_s)), np.real(sqrtm(of_r)))
    return ((s - s.mean(axis=0)) @ turn + r.mean(axis=0)) * spread, None


ADAPTATIONS: dict[str, Callable[[Features, Features], Adapted]] = {
    "weights": importance_weights,
    "coral": coral,
}
