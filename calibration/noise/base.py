"""What a noise model is: a density, a distribution function for censored readings, a sampler and its information."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Array, Float

type Readings = Float[Array, "*reading"]


class AbstractNoiseModel(ABC):
    """Distribution of a reading given its prediction and a scale; everything is elementwise.

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
    def log_below(self, limit: Readings, prediction: Readings, scale: Readings) -> Readings:
        """Logarithm of the probability of a reading below a detection limit."""

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
