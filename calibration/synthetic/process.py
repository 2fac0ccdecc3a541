"""How virtual subjects are measured: batches, detection limits, missed and mistimed readings, subjects who leave."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from twin.errors import ProblemError

GAIN, SHIFT = "gain", "shift"


@dataclass(frozen=True)
class Process:
    """What happens between the course of a subject and the table of readings, beside the noise of the problem.

    Args:
        jitter: Standard deviation of sampling times around the schedule [the model's time unit].
        recorded: Whether the table has the "actual" times, or the "nominal" ones of the schedule.
        missing: Probability that a reading is missed, each by itself.
        dropout: Probability that a subject leaves before the end, at a time uniform over the schedule.
        batches: Batches (plates, days) that subjects fall into evenly; 1 is none.
        batch_sd: Standard deviation of batch effects: of the logarithm of a gain, or of a shift.
        batch_kind: "gain" multiplies readings, noise included; "shift" is added to them (for logarithmic observables).
        detection_limits: Limit by observable; a reading below becomes left-censored at it. None takes those of the
            problem's own censored readings; an empty mapping is no limit.

    Raises:
        ProblemError: a number is out of its range.
    """

    jitter: float = 0.0
    recorded: Literal["actual", "nominal"] = "actual"
    missing: float = 0.0
    dropout: float = 0.0
    batches: int = 1
    batch_sd: float = 0.0
    batch_kind: Literal["gain", "shift"] = GAIN
    detection_limits: Mapping[str, float] | None = field(default=None)

    def __post_init__(self) -> None:
        for name, high in (("jitter", np.inf), ("batch_sd", np.inf), ("missing", 1.0), ("dropout", 1.0)):
            value = getattr(self, name)
            if not (isinstance(value, numbers.Real) and 0.0 <= float(value) < np.inf and float(value) <= high):
                expected = "a probability from 0 to 1" if high == 1.0 else "a finite number of at least 0"
                raise ProblemError(f"{name} is {value!r}", where="process", expected=expected)
        if isinstance(self.batches, bool) or not isinstance(self.batches, numbers.Integral) or self.batches < 1:
            raise ProblemError(f"batches is {self.batches!r}", where="process", expected="a whole number of at least 1")
        for name, allowed in (("recorded", ("actual", "nominal")), ("batch_kind", (GAIN, SHIFT))):
            if getattr(self, name) not in allowed:
                raise ProblemError(f"{name} is {getattr(self, name)!r}", where="process", expected=" or ".join(allowed))
        for name, limit in (self.detection_limits or {}).items():
            if not (isinstance(limit, numbers.Real) and np.isfinite(float(limit))):
                raise ProblemError(f"the detection limit of {name!r} is {limit!r}", expected="a finite number")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for cards."""
        return asdict(self)

    def batch_effects(self, rng: np.random.Generator, subjects: int) -> tuple[np.ndarray, np.ndarray]:
        """The batch of every subject and its effect (a log-gain or a shift)."""
        batch = rng.permutation(np.arange(subjects) % self.batches)
        effect = rng.normal(0.0, self.batch_sd, self.batches) if self.batches > 1 else np.zeros(1)
        return batch, effect[batch]

    def distorted(self, value: np.ndarray, effect: np.ndarray) -> np.ndarray:
        """Readings with the effect of their batch."""
        return value * np.exp(effect) if self.batch_kind == GAIN else value + effect

    def last_times(self, rng: np.random.Generator, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Until when each subject is read; infinite for those who stay."""
        leaves = rng.uniform(size=len(start)) < self.dropout
        return np.where(leaves, rng.uniform(start, np.maximum(end, start)), np.inf)
