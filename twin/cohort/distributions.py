"""Distributions from which virtual subjects draw: values at standard normal scores, so that a copula can join them.

With ``z`` standard normal and ``Phi`` its distribution function, ``F^-1(Phi(z))`` has the distribution function F.
Above the median we go through ``1 - Phi(z) = Phi(-z)``, because ``Phi(z)`` rounds to 1 from z = 8.3 on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from twin.errors import ExperimentError

type Numbers = Float[np.ndarray, " subject"]


@dataclass(frozen=True)
class AbstractDistribution(ABC):
    """The distribution of one quantity over subjects."""

    @abstractmethod
    def at(self, z: Numbers) -> Numbers:
        """The values whose rank is that of the standard normal scores `z`; ascending in `z`."""

    def quantile(self, probability: float | Sequence[float] | np.ndarray) -> np.ndarray:
        """The values below which these shares of all subjects lie."""
        return self.at(special.ndtri(np.asarray(probability, dtype=float)))


@dataclass(frozen=True)
class Normal(AbstractDistribution):
    """A normal distribution, cut at bounds if some are given.

    Args:
        mean: Mean before cutting.
        sd: Standard deviation before cutting.
        lower: Least value.
        upper: Largest value.
    """

    mean: float
    sd: float
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        _check(self, positive=("sd",))
        _check_bounds(self, -math.inf)

    def at(self, z: Numbers) -> Numbers:
        return _cut(z, self.mean, self.sd, self.lower, self.upper)


@dataclass(frozen=True)
class LogNormal(AbstractDistribution):
    """A positive quantity whose natural logarithm is normal, cut at bounds if some are given.

    Args:
        median: Median before cutting.
        sd_log: Standard deviation of the natural logarithm, before cutting.
        cv: Instead of `sd_log`: the coefficient of variation before cutting, ``sd_log = sqrt(ln(1 + cv^2))``.
        lower: Least value.
        upper: Largest value.
    """

    median: float
    sd_log: float | None = None
    cv: float | None = None
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        if (self.sd_log is None) == (self.cv is None):
            found = "neither sd_log nor cv is given" if self.cv is None else "both sd_log and cv are given"
            raise ExperimentError(found, where="LogNormal", expected="one of them")
        _check(self, positive=("median", "sd_log", "cv", "lower", "upper"))
        if self.sd_log is None:
            object.__setattr__(self, "sd_log", math.sqrt(math.log1p(float(self.cv or 0.0) ** 2)))
        _check_bounds(self, 0.0)

    def at(self, z: Numbers) -> Numbers:
        low, high = (None if bound is None else math.log(bound) for bound in (self.lower, self.upper))
        values = np.exp(_cut(z, math.log(self.median), float(self.sd_log or 0.0), low, high))
        # exp(log(bound)) may lie an ulp beyond the bound.
        return np.clip(values, self.lower, self.upper) if (low, high) != (None, None) else values


@dataclass(frozen=True)
class Uniform(AbstractDistribution):
    """All values between two bounds alike.

    Args:
        lower: Least value.
        upper: Largest value.
    """

    lower: float
    upper: float

    def __post_init__(self) -> None:
        _check(self)
        _check_span(self)

    def at(self, z: Numbers) -> Numbers:
        return np.clip(self.lower + (self.upper - self.lower) * special.ndtr(z), self.lower, self.upper)


@dataclass(frozen=True)
class LogUniform(AbstractDistribution):
    """A positive quantity whose logarithm is uniform between two bounds.

    Args:
        lower: Least value.
        upper: Largest value.
    """

    lower: float
    upper: float

    def __post_init__(self) -> None:
        _check(self, positive=("lower", "upper"))
        _check_span(self)

    def at(self, z: Numbers) -> Numbers:
        span = math.log(self.upper) - math.log(self.lower)
        return np.clip(self.lower * np.exp(span * special.ndtr(z)), self.lower, self.upper)


@dataclass(frozen=True)
class Gamma(AbstractDistribution):
    """A gamma distribution; its mean is ``shape * scale``.

    Args:
        shape: Shape; 1 is the exponential distribution.
        scale: Scale.
    """

    shape: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, positive=("shape", "scale"))

    def at(self, z: Numbers) -> Numbers:
        by_shape = [lambda p, f=f: f(self.shape, p) for f in (special.gammaincinv, special.gammainccinv)]
        return self.scale * _by_tails(z, *by_shape)


@dataclass(frozen=True)
class Beta(AbstractDistribution):
    """A beta distribution stretched over two bounds: fractions, efficacies.

    Args:
        a: First shape.
        b: Second shape; the mean is ``lower + (upper - lower) * a / (a + b)``.
        lower: Least value.
        upper: Largest value.
    """

    a: float
    b: float
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        _check(self, positive=("a", "b"))
        _check_span(self)

    def at(self, z: Numbers) -> Numbers:
        of_tails = [lambda p, f=f: f(self.a, self.b, p) for f in (special.betaincinv, special.betainccinv)]
        values = self.lower + (self.upper - self.lower) * _by_tails(z, *of_tails)
        return np.clip(values, self.lower, self.upper)


@dataclass(frozen=True)
class Triangular(AbstractDistribution):
    """A density that rises to the mode and falls after it, in straight lines: an expert's guess.

    Args:
        lower: Least value.
        mode: Most likely value.
        upper: Largest value.
    """

    lower: float
    mode: float
    upper: float

    def __post_init__(self) -> None:
        _check(self)
        _check_span(self)
        if not self.lower <= self.mode <= self.upper:
            expected = f"a value from {self.lower:g} to {self.upper:g}"
            raise ExperimentError(f"the mode is {self.mode:g}", where="Triangular", expected=expected)

    def at(self, z: Numbers) -> Numbers:
        span, rise = self.upper - self.lower, self.mode - self.lower
        below, above = special.ndtr(z), special.ndtr(-z)
        left = self.lower + np.sqrt(below * span * rise)
        right = self.upper - np.sqrt(above * span * (span - rise))
        return np.where(below * span <= rise, left, right)


@dataclass(frozen=True)
class Choice(AbstractDistribution):
    """One of several values: treatment arms, genotypes.

    Args:
        values: The values.
        weights: How frequent they are, relative to each other; default alike.
    """

    values: Sequence[float]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _sequence(self.values, "values"))
        if self.weights is not None:
            object.__setattr__(self, "weights", _sequence(self.weights, "weights"))
            if len(self.weights) != len(self.values):
                found = f"there are {len(self.values)} values and {len(self.weights)} weights"
                raise ExperimentError(found, where="Choice", expected="one weight for each value")
            if min(self.weights) < 0 or sum(self.weights) <= 0:
                found = f"the weights are {list(self.weights)}"
                raise ExperimentError(found, where="Choice", expected="none negative, not all zero")

    def at(self, z: Numbers) -> Numbers:
        # Ascending values, so that a correlation has a sign.
        values = np.array(self.values, dtype=float)
        order = np.argsort(values, kind="stable")
        weights = np.ones(len(values)) if self.weights is None else np.array(self.weights, dtype=float)
        ends = np.cumsum(weights[order]) / weights.sum()
        last = int(np.flatnonzero(weights[order])[-1])
        return values[order][np.minimum(np.searchsorted(ends, special.ndtr(z), side="right"), last)]


def _by_tails(z: Numbers, from_below: Callable, from_above: Callable) -> Numbers:
    """Values from the smaller of the two tail probabilities, which keeps its digits."""
    tail = special.ndtr(-np.abs(z))
    return np.where(z < 0, from_below(tail), from_above(tail))


def _cut(z: Numbers, mean: float, sd: float, lower: float | None, upper: float | None) -> Numbers:
    if lower is None and upper is None:
        return mean + sd * z
    low, high = (-math.inf if lower is None else lower), (math.inf if upper is None else upper)
    frozen = stats.truncnorm((low - mean) / sd, (high - mean) / sd, loc=mean, scale=sd)
    return np.clip(_by_tails(z, frozen.ppf, frozen.isf), low, high)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))


def _check(distribution: AbstractDistribution, positive: tuple[str, ...] = ()) -> None:
    kind = type(distribution).__name__
    for name, value in vars(distribution).items():
        if value is None:
            continue
        if not _is_number(value):
            raise ExperimentError(f"{name} is {value!r}", where=kind, expected="a finite number")
        if name in positive and value <= 0:
            raise ExperimentError(f"{name} is {value:g}", where=kind, expected="a positive number")
        object.__setattr__(distribution, name, float(value))


def _check_span(distribution: Uniform | LogUniform | Beta | Triangular) -> None:
    if not distribution.lower < distribution.upper:
        raise ExperimentError(
            f"the bounds are {distribution.lower:g} and {distribution.upper:g}",
            where=type(distribution).__name__,
            expected="lower below upper",
            fix="give a plain number for a value that all subjects share",
        )


def _check_bounds(distribution: Normal | LogNormal, least: float) -> None:
    """The part between the bounds must not be so far out that nothing of the distribution is left there."""
    low = least if distribution.lower is None else distribution.lower
    high = math.inf if distribution.upper is None else distribution.upper
    kind = type(distribution).__name__
    if not low < high:
        raise ExperimentError(f"the bounds are {low:g} and {high:g}", where=kind, expected="lower below upper")
    if isinstance(distribution, Normal):
        center, sd, ends = distribution.mean, distribution.sd, (low, high)
    else:
        ends = (-math.inf if low == 0 else math.log(low), math.log(high) if high < math.inf else high)
        center, sd = math.log(distribution.median), float(distribution.sd_log or 0.0)
    if (ends[0] - center) / sd > _FARTHEST or (center - ends[1]) / sd > _FARTHEST:
        raise ExperimentError(
            f"the bounds {low:g} and {high:g} are more than {_FARTHEST} standard deviations from the middle",
            where=kind,
            expected="bounds that leave a part of the distribution",
        )


_FARTHEST = 20
"""Standard deviations; a cut farther out is a slip of the pen, and its quantiles lose their digits."""


def _sequence(given: object, what: str) -> tuple[float, ...]:
    values = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(values, Sequence) or isinstance(values, str) or not values or not all(map(_is_number, values)):
        raise ExperimentError(f"{what} is {given!r:.80}", where="Choice", expected="finite numbers, at least one")
    return tuple(float(value) for value in values)
