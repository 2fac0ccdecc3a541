"""What is done to a system: doses, infusions, changes over time spans, pre-equilibration, initial states.

Plain frozen records with checks that need no model; `twin.experiment.schedule` checks them against one.
Values may be numbers, in the model's units, or formulas of the model's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real

from twin.errors import ExperimentError
from twin.experiment.show import as_html as experiment_html

Value = float | int | str


def _finite(value: Value, what: str, where: str, *, minimum: float | None = None) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, Real) or isinstance(value, bool) or math.isnan(value):
        raise ExperimentError(f"{what} is {value!r}", where=where, expected="a number or a formula of parameters")
    if math.isinf(value):
        raise ExperimentError(f"{what} is infinite", where=where, expected="a finite number")
    if minimum is not None and value < minimum:
        raise ExperimentError(f"{what} is {value:g}", where=where, expected=f"a value of at least {minimum:g}")


@dataclass(frozen=True)
class Bolus:
    """An amount added to a state at once, possibly repeatedly.

    Args:
        target: State that receives the dose.
        amount: Amount added, in the state's unit (or in `unit`).
        time: Time of the first dose, in the model's time unit.
        every: Interval between repeated doses.
        count: Number of doses.
        unit: Unit of `amount` if it is not the state's; converted when the model is known.
    """

    target: str
    amount: Value
    time: Value = 0.0
    every: Value | None = None
    count: int = 1
    unit: str | None = None

    def __post_init__(self) -> None:
        where = f"bolus into {self.target!r}"
        _finite(self.amount, "the amount", where, minimum=0.0)
        _finite(self.time, "the time", where)
        _check_repeat(self.every, self.count, where)


@dataclass(frozen=True)
class Infusion:
    """An amount added to a state at a constant rate, possibly repeatedly.

    Args:
        target: State that receives the dose.
        amount: Total amount of one infusion, in the state's unit (or in `unit`).
        start: Start of the first infusion.
        duration: Length of one infusion.
        every: Interval between starts of repeated infusions.
        count: Number of infusions.
        unit: Unit of `amount` if it is not the state's.
    """

    target: str
    amount: Value
    start: Value
    duration: Value
    every: Value | None = None
    count: int = 1
    unit: str | None = None

    def __post_init__(self) -> None:
        where = f"infusion into {self.target!r}"
        _finite(self.amount, "the amount", where, minimum=0.0)
        _finite(self.start, "the start", where)
        _finite(self.duration, "the duration", where, minimum=0.0)
        if self.duration == 0:
            raise ExperimentError("the duration is 0", where=where, fix="use a Bolus instead")
        _check_repeat(self.every, self.count, where)


@dataclass(frozen=True)
class Change:
    """A parameter held at another value during ``[start, stop)``: a drug effect, a knock-out, a wash.

    Args:
        target: Parameter that changes.
        value: Its value during the span: a number in the parameter's unit, or a formula of parameters, in which
            the target's own name stands for its unchanged value (``"p * (1 - efficacy)"``).
        start: Start of the span; None for the beginning of the experiment.
        stop: End of the span; None for the end of the experiment.
    """

    target: str
    value: Value
    start: Value | None = None
    stop: Value | None = None

    def __post_init__(self) -> None:
        where = f"change of {self.target!r}"
        _finite(self.value, "the value", where)
        for what, time in (("the start", self.start), ("the stop", self.stop)):
            if time is not None:
                _finite(time, what, where)
        if (
            not isinstance(self.start, str)
            and not isinstance(self.stop, str)
            and self.start is not None
            and self.stop is not None
            and self.stop <= self.start
        ):
            raise ExperimentError(
                f"the span [{self.start:g}, {self.stop:g}) is empty",
                where=where,
                expected="a stop later than the start",
            )


@dataclass(frozen=True)
class Reset:
    """A state set to a value at a moment: a wash-out, a passage, a re-suspension.

    Args:
        target: State that is set.
        value: Its new value: a number in the state's unit, or a formula of parameters, states and ``time``. All that is
            set at one moment is computed from the states before it.
        time: When.
    """

    target: str
    value: Value
    time: Value

    def __post_init__(self) -> None:
        where = f"reset of {self.target!r}"
        _finite(self.value, "the value", where)
        _finite(self.time, "the time", where)


@dataclass(frozen=True)
class Equilibration:
    """A run to steady state before the experiment begins.

    The clock stands still at the start time of the experiment; doses are not given. A run that is not at steady
    state after `horizon` is reported as failed.

    Args:
        parameters: Parameter values during the run, where they differ from the experiment's.
        initial: Initial states of the run that differ from the model's.
        horizon: Longest time allowed, in the model's time unit.
    """

    parameters: Mapping[str, Value] = field(default_factory=dict)
    initial: Mapping[str, Value] = field(default_factory=dict)
    horizon: float = 1e6

    def __post_init__(self) -> None:
        _finite(self.horizon, "the horizon", "equilibration")
        if self.horizon <= 0:
            raise ExperimentError(f"the horizon is {self.horizon:g}", where="equilibration", expected="a positive time")
        for name, value in (*self.parameters.items(), *self.initial.items()):
            _finite(value, f"the value of {name!r}", "equilibration")


@dataclass(frozen=True)
class Experiment:
    """What is done to a system, from `t0` on.

    At a moment when several things happen, parameters change first, then states are reset, then boluses are
    added; a sample taken at that moment sees the state after all of them.

    Args:
        doses: Boluses and infusions.
        changes: Parameter changes over time spans.
        resets: States set at given times.
        parameters: Parameter values for the whole experiment (a condition of the laboratory, a covariate of the
            subject).
        initial: Initial states that differ from the model's.
        equilibrate: Pre-equilibration; the initial states are then its starting point, and `initial` is
            applied after it.
        t0: Start time, in the model's time unit.
        description: What is done, in words.
    """

    doses: Sequence[Bolus | Infusion] = ()
    changes: Sequence[Change] = ()
    resets: Sequence[Reset] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    initial: Mapping[str, Value] = field(default_factory=dict)
    equilibrate: Equilibration | None = None
    t0: float = 0.0
    description: str = ""

    def __post_init__(self) -> None:
        _finite(self.t0, "the start time t0", "experiment")
        for what, kinds, given in (
            ("dose", (Bolus, Infusion), self.doses),
            ("change", (Change,), self.changes),
            ("reset", (Reset,), self.resets),
        ):
            _check_kind(what, kinds, given)
        for what, given in (("parameters", self.parameters), ("initial", self.initial)):
            if not isinstance(given, Mapping):
                found = f"{what} is a {type(given).__name__}"
                raise ExperimentError(found, where="experiment", expected="a mapping of names to values")
            for name, value in given.items():
                _finite(value, f"the value of {name!r}", "experiment")
        if self.equilibrate is not None and not isinstance(self.equilibrate, Equilibration):
            found = f"equilibrate is a {type(self.equilibrate).__name__}"
            raise ExperimentError(found, where="experiment", expected="an Equilibration")
        for dose in self.doses:
            first = dose.time if isinstance(dose, Bolus) else dose.start
            if not isinstance(first, str) and first < self.t0:
                raise ExperimentError(
                    f"a dose into {dose.target!r} at {first:g} comes before the start at {self.t0:g}",
                    where="experiment",
                    fix="move the dose or set t0",
                )
        for reset in self.resets:
            if not isinstance(reset.time, str) and reset.time < self.t0:
                raise ExperimentError(
                    f"a reset of {reset.target!r} at {reset.time:g} comes before the start at {self.t0:g}",
                    where="experiment",
                    fix="move the reset, set t0, or give an initial state",
                )

    def _repr_html_(self) -> str:
        return experiment_html(self)


def _check_kind(what: str, kinds: tuple[type, ...], given: object) -> None:
    names = " or ".join(kind.__name__ for kind in kinds)
    if not isinstance(given, Sequence) or isinstance(given, str):
        found = f"{what}s is a {type(given).__name__}"
        raise ExperimentError(found, where="experiment", expected=f"a sequence of {names}", fix="put it into [ ]")
    for item in given:
        if not isinstance(item, kinds):
            raise ExperimentError(f"a {what} is a {type(item).__name__}", where="experiment", expected=names)


def _check_repeat(every: Value | None, count: int, where: str) -> None:
    if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
        raise ExperimentError(f"the count is {count!r}", where=where, expected="a whole number of at least 1")
    if every is None:
        if count > 1:
            raise ExperimentError(f"{count} doses without an interval", where=where, fix="give every=")
        return
    _finite(every, "the interval", where, minimum=0.0)
    if every == 0:
        raise ExperimentError("the interval is 0", where=where, expected="a positive time")
