"""Rules and initial assignments of a libsbml model, written into the records of what they determine."""

from __future__ import annotations

from twin.errors import DuplicateNameError, ModelError, UnknownSymbolError
from twin.exchange.sbml.contents import Contents, Quantity
from twin.exchange.sbml.document import Document, describe
from twin.exchange.sbml.mathml import MathReader
from twin.exchange.sbml.quantities import elements


def read_rules(document: Document, contents: Contents, maths: MathReader) -> None:
    """Reads all rules; those without maths have no effect.

    Raises:
        ModelError: Two rules for one variable, a variable that is not there, or maths that cannot be read.
    """
    model = document.sbml.getModel()
    for rule in elements(model.getNumRules(), model.getRule):
        if rule.isAlgebraic():
            where = describe(document.label, rule, "algebraic rule", "")
            if rule.getMath() is not None:
                contents.algebraic.append((maths.read(rule.getMath(), where), where))
            continue
        kind = "assignment" if rule.isAssignment() else "rate"
        where = describe(document.label, rule, f"{kind} rule", rule.getVariable())
        quantity = _target(contents, rule.getVariable(), where)
        if quantity.rule is not None:
            raise DuplicateNameError(
                f"{quantity.name!r} has two rules", where=where, expected="one rule for a variable", fix="remove one"
            )
        if rule.getMath() is None:
            quantity.rule = "empty"
            continue
        quantity.rule, quantity.formula = kind, maths.read(rule.getMath(), where)


def read_initial_assignments(document: Document, contents: Contents, maths: MathReader) -> None:
    """Reads all initial assignments.

    Raises:
        ModelError: A symbol that is not there, or that an assignment rule determines already.
    """
    model = document.sbml.getModel()
    for element in elements(model.getNumInitialAssignments(), model.getInitialAssignment):
        where = describe(document.label, element, "initial assignment", element.getSymbol())
        quantity = _target(contents, element.getSymbol(), where)
        if element.getMath() is None:
            continue
        if quantity.rule == "assignment":
            raise ModelError(
                f"{quantity.name!r} also has an assignment rule", where=where, expected="one of them", fix="remove one"
            )
        quantity.initial = maths.read(element.getMath(), where)


def _target(contents: Contents, identifier: str, where: str) -> Quantity:
    unique = contents.names.of.get(identifier)
    if unique is None or unique not in contents.quantities:
        raise UnknownSymbolError(
            f"there is no {identifier!r} that can be changed",
            where=where,
            expected="a species, compartment, parameter or species reference",
        )
    return contents.quantities[unique]
