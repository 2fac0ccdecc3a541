"""Events of our model to SBML."""

from __future__ import annotations

from typing import Any

from twin.exchange.sbml.digits import Digits
from twin.exchange.sbml.mathml_writing import to_ast
from twin.model.formula import parse
from twin.model.model import Model


def write_events(sbml: Any, model: Model, digits: Digits) -> None:
    """Adds all events to a model of libsbml."""
    for event in model.events:
        element = sbml.createEvent()
        element.setId(event.name)
        element.setUseValuesFromTriggerTime(event.from_trigger_time)
        if event.description:
            element.setName(event.description)
        trigger = element.createTrigger()
        trigger.setPersistent(event.persistent)
        trigger.setInitialValue(event.initially)
        trigger.setMath(to_ast(parse(event.trigger), digits))
        if event.delay != 0.0:
            element.createDelay().setMath(to_ast(parse(event.delay), digits))
        if event.priority is not None:
            element.createPriority().setMath(to_ast(parse(event.priority), digits))
        for state, value in event.assignments.items():
            assignment = element.createEventAssignment()
            assignment.setVariable(state)
            assignment.setMath(to_ast(parse(value), digits))
