"""The parts of a mechanism as written: states, parameters, reactions, assignments, inputs, observables.

Plain frozen records. They hold what the author wrote (formulas are strings, units are strings);
`twin.model.model.Model` checks them against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

DIMENSIONLESS = "dimensionless"


@dataclass(frozen=True)
class Published:
    """A published estimate of a parameter.

    Args:
        value: The estimate, in the parameter's unit.
        lower: Lower end of the published range or interval, same unit.
        upper: Upper end, same unit.
        source: Author, year, DOI and table or equation.
        kind: What the range is, for instance "95 % CI" or "range over 6 patients".
    """

    value: float
    lower: float | None = None
    upper: float | None = None
    source: str = ""
    kind: str = ""


@dataclass(frozen=True)
class State:
    """A quantity that the differential equations carry.

    Args:
        name: Identifier used in formulas.
        initial: Value at the start, a number in `unit` or a formula of parameters.
        unit: Unit of the state, as pint reads it.
        description: What it is, in words.
        positive: True if a negative value would be impossible biology.
        compartment: Parameter (or assignment of parameters) with the constant size in which the state is a
            concentration. Reactions then change the amount ``state * compartment``; without one, the state itself.
        history: Value before the start, for delayed terms: a formula of parameters and ``time``; by default the state
            has always been what it is at the start.
    """

    name: str
    initial: float | str = 0.0
    unit: str = DIMENSIONLESS
    description: str = ""
    positive: bool = True
    compartment: str | None = None
    history: float | str | None = None


@dataclass(frozen=True)
class Parameter:
    """A constant of the mechanism.

    Args:
        name: Identifier used in formulas.
        value: Default value, in `unit`.
        unit: Unit, as pint reads it.
        description: What it is, in words.
        source: Where the default value comes from (author, year, DOI, table or equation).
        published: Published estimates, for comparison with a calibration.
    """

    name: str
    value: float
    unit: str = DIMENSIONLESS
    description: str = ""
    source: str = ""
    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Reaction:
    """A transformation with a rate law.

    Args:
        name: Identifier; its flux can be used in formulas under this name.
        equation: Stoichiometry, for instance ``"T + V -> I"``, ``"-> T"``, ``"2 A -> A2"``; or the net change of each
            state as a mapping to numbers and formulas, for instance ``{"A": -1, "B": "yield * 2"}``.
        rate: Rate law, a formula; amount of the states' unit per time unit.
        description: What happens, in words.
    """

    name: str
    equation: str | Mapping[str, float | str]
    rate: str
    description: str = ""


@dataclass(frozen=True)
class Assignment:
    """A quantity that is computed from others at every moment.

    Args:
        name: Identifier used in formulas.
        formula: Its definition.
        unit: Declared unit; None lets the unit follow from the formula.
        description: What it is, in words.
    """

    name: str
    formula: str
    unit: str | None = None
    description: str = ""


@dataclass(frozen=True)
class Input:
    """A time course given from outside by measured points.

    An input given by a formula of ``time`` is an `Assignment`.

    Args:
        name: Identifier used in formulas.
        times: Strictly increasing times, in the model's time unit.
        values: Value at each time, in `unit`: numbers, or formulas of parameters.
        interpolation: "linear", or "cubic" (natural cubic spline). Constant beyond both ends.
        unit: Unit of the values.
        description: What it is, in words.
    """

    name: str
    times: Sequence[float]
    values: Sequence[float | str]
    interpolation: Literal["linear", "cubic"] = "linear"
    unit: str = DIMENSIONLESS
    description: str = ""


@dataclass(frozen=True)
class Observable:
    """What an instrument reads.

    Args:
        name: Identifier; measurements refer to it.
        formula: Its definition in terms of the model's symbols.
        unit: Unit of the reading.
        description: What is measured and how.
    """

    name: str
    formula: str
    unit: str = DIMENSIONLESS
    description: str = ""


@dataclass(frozen=True)
class ConservedTotal:
    """A combination of states that the mechanism keeps constant between doses.

    Args:
        name: What is conserved.
        formula: A formula of states.
    """

    name: str
    formula: str


@dataclass(frozen=True)
class Event:
    """States set to new values at the moment when a condition becomes true.

    The assignments of an event happen at once, from the values before them. Of several events that are due at one
    moment the one with the highest priority goes first, and all conditions are looked at again after each; equal
    priorities, and events without one, go in the order of the model.

    Args:
        name: Identifier.
        trigger: Condition, for instance ``"V > 10 && time > 2"``.
        assignments: New value by state, numbers or formulas.
        delay: Time between trigger and execution, a number or a formula evaluated at the trigger [time unit].
        priority: A number or a formula, evaluated when the event is due.
        persistent: False if the event is dropped when its condition becomes false before it is executed.
        initially: The condition's value before the start; with False the event fires at the start if it holds there.
        from_trigger_time: Whether new values are computed when triggered (True) or when executed.
        description: What happens, in words.

    References:
        SBML Level 3 Version 2 Core, Release 2, section 4.11, whose semantics these are.
    """

    name: str
    trigger: str
    assignments: Mapping[str, float | str] = field(default_factory=dict)
    delay: float | str = 0.0
    priority: float | str | None = None
    persistent: bool = True
    initially: bool = True
    from_trigger_time: bool = True
    description: str = ""
