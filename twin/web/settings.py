"""What a reader of the page has set: doses, parameters, patients, what is shown. Plain values; no browser, no model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twin.errors import ExperimentError
from twin.experiment.experiment import Bolus, Infusion

TYPICAL, NEW = "typical", "new"
"""Whom a twin is shown of: the typical patient, or new ones who differ as the calibrated patients do."""
LARGEST_SPREAD = 200.0
MOST_DOSES, MOST_REPEATS = 8, 64
LONGEST_NAME = 60


@dataclass(frozen=True)
class Dose:
    """A dose with numbers only, in the model's units.

    Args:
        target: State that receives it.
        amount: Amount of one dose.
        time: Time of the first one.
        duration: Length of an infusion; 0 for a bolus.
        every: Interval between repeated doses; 0 if there is one only.
        count: Number of doses.
    """

    target: str
    amount: float
    time: float = 0.0
    duration: float = 0.0
    every: float = 0.0
    count: int = 1

    def __post_init__(self) -> None:
        for what in ("amount", "time", "duration", "every"):
            value = getattr(self, what)
            if not math.isfinite(value) or (what != "time" and value < 0):
                raise ExperimentError(
                    f"the {what} is {value:g}", where=f"dose into {self.target!r}", expected="a number of at least 0"
                )
        if not 1 <= self.count <= MOST_REPEATS or (self.count > 1 and self.every <= 0):
            raise ExperimentError(
                f"there are {self.count} doses {self.every:g} apart",
                where=f"dose into {self.target!r}",
                expected=f"1 to {MOST_REPEATS} doses, and an interval if there are several",
            )

    def action(self) -> Bolus | Infusion:
        """The dose as the engine has it."""
        every = self.every if self.count > 1 else None
        if self.duration > 0:
            return Infusion(self.target, self.amount, self.time, self.duration, every, self.count)
        return Bolus(self.target, self.amount, self.time, every, self.count)

    @property
    def moments(self) -> tuple[float, ...]:
        """When a dose begins, and when an infusion ends."""
        starts = [self.time + index * self.every for index in range(self.count)]
        return tuple(starts if self.duration == 0 else [t for s in starts for t in (s, s + self.duration)])


def dose_of(action: Bolus | Infusion) -> Dose | None:
    """The dose that a slider can move; None if something in it is a formula or has a unit of its own."""
    start = action.time if isinstance(action, Bolus) else action.start
    length = 0.0 if isinstance(action, Bolus) else action.duration
    every = action.every or 0.0
    if action.unit is not None or any(isinstance(value, str) for value in (action.amount, start, length, every)):
        return None
    if action.count > MOST_REPEATS:
        return None
    return Dose(action.target, float(action.amount), float(start), float(length), float(every), action.count)


@dataclass(frozen=True)
class Settings:
    """What decides a simulation.

    Args:
        experiment: Name of an experiment of the library's study; empty for none.
        doses: Its doses.
        values: Parameters set to a value [the parameter's unit].
        factors: Calibrated parameters whose draws are multiplied.
        spread: Assumed variation between patients, as a coefficient of variation [%]. Not used for a twin.
        whom: `TYPICAL`, `NEW`, or the name of a calibrated subject.
    """

    experiment: str = ""
    doses: tuple[Dose, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.0
    whom: str = TYPICAL

    def __post_init__(self) -> None:
        for name, value in self.values.items():
            if not math.isfinite(value):
                raise ExperimentError(f"{name!r} is {value}", where="settings", expected="a finite number")
        for name, value in self.factors.items():
            if not (math.isfinite(value) and value > 0):
                raise ExperimentError(f"the factor of {name!r} is {value}", where="settings", expected="above 0")
        if not 0 <= self.spread <= LARGEST_SPREAD:
            raise ExperimentError(
                f"the spread is {self.spread:g} %", where="settings", expected=f"0 to {LARGEST_SPREAD:g} %"
            )
        if len(self.doses) > MOST_DOSES:
            raise ExperimentError(
                f"there are {len(self.doses)} regimens", where="settings", expected=f"{MOST_DOSES} at most"
            )


@dataclass(frozen=True)
class Scenario:
    """Settings kept under a name, to be compared with others."""

    name: str
    settings: Settings

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise ExperimentError(
                f"the name of a scenario has {len(self.name)} characters",
                where="scenario",
                expected=f"1 to {LONGEST_NAME}",
            )


@dataclass(frozen=True)
class View:
    """Everything that a link to the page restores.

    Args:
        settings: What is simulated.
        until: Last time shown [model time unit].
        shown: Variables with a panel.
        endpoint: Variable whose peak, time of peak and area are shown.
        log: Whether values have a logarithmic axis.
        scenarios: Kept settings.
    """

    settings: Settings
    until: float
    shown: tuple[str, ...]
    endpoint: str
    log: bool = False
    scenarios: tuple[Scenario, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.until)):
            raise ExperimentError(f"the last time is {self.until}", where="view", expected="a finite time")

    def with_settings(self, **changes: object) -> View:
        """The view with some settings changed."""
        return replace(self, settings=replace(self.settings, **changes))  # type: ignore[arg-type]
