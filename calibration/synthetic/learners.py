"""The candidate learners: scikit-learn regressors on standardised features and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import HuberRegressor, Lasso, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

type Predict = Callable[[Float[np.ndarray, "subject feature"]], Float[np.ndarray, " subject"]]


class _FewNeighbours(KNeighborsRegressor):
    """Nearest neighbours that make do with as many examples as there are."""

    def kneighbors(self, X=None, n_neighbors=None, return_distance=True):
        there = self.n_samples_fit_
        return super().kneighbors(X, min(n_neighbors or self.n_neighbors, there), return_distance)


LEARNERS: dict[str, Callable[[], Any]] = {
    "mean": DummyRegressor,
    "ridge": lambda: Ridge(alpha=1.0),
    "lasso": lambda: Lasso(alpha=0.05),
    "huber": lambda: HuberRegressor(alpha=0.1, max_iter=1000),
    "nearest neighbours": lambda: _FewNeighbours(n_neighbors=5),
    "support vectors": lambda: SVR(C=1.0),
    "kernel ridge": lambda: KernelRidge(alpha=1.0, kernel="rbf", gamma=0.1),
    "tree": lambda: DecisionTreeRegressor(min_samples_leaf=2, random_state=0),
    "random forest": lambda: RandomForestRegressor(60, min_samples_leaf=2, random_state=0),
    "extra trees": lambda: ExtraTreesRegressor(60, min_samples_leaf=2, random_state=0),
    "gradient boosting": lambda: GradientBoostingRegressor(n_estimators=60, max_depth=2, random_state=0),
    "gaussian process": lambda: GaussianProcessRegressor(
        RBF(3.0, (0.3, 1e3)) + WhiteKernel(0.1, (1e-3, 1e1)), random_state=0
    ),
}
"""Settings are fixed beforehand and the same for synthetic and real subjects; nothing is tuned on test subjects."""


def train(
    name: str,
    x: Float[np.ndarray, "subject feature"],
    y: Float[np.ndarray, " subject"],
    weight: Float[np.ndarray, " subject"] | None = None,
    seed: int = 0,
) -> Predict:
    """Train a learner; weights resample the examples, so that every learner can have them.

    Args:
        name: A key of `LEARNERS`.
        x: Features.
        y: Targets.
        weight: Relative weights of the examples.
        seed: Seed of the resampling.
    """
    if weight is not None:
        index = np.random.default_rng(seed).choice(len(y), size=len(y), p=weight / weight.sum())
        x, y = x[index], y[index]
    if len(y) < 2 or np.ptp(y) == 0.0:
        level = float(np.mean(y))
        return lambda given: np.full(len(given), level)
    learner = TransformedTargetRegressor(
        regressor=make_pipeline(StandardScaler(), LEARNERS[name]()), transformer=StandardScaler()
    )
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A length scale at its bound is an answer: the feature does not matter, or two examples do not tell.
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(x, y)
    return learner.predict
