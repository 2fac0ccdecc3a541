"""The atoms of formulas: real symbols, ``time``, and numbers as doubles hold them."""

from __future__ import annotations

import math

import sympy as sp

TIME = sp.Symbol("time", real=True)

START = sp.Symbol("__start", real=True)
"""Start of the experiment, in terms of the past: before it nothing changes that has no history."""

# Above this, doubles no longer hold every whole number, and exact integers would pretend to a precision the
# simulation does not have.
_LARGEST_EXACT = 2**53


def symbol(name: str) -> sp.Symbol:
    """The symbol of a name; every symbol of a model is real."""
    return sp.Symbol(name, real=True)


def number(value: float) -> sp.Expr:
    """A double as a sympy number: a whole number exactly, anything else with 53 bits."""
    if value.is_integer() and abs(value) <= _LARGEST_EXACT:
        return sp.Integer(int(value))
    return sp.Float(value)


def is_finite(expression: sp.Expr) -> bool:
    """False if a constant in the expression is infinite, undefined or too large for a double."""
    if expression.has(sp.oo, -sp.oo, sp.zoo, sp.nan):
        return False
    return all(math.isfinite(float(constant)) for constant in expression.atoms(sp.Float))
