"""Symbolic derivatives that can be evaluated wherever the expression itself can.

Sympy differentiates a power as ``b**e * e * b'/b``, which is 0/0 at b = 0 (a Hill term before the first dose), and
leaves derivatives of rounding, signs and absolute values of what it does not know to be real unevaluated.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair

_FLAT = (sp.sign, sp.Heaviside, sp.floor, sp.ceiling)
"""Functions whose derivative is zero almost everywhere."""


class _Power(sp.Function):
    """A power whose derivative in its base is ``e * b**(e - 1)``, never a quotient by the base."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        base, exponent = self.args
        return exponent * _Power(base, exponent - 1) if argindex == 1 else self * sp.log(base)


def derivatives(expression: sp.Expr, symbols: Sequence[sp.Symbol]) -> list[sp.Expr]:
    """Partial derivatives in each of the symbols; at a kink that of one of its sides, or their mean."""
    constants: dict[sp.Basic, sp.Dummy] = {}
    prepared = _prepare(expression, constants)
    back = {dummy: node for node, dummy in constants.items()}
    return [sp.diff(prepared, symbol).xreplace(back).replace(_Power, sp.Pow) for symbol in symbols]


def _prepare(node: sp.Basic, constants: dict[sp.Basic, sp.Dummy]) -> sp.Basic:
    """Powers as `_Power`, and what is locally constant as symbols, to be put back after differentiating."""

    def constant(value: sp.Basic) -> sp.Dummy:
        return constants.setdefault(value, sp.Dummy(real=True))

    if not node.args:
        return node
    if isinstance(node, _FLAT):
        return constant(node)
    if isinstance(node, ExprCondPair):
        return ExprCondPair(_prepare(node.expr, constants), node.cond)
    args = [_prepare(arg, constants) for arg in node.args]
    if isinstance(node, sp.Abs):
        return constant(sp.sign(node.args[0])) * args[0]
    if isinstance(node, sp.Pow) and not node.exp.is_Integer and node.base is not sp.E:
        return _Power(*args)
    if isinstance(node, sp.Piecewise):
        return sp.Piecewise(*args, evaluate=False)
    return node.func(*args)
