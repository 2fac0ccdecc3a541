"""What is kept of a cohort besides its trajectories: quantile bands and counts of events, gathered chunk by chunk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from jaxtyping import Float

from twin.cohort.layout import Field
from twin.errors import ExperimentError

type Outputs = Float[np.ndarray, "output time subject"]
type State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Bands:
    """Quantiles over subjects at every sample time.

    The rank of each quantile (the share of subjects below it) is wrong by at most what the result says beside it, and
    by nothing at all in cohorts of no more than `resolution` subjects; see `twin.cohort.bands`.

    Args:
        levels: Which quantiles, each from 0 to 1.
        variables: Of which variables; default all.
        resolution: Number of values per variable and time whose ranks are counted; a level is known to about 1 in
            `resolution` at worst, and several times better where the values between two of them lie evenly.
    """

    levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)
    variables: Sequence[str] | None = None
    resolution: int = 512

    def __post_init__(self) -> None:
        levels = self.levels.tolist() if isinstance(self.levels, np.ndarray) else self.levels
        fine = isinstance(levels, Sequence) and not isinstance(levels, str) and len(levels) > 0
        if not fine or not all(isinstance(q, Real) and not isinstance(q, bool) and 0 <= float(q) <= 1 for q in levels):
            raise ExperimentError(f"the levels are {levels!r:.80}", where="Bands", expected="numbers from 0 to 1")
        ascending = tuple(float(level) for level in levels)
        if list(ascending) != sorted(set(ascending)):
            raise ExperimentError(f"the levels are {list(ascending)}", where="Bands", expected="ascending levels")
        if isinstance(self.variables, str):
            raise ExperimentError(
                f"the variables are the text {self.variables!r}", where="Bands", fix=f"write [{self.variables!r}]"
            )
        if not isinstance(self.resolution, Integral) or isinstance(self.resolution, bool) or self.resolution < 16:
            found = f"the resolution is {self.resolution!r}"
            raise ExperimentError(found, where="Bands", expected="a whole number of at least 16")
        object.__setattr__(self, "levels", ascending)
        object.__setattr__(self, "variables", None if self.variables is None else tuple(self.variables))


@dataclass(frozen=True)
class Count:
    """The number of subjects for which a condition holds: at each sample time, and at any of them.

    Between sample times nobody looks: an event shorter than their distance is seen only by those it hits at one.

    Args:
        condition: A comparison of variables, in PEtab's grammar: ``"V > 1e4"``, ``"log10_titre < 0.5 && time > 3"``.
        name: Its name in the result; default the condition itself.
    """

    condition: str
    name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.condition, str):
            found = f"the condition is a {type(self.condition).__name__}"
            raise ExperimentError(found, where="Count", expected='a comparison as text such as "V > 1e4"')
        if self.name is None:
            object.__setattr__(self, "name", self.condition)


type Summary = Bands | Count


class AbstractAccumulator(ABC):
    """What a summary has gathered so far. Its state goes to disk after each chunk."""

    needs_pilot = False

    def begin(self, pilot: Outputs) -> None:  # noqa: B027
        """Take the outputs of the pilot subjects, before the first chunk."""

    @abstractmethod
    def update(self, outputs: Outputs) -> None:
        """Take the outputs of a chunk; those of failed subjects are left out."""

    @abstractmethod
    def state(self) -> State:
        """All that has been gathered, as arrays."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Go on from a state."""

    @abstractmethod
    def fields(self) -> list[Field]:
        """The variables it adds to a result, known before the run."""

    @abstractmethod
    def results(self) -> Mapping[str, np.ndarray]:
        """Their values."""


class Counts(AbstractAccumulator):
    """All `Count` summaries of a run.

    Args:
        summaries: The conditions.
        rows: Rows of the outputs that are 1 where they hold.
        times: Number of sample times.
    """

    def __init__(self, summaries: Sequence[Count], rows: Sequence[int], times: int) -> None:
        self.summaries, self.rows = summaries, list(rows)
        self.at_times = np.zeros((len(self.rows), times), dtype=np.int64)
        self.ever = np.zeros(len(self.rows), dtype=np.int64)

    def update(self, outputs: Outputs) -> None:
        held = outputs[self.rows] > 0.5
        self.at_times += held.sum(axis=2)
        self.ever += held.any(axis=1).sum(axis=1)

    def state(self) -> State:
        return {"at_times": self.at_times, "ever": self.ever}

    def restore(self, state: State) -> None:
        self.at_times, self.ever = state["at_times"].copy(), state["ever"].copy()

    def fields(self) -> list[Field]:
        names = [str(item.name) for item in self.summaries]
        about = {"long_name": "number of subjects for which the condition holds"}
        ever = {"long_name": "number of subjects for which the condition holds at any of the sample times"}
        return [
            Field("event", ("event",), str, {}, names, is_coordinate=True),
            Field("condition", ("event",), str, {}, [item.condition for item in self.summaries], is_coordinate=True),
            Field("event_count", ("event", "time"), np.int64, about),
            Field("event_ever", ("event",), np.int64, ever),
        ]

    def results(self) -> Mapping[str, np.ndarray]:
        return {"event_count": self.at_times, "event_ever": self.ever}
