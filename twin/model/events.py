"""What an event says, as formulas that are checked against the model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import sympy as sp
from sympy.logic.boolalg import Boolean

from twin.errors import ModelError, UnknownSymbolError, suggestion
from twin.model.formula import as_condition
from twin.model.parts import Event

if TYPE_CHECKING:
    from twin.model.model import Model


class EventFormulas(NamedTuple):
    """The formulas of an event.

    Args:
        trigger: Condition.
        delay: Time between trigger and execution.
        priority: Order among events due at one moment; None if it has none.
        assignments: New value by state.
    """

    trigger: Boolean
    delay: sp.Expr
    priority: sp.Expr | None
    assignments: Mapping[str, sp.Expr]


def formulas(model: Model, event: Event) -> EventFormulas:
    """Reads the formulas of an event.

    Raises:
        FormulaError: A text that is not a formula.
        UnknownSymbolError: A target that is not a state, or a name that is not there.
        ModelError: A negative delay, or a target that a constraint determines.
    """
    where = f"model {model.name!r}, event {event.name!r}"
    for name in event.assignments:
        if name not in model.state_names:
            raise UnknownSymbolError(
                f"the event sets {name!r}, which is not a state",
                where=where,
                expected="states of the model",
                fix=suggestion(str(name), model.state_names),
            )
        if name in model.constraints:
            raise ModelError(f"the event sets {name!r}, which a constraint determines", where=where)
    delay = model.formula(event.delay, where=where)
    if delay.is_number and float(delay) < 0:
        raise ModelError(f"the delay is {float(delay):g}", where=where, expected="a delay of at least 0")
    return EventFormulas(
        trigger=as_condition(model.formula(event.trigger, where=where)),
        delay=delay,
        priority=None if event.priority is None else model.formula(event.priority, where=where),
        assignments=MappingProxyType(
            {name: model.formula(value, where=where) for name, value in event.assignments.items()}
        ),
    )
