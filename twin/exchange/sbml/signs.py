"""Signs of formulas, from signs of what stands in them: species and sizes are positive, parameters have values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp


class Signs:
    """What is known about signs.

    Args:
        value: The value of a formula of constants; None for anything that changes.
        known: Sign (1 or -1) of what changes, where it keeps one.
    """

    def __init__(self, value: Callable[[sp.Expr], float | None], known: Mapping[sp.Symbol, int]) -> None:
        self._value, self._known = value, dict(known)

    def with_known(self, known: Mapping[sp.Symbol, int]) -> Signs:
        """The same with more signs, or better ones."""
        return Signs(self._value, {**self._known, **known})

    def constant(self, expression: sp.Expr) -> float | None:
        """The value of a formula of constants; None if it changes."""
        return self._value(expression)

    def of(self, expression: sp.Basic) -> int | None:
        """1, -1 or 0; None if the sign is not known or changes."""
        found: Any = expression
        if isinstance(found, sp.Symbol) and found in self._known:
            return self._known[found]
        value = self._value(found)
        if value is not None:
            return (value > 0) - (value < 0)
        if isinstance(found, sp.Add):
            signs = {self.of(term) for term in found.args} - {0}
            return signs.pop() if len(signs) == 1 else None if signs else 0
        if isinstance(found, sp.Mul):
            product = 1
            for factor in found.args:
                sign = self.of(factor)
                if sign is None:
                    return None
                product *= sign
            return product
        if isinstance(found, sp.Pow):
            return self._power(*found.args)
        if isinstance(found, sp.exp):
            return 1
        if isinstance(found, sp.Piecewise):
            pieces: tuple[Any, ...] = found.args
            signs = {self.of(piece[0]) for piece in pieces}
            return signs.pop() if len(signs) == 1 else None
        return None

    def _power(self, base: Any, exponent: Any) -> int | None:
        sign = self.of(base)
        if sign == 1:
            return 1
        if sign == -1 and exponent.is_Integer:
            return 1 if exponent % 2 == 0 else -1
        return None


def signs_where(condition: sp.Basic) -> dict[sp.Symbol, int]:
    """Signs of symbols that a condition tells, such as that of ``k > 0``; borders count as inside."""
    found: Any = condition
    if isinstance(found, sp.And):
        return {symbol: sign for part in found.args for symbol, sign in signs_where(part).items()}
    if isinstance(found, (sp.Gt, sp.Ge, sp.Lt, sp.Le)):
        above, below = (found.lhs, found.rhs) if isinstance(found, (sp.Gt, sp.Ge)) else (found.rhs, found.lhs)
        if isinstance(above, sp.Symbol) and below.is_number and below >= 0:
            return {above: 1}
        if isinstance(below, sp.Symbol) and above.is_number and above <= 0:
            return {below: -1}
    return {}
