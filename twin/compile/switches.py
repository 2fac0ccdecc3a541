"""Times at which piecewise terms switch, found symbolically.

A step must not cross a jump of the vector field. Where a condition compares time with parameters, its edge is solved
for time and becomes the end of a segment.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp
from sympy.core.relational import Relational

from twin.errors import UnsupportedModelError

TIME = sp.Symbol("time", real=True)


def switch_times(expressions: Iterable[sp.Expr], frozen: frozenset[sp.Symbol]) -> tuple[sp.Expr, ...]:
    """Formulas of parameters for the times at which conditions on time alone change.

    Args:
        expressions: Expanded right-hand sides.
        frozen: Time and all parameters. Conditions on states are left to the step control.

    Raises:
        UnsupportedModelError: an edge in time that is not linear in time.
    """
    found: dict[sp.Expr, None] = {}
    for expression in expressions:
        for relation in _edges(expression):
            symbols = relation.free_symbols
            if TIME in symbols and symbols <= frozen:
                for time in _solve_for_time(relation):
                    found[time] = None
    return tuple(sorted(found, key=sp.default_sort_key))


def _edges(expression: sp.Expr) -> Iterable[sp.Expr]:
    """Expressions whose sign changes where a branch, a minimum or an absolute value switches."""
    for relation in expression.atoms(Relational):
        yield relation.lhs - relation.rhs
    for fold in expression.atoms(sp.Min, sp.Max):
        first, *others = fold.args
        for other in others:
            yield first - other
    for function in expression.atoms(sp.Heaviside, sp.sign, sp.Abs):
        yield function.args[0]


def _solve_for_time(edge: sp.Expr) -> list[sp.Expr]:
    polynomial = sp.Poly(edge, TIME) if edge.is_polynomial(TIME) else None
    if polynomial is None or polynomial.degree() != 1:
        raise UnsupportedModelError(
            f"a term switches where {edge} changes sign, which is not linear in time",
            expected="conditions such as time < t_on",
            fix="write the switch as comparisons of time with parameters",
        )
    slope, intercept = polynomial.all_coeffs()
    return [-intercept / slope]
