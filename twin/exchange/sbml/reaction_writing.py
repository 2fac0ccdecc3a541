"""Reactions of our model to SBML: net changes as reactants and products, modifiers, rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from twin.exchange.sbml.digits import Digits
from twin.exchange.sbml.mathml_writing import to_ast
from twin.exchange.sbml.names import Names
from twin.model.model import Model
from twin.model.parts import Reaction


def write_reaction(
    sbml: Any,
    part: Reaction,
    changes: Mapping[str, sp.Expr],
    rate: sp.Expr,
    model: Model,
    names: Names,
    digits: Digits,
) -> None:
    """Adds a reaction.

    Args:
        sbml: Model of libsbml.
        part: The reaction.
        changes: Net change of each state.
        rate: Its rate, as written.
        model: The model it belongs to.
        names: Names still free, for the references of stoichiometries that are formulas.
        digits: Keeps all digits of numbers.
    """
    element = sbml.createReaction()
    element.setId(part.name)
    element.setReversible(True)
    if part.description:
        element.setName(part.description)
    for state, change in changes.items():
        consumed = change.is_number and change.is_negative
        reference = element.createReactant() if consumed else element.createProduct()
        reference.setSpecies(state)
        if change.is_number:
            reference.setStoichiometry(digits.attribute(abs(float(change))))
            reference.setConstant(True)
            continue
        reference.setId(names.free(f"{part.name}_{state}"))
        reference.setConstant(False)
        rule = sbml.createAssignmentRule()
        rule.setVariable(reference.getId())
        rule.setMath(to_ast(change, digits))
    used = {item.name for item in rate.free_symbols if isinstance(item, sp.Symbol)}
    for state in model.state_names:
        if state in used and state not in changes and sbml.getParameter(state) is None:
            element.createModifier().setSpecies(state)
    element.createKineticLaw().setMath(to_ast(rate, digits))
