"""Times at which piecewise terms switch, found symbolically.

A step must not cross a jump or a kink of the vector field. Where a condition compares time with parameters, its edge is
solved for time and becomes the end of a segment.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import sympy as sp
from sympy.core.relational import Relational

TIME = sp.Symbol("time", real=True)
MIDDLE = sp.Symbol("time__middle", real=True)
"""Middle of the current segment; the conditions that only change at its ends are decided there."""
_HIDDEN = (sp.Abs, sp.sign, sp.Heaviside, sp.Min, sp.Max)


def switch_times(expressions: Iterable[sp.Expr], frozen: frozenset[sp.Symbol]) -> tuple[sp.Expr, ...]:
    """Formulas of parameters for the times at which conditions on time alone change.

    Args:
        expressions: Expanded right-hand sides, after `expose_switches`, or conditions.
        frozen: Time and all parameters. Conditions on states, and those that are not linear in time, are left to the
            step control.
    """
    found = {
        _solve_for_time(edge): None
        for expression in expressions
        for edge in jumps(expression)
        if edge.free_symbols <= frozen and _is_linear(edge)
    }
    return tuple(sorted(found, key=sp.default_sort_key))


def decide_by_segment(expression: sp.Expr, frozen: frozenset[sp.Symbol]) -> sp.Expr:
    """The expression with the comparisons that `switch_times` finds decided at the middle of the segment."""
    if TIME not in frozen:
        return expression
    decided = {
        relation: relation.xreplace({TIME: MIDDLE})
        for relation in expression.atoms(Relational)
        if relation.free_symbols <= frozen and _is_linear(relation.lhs - relation.rhs)
    }
    return expression.xreplace(decided) if decided else expression


def expose_switches(expression: sp.Expr, frozen: frozenset[sp.Symbol]) -> sp.Expr:
    """Writes minima, maxima, absolute values and signs that switch at times linear in time as piecewise terms.

    Where the edge is not linear in time a kink is left to the step control, as conditions on states are.
    """
    replacements = {}
    for node in sorted(expression.atoms(*_HIDDEN), key=lambda node: node.count_ops()):
        in_time = [edge for edge in _edges(node) if TIME in edge.free_symbols]
        if in_time and node.free_symbols <= frozen and all(map(_is_linear, in_time)):
            replacements[node] = _as_piecewise(node)
    return expression.xreplace(replacements) if replacements else expression


def lock_symbols(expressions: Iterable[sp.Expr], frozen: frozenset[sp.Symbol]) -> dict[sp.Basic, sp.Basic]:
    """Comparisons that change at moments which only the integration can find, each with a lock that stands for it.

    A step must not cross a jump of the vector field, so such a comparison keeps its truth value during a step, and the
    step ends where it changes. A lock is a comparison of a symbol, 1 or 0, with one half.
    """
    found = {
        relation
        for expression in expressions
        for relation in expression.atoms(sp.StrictLessThan, sp.LessThan, sp.StrictGreaterThan, sp.GreaterThan)
        if not (relation.free_symbols <= frozen and (TIME not in relation.free_symbols or _is_linear(_edge(relation))))
    }
    ordered = sorted(found, key=sp.default_sort_key)
    half = sp.Rational(1, 2)
    return {relation: sp.Symbol(f"__lock{index}", real=True) > half for index, relation in enumerate(ordered)}


def _edge(relation: Relational) -> sp.Expr:
    return relation.lhs - relation.rhs


def jumps(expression: sp.Expr) -> Iterable[sp.Expr]:
    """Expressions at whose sign changes the value may jump."""
    for relation in expression.atoms(Relational):
        yield relation.lhs - relation.rhs
    for function in expression.atoms(sp.Heaviside, sp.sign):
        yield function.args[0]


def _edges(node: sp.Expr) -> list[sp.Expr]:
    """Expressions whose sign changes where a minimum, a maximum, an absolute value or a sign switches."""
    if isinstance(node, (sp.Min, sp.Max)):
        return [first - second for first, second in combinations(node.args, 2)]
    return [node.args[0]]


def _as_piecewise(node: sp.Expr) -> sp.Expr:
    first = node.args[0]
    if isinstance(node, sp.Abs):
        return sp.Piecewise((first, first >= 0), (-first, True))
    if isinstance(node, (sp.sign, sp.Heaviside)):
        below, at = (-1, 0) if isinstance(node, sp.sign) else (0, sp.Rational(1, 2))
        return sp.Piecewise((1, first > 0), (at, sp.Eq(first, 0)), (below, True))
    beats = sp.Ge if isinstance(node, sp.Max) else sp.Le
    others = list(node.args)
    branches = []
    while len(others) > 1:
        candidate = others.pop(0)
        branches.append((candidate, sp.And(*(beats(candidate, other) for other in others))))
    return sp.Piecewise(*branches, (others[0], True))


def _is_linear(edge: sp.Expr) -> bool:
    return TIME in edge.free_symbols and edge.is_polynomial(TIME) and sp.Poly(edge, TIME).degree() == 1


def _solve_for_time(edge: sp.Expr) -> sp.Expr:
    slope, intercept = sp.Poly(edge, TIME).all_coeffs()
    return -intercept / slope
