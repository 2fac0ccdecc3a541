"""Events of a libsbml model to records."""

from __future__ import annotations

from typing import Any

from twin.errors import DuplicateNameError, ModelError, UnknownSymbolError
from twin.exchange.sbml.contents import Contents, EventContent
from twin.exchange.sbml.document import Document, describe
from twin.exchange.sbml.expression import Expression
from twin.exchange.sbml.mathml import MathReader
from twin.exchange.sbml.quantities import elements


def read_events(document: Document, contents: Contents, maths: MathReader) -> None:
    """Reads all events but those that never happen or change nothing.

    Raises:
        ModelError: A variable that is not there, is constant or is determined by a rule; maths that cannot be read.
    """
    model = document.sbml.getModel()
    for index, element in enumerate(elements(model.getNumEvents(), model.getEvent)):
        identifier = element.getId()
        where = describe(document.label, element, "event", identifier or f"number {index + 1}")
        trigger = element.getTrigger()
        assignments = _assignments(document, contents, maths, element, where)
        if trigger is None or trigger.getMath() is None or not assignments:
            continue
        later = document.sbml.getLevel() > 2
        contents.events.append(
            EventContent(
                contents.names.free(identifier or f"event_{index + 1}"),
                where,
                maths.read(trigger.getMath(), f"{where}, trigger"),
                assignments,
                _optional(maths, element.getDelay(), f"{where}, delay"),
                _optional(maths, element.getPriority() if later else None, f"{where}, priority"),
                # Levels 1 and 2 have neither attribute: their triggers begin as true and, once met, stay met.
                persistent=trigger.getPersistent() if later else True,
                initially=trigger.getInitialValue() if later else True,
                from_trigger_time=element.getUseValuesFromTriggerTime(),
                description=element.getName(),
            )
        )


def _optional(maths: MathReader, element: Any, where: str) -> Expression | None:
    return None if element is None or element.getMath() is None else maths.read(element.getMath(), where)


def _assignments(
    document: Document, contents: Contents, maths: MathReader, event: Any, where: str
) -> dict[str, Expression]:
    found: dict[str, Expression] = {}
    for element in elements(event.getNumEventAssignments(), event.getEventAssignment):
        identifier = element.getVariable()
        place = f"{where}, {describe(document.label, element, 'assignment to', identifier)}"
        quantity = contents.quantities.get(contents.names.of.get(identifier, ""))
        if quantity is None:
            raise UnknownSymbolError(f"there is no {identifier!r} that can be changed", where=place)
        if quantity.constant or quantity.rule == "assignment":
            reason = "is constant" if quantity.constant else "has an assignment rule"
            raise ModelError(f"{identifier!r} {reason}", where=place, expected="something that an event can change")
        if quantity.name in found:
            raise DuplicateNameError(f"{identifier!r} is assigned twice", where=place, expected="one assignment")
        if element.getMath() is None:
            continue
        found[quantity.name] = maths.read(element.getMath(), place)
        quantity.assigned = True
    return found
