"""Text of a formula to a sympy expression.

The grammar is that of PEtab's maths: ``+ - * / ^``, comparisons, ``&& || !``, ``piecewise`` and the usual
functions. ``**`` is read as ``^``. Nothing is ever evaluated as Python.

We parse ourselves rather than with `petab.v1.math.sympify_petab`, which the tests use as a second opinion:
importing that takes seconds (all of petab, pandas and libsbml), ``10^10^10^10`` never ends, sums of a
thousand terms exhaust the stack, and ``a || b && c`` is read from left to right. Here the first three work or
are refused at once, and what is ambiguous is refused with a request for parentheses.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

import sympy as sp
from sympy.logic.boolalg import Boolean

from twin.errors import FormulaError
from twin.model.grammar import Parser
from twin.model.symbols import is_finite, number

MAX_LENGTH = 100_000


def parse(formula: str | float | sp.Expr, *, where: str | None = None, petab: bool = False) -> sp.Expr:
    """Reads a formula.

    Args:
        formula: Text, or a number. A sympy expression is returned as it is.
        where: What the formula belongs to, for messages.
        petab: Reads what PEtab allows and models do not: infinite values, and && beside || (from left to right).

    Returns:
        Real expression whose symbols carry the names of the text. A comparison counts as 1 or 0.

    Raises:
        FormulaError: The text is not a formula, is longer than 100,000 characters, nests deeper than 64
            levels, or has no finite real value. The message gives the position of the fault, counted from 1.

    Example:
        >>> parse("p * I - c * V")
        I*p - V*c
    """
    if isinstance(formula, sp.Expr):
        return formula
    if isinstance(formula, str):
        try:
            return _parse_text(formula, petab)
        except FormulaError as error:
            raise FormulaError(error.found, where=where, expected=error.expected, fix=error.fix) from None
    try:
        value = float(formula)
    except (TypeError, ValueError):
        raise FormulaError(
            f"a formula is a {type(formula).__name__}", where=where, expected="text or a number"
        ) from None
    if not math.isfinite(value):
        raise FormulaError(f"the value is {value}", where=where, expected="a finite number")
    return number(value)


def as_condition(expression: sp.Basic) -> Boolean:
    """The truth value that a parsed formula stands for: itself if it was a condition, else whether it is not 0."""
    if isinstance(expression, sp.Piecewise) and len(expression.args) == 2:
        (one, condition), (zero, otherwise) = (branch.args for branch in expression.args)
        if (one, zero, otherwise) == (1, 0, sp.true):
            return cast("Boolean", condition)
    return cast("Boolean", sp.Ne(expression, 0) if isinstance(expression, sp.Expr) else expression)


@lru_cache(maxsize=16384)
def _parse_text(text: str, petab: bool) -> sp.Expr:
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text):,} characters",
            expected=f"at most {MAX_LENGTH:,}",
            fix="split it into assignments",
        )
    try:
        expression = Parser(text, petab=petab).read()
        finite = is_finite(expression) or (petab and expression in (sp.oo, -sp.oo))
        real = not expression.has(sp.I)
    except FormulaError:
        raise
    except (ValueError, TypeError) as error:
        # sympy refuses to compare or order what it knows is not real, such as min(x, sqrt(-x^2)).
        raise FormulaError(
            f"the formula {_shorten(text)} has no real value ({error})", expected="a real value"
        ) from None
    except RecursionError:
        raise FormulaError(f"the formula {_shorten(text)} nests too deeply", fix="split it into assignments") from None
    if not finite:
        raise FormulaError(f"the formula {_shorten(text)} is not finite", expected="finite numbers")
    if not real:
        raise FormulaError(f"the formula {_shorten(text)} is not real", expected="a real value")
    return expression


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
