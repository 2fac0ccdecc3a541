"""What a twin was calibrated with, as plain description: everything that is not a number of its ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from twin.errors import ExperimentError, suggestion
from twin.experiment.experiment import Experiment
from twin.live.records import as_record
from twin.model.identity import digest
from twin.model.model import Model
from twin.study import Estimate, Noise

type Series = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Basis:
    """Model, experiments, what is estimated and how readings scatter.

    Args:
        name: Of the calibration problem.
        model: The mechanism.
        estimates: What is estimated.
        noise: Noise model by observable: the observables that the twin takes readings of.
        experiments: What is done, by name.
        series: (experiment, subject) that the twin stands for; the vector of estimates is laid out by them.
        fixed: Model parameters held at other values than the model's.
        solver: Integration method.
        rtol: Relative tolerance.
        atol: Absolute tolerance, in the units of the states.
        max_steps: Most steps per trajectory.
    """

    name: str
    model: Model
    estimates: tuple[Estimate, ...]
    noise: Mapping[str, Noise]
    experiments: Mapping[str, Experiment]
    series: tuple[Series, ...]
    fixed: Mapping[str, float]
    solver: str
    rtol: float
    atol: float
    max_steps: int

    @cached_property
    def identity(self) -> str:
        """SHA-256 of all of it, in hexadecimal."""
        return digest(as_record(self))

    def __eq__(self, other: object) -> bool:
        return self.identity == other.identity if isinstance(other, Basis) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identity)

    def index(self, experiment: str | None, subject: str | None, where: str) -> int:
        """Which series is meant; both names may be left out where that leaves no doubt.

        Raises:
            ExperimentError: no series, or several, are meant.
        """
        meant = [
            index
            for index, (its_experiment, its_subject) in enumerate(self.series)
            if experiment in (None, its_experiment) and subject in (None, its_subject)
        ]
        if len(meant) == 1:
            return meant[0]
        known = [f"{one} / {other}" for one, other in self.series]
        asked = f"{experiment or 'any experiment'} / {subject or 'any subject'}"
        if not meant:
            raise ExperimentError(f"the twin knows no series {asked}", where=where, fix=suggestion(asked, known))
        raise ExperimentError(
            f"{len(meant)} series of the twin are {asked}",
            where=where,
            expected="one series (experiment / subject): " + ", ".join(known[:8]) + (", ..." if len(known) > 8 else ""),
            fix="give experiment= and subject=",
        )
