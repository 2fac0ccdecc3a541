"""Designs by expected improvement: Gaussian processes learn goal and limits from what was tried, and say what to try.

Needs no derivatives, so shares of responders and times of peaks can be sought, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from twin.scenario.optimise.measures import Limit

AT_ONCE = 4
"""Designs tried together: lanes of one call."""
CANDIDATES = 2048
NUGGET = 1e-8
"""Variance of a measure's noise, in units of its own: next to none, because all designs have the same patients."""
NEGLIGIBLE = 1e-5
"""Expected improvement, in units of the spread of the goal, at which a search ends."""

type Points = Float[np.ndarray, "design factor"]
type Measured = Float[np.ndarray, "design measure"]


def improve(
    points: Points,
    measures: Measured,
    measured: Callable[[Points], Measured],
    sign: float,
    limits: Sequence[Limit],
    most: int,
    seed: int,
    told: Callable[[int], None],
) -> tuple[Points, Measured]:
    """Try designs where improvement is expected.

    Args:
        points: Points of the unit cube that were tried.
        measures: What came of them: goal, then limits.
        measured: Tries points.
        sign: 1 to minimise, -1 to maximise.
        limits: What has to be kept.
        most: Designs in all.
        seed: Of the candidates.
        told: Is told how many designs were tried.

    Returns:
        All points and measures.

    References:
        Jones et al. 1998, doi:10.1023/A:1008306431147 (expected improvement); Gardner et al. 2014, PMLR 32:937 (with
        unknown limits); Ginsbourger et al. 2010, doi:10.1007/978-3-642-10701-6_6 (several at once, each believed).
    """
    rng = np.random.default_rng(seed)
    while len(points) < most:
        usable = np.isfinite(measures).all(axis=1)
        if usable.sum() < 2:
            # Nothing to learn from yet: look elsewhere.
            chosen = rng.random((min(AT_ONCE, most - len(points)), points.shape[1]))
        else:
            surrogate = _Surrogate(points, measures, usable, sign, limits)
            chosen = surrogate.promising(min(AT_ONCE, most - len(points)), rng)
            if chosen is None:
                break
        points = np.concatenate([points, chosen])
        measures = np.concatenate([measures, measured(chosen)])
        told(len(points))
    return points, measures


class _Surrogate:
    """Gaussian processes of goal and limits."""

    def __init__(
        self, points: Points, measures: Measured, usable: np.ndarray, sign: float, limits: Sequence[Limit]
    ) -> None:
        self.points, self.values = points[usable], measures[usable] * np.array([sign] + [1.0] * len(limits))
        # Where integrations fail no design is wanted: the worst goal that was seen stands there.
        lost = points[~usable]
        worst = np.concatenate([[self.values[:, 0].max()], np.median(self.values[:, 1:], axis=0)])
        self.points = np.concatenate([self.points, lost])
        self.values = np.concatenate([self.values, np.tile(worst, (len(lost), 1))])
        self.limits = limits
        self.centre, spread = self.values.mean(axis=0), self.values.std(axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)
        self._fit()

    def _fit(self) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern

        factors = self.points.shape[1]
        self.processes = []
        for column in self._scaled().T:
            kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(np.full(factors, 0.3), (0.02, 10.0), nu=2.5)
            process = GaussianProcessRegressor(kernel, alpha=NUGGET, n_restarts_optimizer=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer
                self.processes.append(process.fit(self.points, column))

    def _scaled(self) -> np.ndarray:
        return (self.values - self.centre) / self.spread

    def _believe(self, point: np.ndarray) -> None:
        """Take the expected measures of a point as known, so that the next one is chosen elsewhere."""
        expected = np.array([process.predict(point[None])[0] for process in self.processes])
        self.points = np.concatenate([self.points, point[None]])
        self.values = np.concatenate([self.values, (expected * self.spread + self.centre)[None]])
        for process, column in zip(self.processes, self._scaled().T, strict=True):
            process.optimizer = None  # the lengths that were found stay
            process.kernel = process.kernel_
            process.fit(self.points, column)

    def promising(self, count: int, rng: np.random.Generator) -> Points | None:
        """Points where improvement is expected; None where it is nowhere."""
        found: list[np.ndarray] = []
        for index in range(count):
            candidates = self._candidates(rng)
            score = self._score(candidates)
            best = int(np.argmax(score))
            if index == 0 and not score[best] > NEGLIGIBLE:
                return None
            found.append(candidates[best])
            if index + 1 < count:
                self._believe(candidates[best])
        return np.stack(found)

    def _candidates(self, rng: np.random.Generator) -> Points:
        """Points all over the cube, and closer and closer to the best ones."""
        from scipy.stats import qmc

        factors = self.points.shape[1]
        wide = qmc.Sobol(factors, rng=rng).random(CANDIDATES)
        order = np.argsort(self.values[:, 0] + 1e9 * (self._violated(self.values) > 0))[:4]
        near = [
            self.points[place] + scale * rng.standard_normal((CANDIDATES // 16, factors))
            for place in order
            for scale in (0.1, 0.03, 0.01, 0.003)
        ]
        return np.clip(np.concatenate([wide, *near]), 0.0, 1.0)

    def _violated(self, values: Measured) -> np.ndarray:
        """By how much limits are passed, in units of their spread, the worst one."""
        worst = np.zeros(len(values))
        for row, limit in enumerate(self.limits, start=1):
            excess = np.array([0.0 if limit.keeps(x) else limit.excess(x) for x in values[:, row]])
            worst = np.maximum(worst, excess / self.spread[row])
        return worst

    def _score(self, candidates: Points) -> np.ndarray:
        """Expected improvement times the probability that limits are kept; as long as none keeps them, that alone."""
        from scipy.stats import norm

        kept = np.ones(len(candidates))
        for row, limit in enumerate(self.limits, start=1):
            middle, sd = self._predict(row, candidates)
            low, high = (
                None if bound is None else (bound - self.centre[row]) / self.spread[row]
                for bound in (limit.at_least, limit.at_most)
            )
            inside = 1.0 if high is None else norm.cdf((high - middle) / sd)
            kept *= inside - (0.0 if low is None else norm.cdf((low - middle) / sd))
        keeps = self._violated(self.values) == 0
        if not keeps.any():
            return kept
        best = (self.values[keeps, 0].min() - self.centre[0]) / self.spread[0]
        middle, sd = self._predict(0, candidates)
        z = (best - middle) / sd
        return kept * ((best - middle) * norm.cdf(z) + sd * norm.pdf(z))

    def _predict(self, row: int, candidates: Points) -> tuple[np.ndarray, np.ndarray]:
        middle, sd = self.processes[row].predict(candidates, return_std=True)
        return middle, np.maximum(sd, 1e-9)
