"""What a noise model is: a density, probabilities of censored readings, a sampler and its information."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from calibration.noise.interval import log_between

type Readings = Float[Array, "*reading"]


class AbstractNoiseModel(ABC):
    """Distribution of a reading given its prediction and a scale; everything is elementwise.

    On the scale where the noise is additive, which is the natural logarithm where `positive`, a reading is
    ``centre + scale * z`` with z of a standard distribution that is symmetric about zero.

    Attributes:
        family: Name in `twin.study.Noise`.
        positive: Whether readings must be positive.
    """

    family: ClassVar[str]
    positive: ClassVar[bool] = False

    def __init__(self, df: float = 4.0) -> None:
        self.df = df

    @abstractmethod
    def log_density(self, reading: Readings, prediction: Readings, scale: Readings) -> Readings:
        """Logarithm of the density at a reading."""

    @abstractmethod
    def log_cdf(self, standard: Readings) -> Readings:
        """Logarithm of the distribution function of the standard distribution, exact far out in both tails."""

    def log_standard_density(self, standard: Readings) -> Readings:
        """Logarithm of the density of the standard distribution."""
        return self.log_density(standard, jnp.zeros_like(standard), jnp.ones_like(standard))

    def log_below(self, limit: Readings, prediction: Readings, scale: Readings) -> Readings:
        """Logarithm of the probability of a reading below a limit (left-censored, CENS = 1 in pharmacometrics)."""
        return self.log_cdf(self._standard(limit, prediction, scale))

    def log_above(self, limit: Readings, prediction: Readings, scale: Readings) -> Readings:
        """Logarithm of the probability of a reading above a limit (right-censored, CENS = -1 in pharmacometrics)."""
        return self.log_cdf(-self._standard(limit, prediction, scale))

    def log_between(self, lower: Readings, upper: Readings, prediction: Readings, scale: Readings) -> Readings:
        """Logarithm of the probability of a reading between two limits (interval-censored).

        Args:
            lower: Lower limits, finite, and positive where readings are positive.
            upper: Upper limits, finite and above the lower ones.
            prediction: Predictions.
            scale: Scales.
        """
        first, last = (self._standard(limit, prediction, scale) for limit in (lower, upper))
        return log_between(self.log_cdf, self.log_standard_density, first, last)

    def _standard(self, limit: Readings, prediction: Readings, scale: Readings) -> Readings:
        """Distance of a limit from the prediction in scales, where the noise is additive."""
        return ((jnp.log(limit) if self.positive else limit) - self.centre(prediction)) / scale

    @abstractmethod
    def draw(self, key: Array, prediction: Readings, scale: Readings) -> Readings:
        """One reading per prediction; consumes `key`."""

    @abstractmethod
    def information(self, prediction: Readings, scale: Readings) -> tuple[Readings, Readings]:
        """Fisher information of one uncensored reading about the prediction and about the scale."""

    @property
    def spread(self) -> float:
        """Standard deviation over scale, where the noise is additive; infinite if there is none."""
        return 1.0

    def centre(self, prediction: Readings) -> Readings:
        """The prediction on the scale on which the noise is additive."""
        return prediction


NoiseModel = AbstractNoiseModel
