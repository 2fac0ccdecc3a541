"""Rules of plausible biology, written in a model's card and checked on posterior draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

from twin.errors import ModelError
from twin.model.model import Model


@dataclass(frozen=True)
class InRange:
    """A formula of the model's symbols, taken at the start, lies in a range: a half-life, a reproductive number.

    Args:
        name: What it is, in words.
        formula: Formula of parameters, assignments and states.
        low: Least plausible value, in the formula's own unit.
        high: Largest plausible value; infinity for none.
        source: Where the range comes from.
    """

    name: str
    formula: str
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class PeakTime:
    """The time at which an observable is largest lies in a range.

    Args:
        name: What it is, in words.
        observable: Name of an observable of the model.
        low: Earliest plausible time, in the model's unit.
        high: Latest plausible time.
        source: Where the range comes from.
    """

    name: str
    observable: str
    low: float
    high: float
    source: str


Rule = InRange | PeakTime


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
        if math.isnan(rule.low) or math.isnan(rule.high) or not rule.low < rule.high:
            raise ModelError(f"the range {rule.low:g} to {rule.high:g} is empty", where=where, expected="low < high")
        if not rule.source.strip():
            raise ModelError("it has no source", where=where, fix="say where the range comes from")
        if isinstance(rule, InRange):
            model.formula(rule.formula, where=where)
        elif rule.observable not in model.observable_names:
            raise ModelError(
                f"{rule.observable!r} is no observable", where=where, expected=", ".join(model.observable_names)
            )
