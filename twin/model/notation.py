"""Expressions arranged for the eye: numbers, then parameters, then what varies; gains before losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.core.relational import Relational

from twin.errors import UnitError
from twin.units import pretty

if TYPE_CHECKING:
    from twin.model.model import Model


def derivative(model: Model, name: str) -> sp.Expr:
    """Right-hand side of a state's equation, with rates put in and assignments kept by name."""
    terms = [
        changes[name] * model.definitions[reaction]
        for reaction, changes in zip(model.reaction_names, model.net_changes, strict=True)
        if name in changes
    ]
    size = model.parts[name].compartment
    reacting = sp.Add(*terms) / (1 if size is None else model.symbol(size))
    return reacting + model.ode_formulas.get(name, sp.Integer(0))


def arrange(model: Model, expression: Any) -> Any:
    """The same expression, its factors and terms in reading order and held there.

    Only for printing (with sympy's ``order="none"``): nothing in it is evaluated any more.
    """
    if not expression.args or not expression.free_symbols:
        return expression
    arguments = [arrange(model, argument) for argument in expression.args]
    if isinstance(expression, sp.Mul):
        arguments.sort(key=lambda factor: _rank_factor(model, factor))
        return sp.Mul(*arguments, evaluate=False)
    if isinstance(expression, sp.Add):
        arguments.sort(key=lambda term: (_is_loss(term), sp.default_sort_key(term)))
        return sp.Add(*arguments, evaluate=False)
    if isinstance(expression, (sp.Pow, sp.Function, sp.Min, sp.Max, Relational)):
        return expression.func(*arguments, evaluate=False)
    return expression.func(*arguments)


def _rank_factor(model: Model, factor: sp.Basic) -> tuple[int, int, str]:
    if factor.is_number:
        return (0, 0, str(factor))
    names = [*model.parameter_names, *model.assignment_names, *model.input_names, *model.state_names]
    position = {name: index for index, name in enumerate(names)}
    # By what is declared last among its symbols, so that k_on * (1 - x) stays in that order.
    last = max(position.get(str(item), len(names)) for item in factor.free_symbols)
    return (1 if factor.is_Symbol or factor.is_Pow else 2, last, str(factor))


def _is_loss(term: sp.Basic) -> bool:
    return isinstance(term, sp.Expr) and term.could_extract_minus_sign()


def unit(model: Model, name: str) -> str:
    """Unit for display; empty if dimensionless or not to be worked out (a model with unchecked units)."""
    try:
        return pretty(model.unit(name))
    except UnitError:
        return ""
