"""Reactions of a libsbml model to records: rate, stoichiometry, local parameters, species references."""

from __future__ import annotations

from typing import Any

from twin.errors import ModelError, UnknownSymbolError
from twin.exchange.sbml.contents import Contents, Quantity, ReactionContent, Species, Term
from twin.exchange.sbml.document import Document
from twin.exchange.sbml.expression import name, negative, number
from twin.exchange.sbml.mathml import MathReader
from twin.exchange.sbml.quantities import elements, finite
from twin.exchange.sbml.units import unit_text


def read_reactions(document: Document, contents: Contents, maths: MathReader) -> None:
    """Adds reactions, and species references and local parameters as quantities.

    Raises:
        ModelError: Maths that cannot be read, or a species that is not there.
    """
    model = document.sbml.getModel()
    for element in elements(model.getNumReactions(), model.getReaction):
        where = document.where(element, "reaction")
        terms = []
        for count, get, sign in (
            (element.getNumReactants(), element.getReactant, -1),
            (element.getNumProducts(), element.getProduct, 1),
        ):
            for reference in elements(count, get):
                terms.append(_term(document, contents, maths, reference, sign))
        contents.reactions.append(
            ReactionContent(
                contents.names.of[element.getId()],
                where,
                _rate(document, contents, maths, element, where),
                tuple(terms),
                element.getName(),
                element.isSetFast() and element.getFast(),
            )
        )


def _rate(document: Document, contents: Contents, maths: MathReader, element: Any, where: str) -> Any:
    law = element.getKineticLaw()
    if law is None or law.getMath() is None:
        return number(0.0)  # No maths has no effect (Level 3 Version 2, section 3.4.1).
    local = {}
    # In Levels 1 and 2 local parameters are plain parameters of the law, which libsbml keeps in another list.
    if document.sbml.getLevel() > 2:
        parameters = elements(law.getNumLocalParameters(), law.getLocalParameter)
    else:
        parameters = elements(law.getNumParameters(), law.getParameter)
    for parameter in parameters:
        place = f"{document.where(parameter, 'local parameter')} of reaction {element.getId()!r}"
        unique = contents.names.free(f"{element.getId()}_{parameter.getId()}")
        local[parameter.getId()] = unique
        contents.quantities[unique] = Quantity(
            unique,
            "parameter",
            place,
            constant=True,
            value=finite(parameter.getValue() if parameter.isSetValue() else None, "value", place),
            unit=unit_text(document.sbml.getModel(), parameter.getUnits()),
            description=parameter.getName(),
        )
    return maths.read(law.getMath(), f"{where}, kinetic law", local)


def _term(document: Document, contents: Contents, maths: MathReader, reference: Any, sign: int) -> Term:
    where = document.where(reference, "species reference", reference.getId() or reference.getSpecies())
    species = contents.quantities.get(contents.names.of.get(reference.getSpecies(), ""))
    if not isinstance(species, Species):
        raise UnknownSymbolError(f"there is no species {reference.getSpecies()!r}", where=where, expected="a species")
    species.reacts = True
    identifier = reference.getId()
    written = reference.getStoichiometryMath()
    if written is not None and written.getMath() is not None:
        stoichiometry = maths.read(written.getMath(), f"{where}, stoichiometry")
    elif identifier:
        unique = contents.names.of[identifier]
        contents.quantities[unique] = Quantity(
            unique,
            "stoichiometry",
            where,
            # Level 2 has no such attribute; nothing there can change a stoichiometry but its own maths.
            constant=reference.getConstant() if document.sbml.getLevel() > 2 else True,
            value=_value(document, reference, where),
            description=reference.getName(),
        )
        stoichiometry = name(unique)
    else:
        value = _value(document, reference, where)
        if value is None:
            raise ModelError("the stoichiometry is not given", where=where, expected="a number", fix="write 1")
        stoichiometry = number(value)
    return Term(species.name, negative(stoichiometry) if sign < 0 else stoichiometry)


def _value(document: Document, reference: Any, where: str) -> float | None:
    if document.sbml.getLevel() > 2 and not reference.isSetStoichiometry():
        return None
    value = reference.getStoichiometry()
    denominator = reference.getDenominator() if document.sbml.getLevel() == 1 else 1
    return finite(value / denominator if denominator else float("nan"), "stoichiometry", where)
