"""Algebraic rules: which variable each determines, solved where it is linear in it.

Which variables are undetermined, and that every rule needs one of its own, follows SBML Level 3, section
4.11.5 (over-determination): a maximum matching of rules to variables has to cover the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from twin.errors import FormulaError, ModelError
from twin.exchange.sbml.contents import Contents, Quantity, Species
from twin.exchange.sbml.expression import Expression
from twin.exchange.sbml.places import placed
from twin.exchange.sbml.symbolic import from_sympy, to_sympy
from twin.model.functions import Delay, RateOf
from twin.model.symbols import symbol

_LARGEST_SYSTEM = 6
"""Most equations solved together by elimination, whose symbolic result grows fast."""


@dataclass
class Algebra:
    """What algebraic rules determine.

    Args:
        solutions: Formula by variable, where the rules could be solved for it.
        constraints: What has to be zero, by variable, where not.
    """

    solutions: dict[str, Expression] = field(default_factory=dict)
    constraints: dict[str, Expression] = field(default_factory=dict)


def solve_algebraic(contents: Contents) -> Algebra:
    """Finds what the algebraic rules of a model determine.

    Raises:
        ModelError: A rule has no variable left to determine.
    """
    algebra = Algebra()
    if not contents.algebraic:
        return algebra
    equations = [(_expanded(contents, rule, where), where) for rule, where in contents.algebraic]
    free = [name for name, quantity in contents.quantities.items() if _undetermined(quantity)]
    # Where there is a choice, events may keep what they assign to.
    free.sort(key=lambda name: contents.quantities[name].assigned)
    matched = _match(contents, equations, free)
    pending = {name: equation for name, (equation, _) in matched.items()}
    with placed(contents.algebraic[0][1]):
        _solve_one_by_one(pending, algebra, contents)
        if pending and not _solve_together(pending, algebra, contents):
            algebra.constraints.update({name: from_sympy(equation) for name, equation in pending.items()})
    return algebra


def _undetermined(quantity: Quantity) -> bool:
    if quantity.constant or quantity.rule is not None:
        return False
    return not (isinstance(quantity, Species) and quantity.changed_by_reactions)


def _expanded(contents: Contents, rule: Expression, where: str) -> sp.Expr:
    """The rule with assignment rules and rates put in, so that what they hide shows."""
    definitions = {
        name: quantity.formula for name, quantity in contents.quantities.items() if quantity.rule == "assignment"
    }
    definitions |= {reaction.name: reaction.rate for reaction in contents.reactions}
    for _ in range(len(definitions) + 1):
        used = {name: definitions[name] for name in rule.names if name in definitions}
        if not used:
            return to_sympy(rule, where)
        try:
            rule = rule.substitute(used)  # pyright: ignore[reportArgumentType]
        except FormulaError:
            break
    raise ModelError("the assignment rules that it uses define each other", where=where)


def _match(contents: Contents, equations: list[tuple[sp.Expr, str]], free: list[str]) -> dict[str, tuple[sp.Expr, str]]:
    """A variable for each equation, by augmenting paths; variables that events leave alone are tried first."""
    owner: dict[str, int] = {}
    candidates = [[name for name in free if symbol(name) in equation.free_symbols] for equation, _ in equations]

    def augment(index: int, allowed: set[str], visited: set[str]) -> bool:
        for name in candidates[index]:
            if name in allowed and name not in visited:
                visited.add(name)
                if name not in owner or augment(owner[name], allowed, visited):
                    owner[name] = index
                    return True
        return False

    calm = {name for name in free if not contents.quantities[name].assigned}
    unmatched = [index for index in range(len(equations)) if not augment(index, calm, set())]
    for index in unmatched:
        equation, where = equations[index]
        if equation != 0 and not augment(index, set(free), set()):
            raise ModelError(
                "the algebraic rule has no variable to determine: all in it is constant or determined otherwise",
                where=where,
                expected="as many undetermined variables as algebraic rules",
                fix='set constant="false" on what the rule is meant to determine',
            )
    return {name: equations[index] for name, index in owner.items()}


def _solve_one_by_one(pending: dict[str, sp.Expr], algebra: Algebra, contents: Contents) -> None:
    """Solves what holds one unknown only, as often as that makes others solvable."""
    progress = True
    while progress and pending:
        progress = False
        unknown = {symbol(name) for name in pending}
        for name, equation in list(pending.items()):
            if equation.free_symbols & unknown != {symbol(name)}:
                continue
            solution = None if contents.quantities[name].assigned else _linear(equation, symbol(name))
            if solution is None:
                algebra.constraints[name] = from_sympy(equation)
            else:
                algebra.solutions[name] = from_sympy(solution)
            del pending[name]
            progress = True
            break


def _linear(equation: sp.Expr, unknown: sp.Symbol) -> sp.Expr | None:
    """The solution of one linear equation; None if it is not linear."""
    parts = _coefficients(equation, [unknown])
    if parts is None or parts[0][0] == 0:
        return None
    (slope,), rest = parts
    return sp.Mul(-1, rest, sp.Pow(slope, -1))


def _coefficients(equation: sp.Expr, unknowns: list[sp.Symbol]) -> tuple[list[sp.Expr], sp.Expr] | None:
    """Slopes and rest of an equation that is linear in all unknowns; None if it is not."""
    inside = [node for kind in (Delay, RateOf, sp.Piecewise) for node in equation.atoms(kind)]
    if any(node.free_symbols & set(unknowns) for node in inside):
        return None
    slopes = [sp.diff(equation, unknown) for unknown in unknowns]
    if any(slope.free_symbols & set(unknowns) or slope.has(sp.Derivative) for slope in slopes):
        return None
    return slopes, equation.xreplace(dict.fromkeys(unknowns, sp.Integer(0)))


def _solve_together(pending: dict[str, sp.Expr], algebra: Algebra, contents: Contents) -> bool:
    """Solves a small linear system; False if it is not one."""
    unknowns = [symbol(name) for name in pending]
    if len(unknowns) > _LARGEST_SYSTEM or any(contents.quantities[name].assigned for name in pending):
        return False
    rows = [_coefficients(equation, unknowns) for equation in pending.values()]
    if any(row is None for row in rows):
        return False
    matrix = sp.Matrix([row[0] for row in rows if row is not None])
    right = sp.Matrix([-row[1] for row in rows if row is not None])
    if sp.simplify(matrix.det()) == 0:
        return False
    for name, value in zip(list(pending), matrix.LUsolve(right), strict=True):
        algebra.solutions[name] = from_sympy(sp.together(value))
    pending.clear()
    return True
