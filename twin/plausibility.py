"""Rules of plausible biology, written in a model's card as formulas of its symbols and checked on posterior draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

from twin.errors import ModelError
from twin.experiment.experiment import Experiment
from twin.model.model import Model


@dataclass(frozen=True)
class InRange:
    """A formula lies in a range: a half-life, a reproductive number, a concentration that must not be negative.

    Args:
        name: What it is, in words.
        formula: Formula of parameters, assignments and states, in PEtab's grammar.
        low: Least plausible value, in the formula's own unit.
        high: Largest plausible value; infinity for none.
        source: Where the range comes from.
        always: The formula is taken at all times, not only at the start.
    """

    name: str
    formula: str
    low: float
    high: float
    source: str
    always: bool = False


@dataclass(frozen=True)
class PeakTime:
    """The time at which an observable is largest lies in a range.

    Args:
        name: What it is, in words.
        observable: Name of an observable of the model.
        low: Earliest plausible time [model time unit].
        high: Latest plausible time, finite: trajectories are followed a little beyond it.
        source: Where the range comes from.
    """

    name: str
    observable: str
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class Monotone:
    """A formula rises, or falls, from one experiment to the next: a response to a dose.

    Args:
        name: What it is, in words.
        formula: Formula of the model's symbols.
        experiments: At least two experiments, in the order of the dose.
        time: When the formula is read [model time unit].
        rises: It rises with the dose; else it falls. Equal values are allowed.
        source: Why it must.
    """

    name: str
    formula: str
    experiments: tuple[Experiment, ...]
    time: float
    rises: bool
    source: str


Rule = InRange | PeakTime | Monotone


def check_rules(model: Model, rules: tuple[Rule, ...]) -> None:
    """Refuse rules that cannot be checked.

    Raises:
        FormulaError: A formula is none.
        UnknownSymbolError: It uses a name that the model lacks.
        ModelError: A range is empty, a source is missing, a name occurs twice, an observable is not there.
    """
    names = [rule.name for rule in rules]
    for rule in rules:
        where = f"card of {model.name!r}, rule {rule.name!r}"
        if names.count(rule.name) > 1:
            raise ModelError("the name occurs twice", where=where, expected="one rule per name")
        if not rule.source.strip():
            raise ModelError("it has no source", where=where, fix="say where the rule comes from")
        if isinstance(rule, PeakTime):
            if rule.observable not in model.observable_names:
                raise ModelError(
                    f"{rule.observable!r} is no observable", where=where, expected=", ".join(model.observable_names)
                )
        else:
            model.formula(rule.formula, where=where)
        if isinstance(rule, Monotone):
            _check_doses(rule, where)
        else:
            _check_range(rule, where)


def _check_range(rule: InRange | PeakTime, where: str) -> None:
    if math.isnan(rule.low) or math.isnan(rule.high) or not rule.low < rule.high:
        raise ModelError(f"the range {rule.low:g} to {rule.high:g} is empty", where=where, expected="low < high")
    if isinstance(rule, PeakTime) and not math.isfinite(rule.high):
        raise ModelError("the latest time is not finite", where=where, fix="say until when a peak is plausible")


def _check_doses(rule: Monotone, where: str) -> None:
    if len(rule.experiments) < 2:
        raise ModelError(f"it has {len(rule.experiments)} experiments", where=where, expected="two or more to compare")
    late = max(experiment.t0 for experiment in rule.experiments)
    if not (math.isfinite(rule.time) and rule.time > late):
        raise ModelError(f"it is read at {rule.time:g}", where=where, expected=f"a finite time after {late:g}")
