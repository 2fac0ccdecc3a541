"""Expected information gain of readings by nested Monte Carlo, one set of draws serving on both levels.

    EIG = E[log p(y | theta) - log p(y)],    p(y) = E[p(y | theta')],

is estimated from N draws theta_n, each with readings y_n simulated from it, and the matrix of log-likelihoods
T[n, m] = log p(y_n | theta_m):

    lower   mean_n (T[n, n] - log mean_{m} exp T[n, m]),           n itself among the m: expectation at most EIG [2]
    upper   mean_n (T[n, n] - log mean_{m != n} exp T[n, m]),      without it: expectation at least EIG [1]

The first cannot exceed log N, the second has a bias of order 1 / N and a heavy tail; between them lies the truth, but
for the Monte-Carlo error. Predictions of all draws for all candidates are one batched solve, and the matrices of single
readings add up to those of designs, since readings are independent given theta.

The standard error counts that the draws serve twice: the estimate is a functional of their empirical distribution, and
its influence function has a term of each draw as theta_n and one as theta_m.

References:
    [1] Rainforth, T., Cornish, R., Yang, H., Warrington, A. & Wood, F. (2018). On nesting Monte Carlo estimators. ICML,
        PMLR 80, 4267-4276 (bias of order 1 / M, and N about M^2 for separate draws on the two levels).
    [2] Foster, A., Jankowiak, M., O'Meara, M., Teh, Y. W. & Rainforth, T. (2020). A unified stochastic gradient
        approach to designing Bayesian-optimal experiments. AISTATS, PMLR 108, 2959-2969, eq. 8
        (prior contrastive estimation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import logsumexp

from calibration.experimental_design.asked import Asked
from calibration.noise import NoiseModel
from calibration.optimise.objective import Objective
from calibration.prediction import Prediction
from twin.errors import SimulationError
from twin.precision import in_float64

MEMORY_FOR_PAIRS = 768 * 2**20
WORST_FAILURES = 0.05
"""Share of draws that may fail: those that remain are another distribution than the one asked about."""


@dataclass(frozen=True)
class Gain:
    """Expected information gain [nat].

    Args:
        lower: Estimate that is too low on average.
        upper: Estimate that is too high on average.
        error: Standard error of `lower`.
        draws: Draws used.
    """

    lower: float
    upper: float
    error: float
    draws: int


class Pairs:
    """Log-likelihood matrices of candidate readings among draws, and the criterion of designs for the search.

    Args:
        asked: The candidates.
        thetas: Draws of what is known before, estimation scale.
        items: Purchase of each candidate.
        most: How often each purchase can be made; each time there are new readings.
        seed: Seed of the simulated readings.

    Raises:
        SimulationError: too many draws cannot be simulated.
    """

    @in_float64
    def __init__(
        self,
        asked: Asked,
        thetas: Float[np.ndarray, "draw parameter"],
        items: Int[np.ndarray, " reading"],
        most: int,
        seed: int,
    ) -> None:
        problem = asked.problem
        prediction = _prediction(asked, thetas)
        good = prediction.ok.all(axis=1) & np.isfinite(prediction.scale).all(axis=1)  # type: ignore[union-attr]
        if np.mean(~good) > WORST_FAILURES or good.sum() < 2:
            raise SimulationError(
                f"{int((~good).sum())} of {len(good)} draws cannot be simulated at the candidates",
                where=problem.name,
                fix="take draws of a posterior, narrow the priors, or raise max_steps",
            )
        prediction = Prediction(*(x[good] for x in prediction))
        self.thetas, self.items, self.most, self.count = thetas[good], items, most, int(items.max()) + 1
        self._value, self._scale = np.asarray(prediction.value), np.asarray(prediction.scale)
        self._of_reading = _model_of_each(asked)
        keys = jax.random.split(jax.random.key(seed), most)
        self._readings = [_readings(asked, prediction, key) for key in keys]
        n, kept = len(self.thetas), len(items) * most
        self._keeps = 8 * kept * n**2 <= MEMORY_FOR_PAIRS
        self._matrices: dict[tuple[int, int], np.ndarray] = {}

    def value(self, counts: Float[np.ndarray, " item"]) -> float:
        """The lower estimate of a design's gain."""
        return float(np.mean(_lower(self._total(counts))))

    def values_with(self, counts: Float[np.ndarray, " item"], items: np.ndarray) -> Float[np.ndarray, " candidate"]:
        """The lower estimate with one of `items` more."""
        total = self._total(counts)
        return np.array([np.mean(_lower(total + self._of_item(int(item), int(counts[item])))) for item in items])

    def estimate(self, counts: Float[np.ndarray, " item"]) -> Gain:
        """Both estimates of a design's gain, with the standard error."""
        total = self._total(counts)
        n = len(total)
        own = np.diag(total)
        all_draws = logsumexp(total, axis=1)
        each = own - all_draws + np.log(n)
        # Influence of theta_m as one of those that are averaged over: 1 - mean_n p(y_n | theta_m) / mean p(y_n | .).
        as_other = 1.0 - n * np.mean(np.exp(total - all_draws[:, None]), axis=0)
        others = logsumexp(np.where(np.eye(n, dtype=bool), -np.inf, total), axis=1)
        return Gain(
            lower=float(each.mean()),
            upper=float(np.mean(own - others + np.log(n - 1))),
            error=float(np.std(each + as_other, ddof=1) / np.sqrt(n)),
            draws=n,
        )

    def spreads(self, counts: Float[np.ndarray, " item"]) -> tuple[np.ndarray, np.ndarray, float]:
        """Root mean posterior variances after the readings, of entries and of predictions; draws that carry each.

        Each simulated outcome weighs all other draws by their likelihood.
        """
        total = np.where(np.eye(len(self.thetas), dtype=bool), -np.inf, self._total(counts))
        weights = np.exp(total - logsumexp(total, axis=1, keepdims=True))
        effective = 1.0 / np.sum(weights**2, axis=1)
        # Unbiased for equal weights; where one draw carries all, there is no estimate of a variance.
        fair = np.where(effective > 1.0 + 1e-9, effective / np.maximum(effective - 1.0, 1e-9), np.nan)

        def spread(of_draws: np.ndarray) -> np.ndarray:
            away = of_draws - of_draws.mean(axis=0)
            variance = weights @ away**2 - (weights @ away) ** 2
            return np.sqrt(np.nanmean(np.maximum(variance, 0.0) * fair[:, None], axis=0))

        return spread(self.thetas), spread(self._value), float(np.median(effective))

    @property
    def predicted(self) -> Float[np.ndarray, "draw reading"]:
        """Predictions of all candidates."""
        return self._value

    def _total(self, counts: Float[np.ndarray, " item"]) -> Float[np.ndarray, "draw draw"]:
        total = np.zeros((len(self.thetas), len(self.thetas)))
        for item in np.flatnonzero(counts):
            for copy in range(int(counts[item])):
                total += self._of_item(int(item), copy)
        return total

    def _of_item(self, item: int, copy: int) -> Float[np.ndarray, "draw draw"]:
        if (item, copy) in self._matrices:
            return self._matrices[item, copy]
        value, censored = self._readings[copy]
        total = np.zeros((len(self.thetas), len(self.thetas)))
        for row in np.flatnonzero(self.items == item):
            pair = self._of_reading[row]
            total += pair(value[:, row], censored[:, row], self._value[:, row], self._scale[:, row])
        if self._keeps:
            self._matrices[item, copy] = total
        return total


