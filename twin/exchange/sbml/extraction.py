"""A libsbml document to records: the order in which its lists have to be read."""

from __future__ import annotations

from typing import Any

from twin.errors import DuplicateNameError
from twin.exchange.sbml.annotation import annotated
from twin.exchange.sbml.contents import Contents
from twin.exchange.sbml.document import Document, describe
from twin.exchange.sbml.events import read_events
from twin.exchange.sbml.mathml import MathReader
from twin.exchange.sbml.names import Names
from twin.exchange.sbml.quantities import elements, read_quantities
from twin.exchange.sbml.reactions import read_reactions
from twin.exchange.sbml.rules import read_initial_assignments, read_rules
from twin.exchange.sbml.units import unit_text


def extract(document: Document) -> Contents:
    """Everything that the model of a document says.

    Raises:
        ModelError: Something that contradicts SBML or itself, or that we do not simulate.
    """
    model = document.sbml.getModel()
    facts = annotated(model)
    contents = Contents(
        document.label,
        facts.get("name") or model.getId() or model.getName() or "model",
        Names(_ids(document)),
        time_unit=facts.get("time")
        or unit_text(model, model.getTimeUnits() or ("time" if model.getLevel() < 3 else "")),
        description=model.getName(),
    )
    maths = MathReader(contents.names.of)
    for element in elements(model.getNumFunctionDefinitions(), model.getFunctionDefinition):
        maths.define(element.getId(), element, describe(document.label, element, "function"))
    contents.quantities = read_quantities(document, contents.names.of)
    read_reactions(document, contents, maths)
    read_rules(document, contents, maths)
    read_initial_assignments(document, contents, maths)
    read_events(document, contents, maths)
    return contents


def _ids(document: Document) -> list[str]:
    """Every id that maths may use, in the order of the file."""
    model: Any = document.sbml.getModel()
    found = [
        element
        for count, get in (
            (model.getNumCompartments(), model.getCompartment),
            (model.getNumSpecies(), model.getSpecies),
            (model.getNumParameters(), model.getParameter),
            (model.getNumReactions(), model.getReaction),
        )
        for element in elements(count, get)
    ]
    for reaction in elements(model.getNumReactions(), model.getReaction):
        for count, get in (
            (reaction.getNumReactants(), reaction.getReactant),
            (reaction.getNumProducts(), reaction.getProduct),
        ):
            found += [element for element in elements(count, get) if element.getId()]
    ids: dict[str, None] = {}
    for element in found:
        if element.getId() in ids:
            raise DuplicateNameError(
                f"the id {element.getId()!r} is used twice",
                where=document.where(element),
                expected="one element for an id",
            )
        ids[element.getId()] = None
    return list(ids)