def _lower(total: Float[np.ndarray, "draw draw"]) -> Float[np.ndarray, " draw"]:
    highest = total.max(axis=1)
    return np.diag(total) - highest - np.log(np.mean(np.exp(total - highest[:, None]), axis=1))


@in_float64
def _prediction(asked: Asked, thetas: np.ndarray) -> Prediction:
    size = min(len(thetas), 16 * Objective(asked.problem).chunk_size())
    parts = []
    for start in range(0, len(thetas), size):
        part = thetas[start : start + size]
        padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        parts.append([np.asarray(x)[: len(part)] for x in asked.problem.predict_many(padded)])
    return Prediction(*(np.concatenate(x) for x in zip(*parts, strict=True)))


@in_float64
def _readings(asked: Asked, prediction: Prediction, key: Array) -> tuple[np.ndarray, np.ndarray]:
    """Simulated readings, limits in place of those below them, and which these are."""
    value = np.asarray(asked.problem.draw_readings(key, prediction))
    censored = np.nan_to_num(asked.limit, nan=-np.inf) > value
    return np.where(censored, asked.limit, value), censored


def _model_of_each(asked: Asked) -> list[Callable]:
    """For each candidate the function that compares readings with all predictions; one program per noise model."""
    compiled: dict[tuple, Callable] = {}
    found: list[Callable] = [lambda: None] * len(asked.limit)
    for name, rows in asked.problem.bindings.rows_of.items():
        noise = asked.problem.noise[name]
        for row in rows:
            key = noise.family, noise.df, bool(np.isfinite(asked.limit[row]))
            if key not in compiled:
                compiled[key] = _pairwise(asked.problem.noise_models[name], key[2])
            found[int(row)] = compiled[key]
    return found


def _pairwise(model: NoiseModel, limited: bool) -> Callable:
    @jax.jit
    def pairs(value: Array, censored: Array, predicted: Array, scale: Array) -> Array:
        y, f, s = value[:, None], predicted[None, :], scale[None, :]
        exact = model.log_density(y, f, s)
        return jnp.where(censored[:, None], model.log_below(y, f, s), exact) if limited else exact

    def compare(*given: np.ndarray) -> np.ndarray:
        found = in_float64(lambda: np.asarray(pairs(*given)))()
        return np.where(np.isnan(found), -np.inf, found)

    return compare
