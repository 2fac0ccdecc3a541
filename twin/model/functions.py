"""The functions a formula may call: how each is built symbolically and computed on plain numbers.

The list is that of PEtab's maths, plus ``floor`` and ``ceil``. A call whose arguments are all numbers is
computed at once in double precision: sympy would otherwise evaluate ``exp(1e9)`` or ``10^10^10`` in exact or
unlimited arithmetic, which does not end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Function:
    """A function of the grammar.

    Args:
        build: Makes the sympy expression.
        compute: Gives the value for plain numbers; raises `ValueError`, `OverflowError` or
            `ZeroDivisionError` where there is none.
        fewest: Smallest number of arguments.
        most: Largest number of arguments; None for any.
    """

    build: Callable[..., sp.Expr]
    compute: Callable[..., float]
    fewest: int = 1
    most: int | None = 1


class Delay(sp.Function):
    """``delay(x, lag)``: the value that x had a time `lag` ago."""

    nargs = 2
    is_real = True


class RateOf(sp.Function):
    """``rateOf(x)``: the time derivative of x along the equations."""

    nargs = 1
    is_real = True


def _sign(x: float) -> float:
    return math.copysign(1.0, x) if x else 0.0


def _reciprocal(function: Callable[[float], float]) -> Callable[[float], float]:
    """1/f(x), for secants and cotangents."""
    return lambda x: 1.0 / function(x)


def _of_reciprocal(function: Callable[[float], float]) -> Callable[[float], float]:
    """f(1/x), for the inverses of secants and cotangents."""
    return lambda x: function(1.0 / x)


def _logarithm(base: int) -> Callable[[sp.Expr], sp.Expr]:
    return lambda x: sp.log(x) / sp.log(base)


def power(base: float, exponent: float) -> float:
    """Real power in double precision; a negative base needs a whole exponent."""
    return math.pow(base, exponent)


FUNCTIONS: dict[str, Function] = {
    "exp": Function(sp.exp, math.exp),
    "ln": Function(sp.log, math.log),
    "log": Function(lambda x, base=None: sp.log(x) if base is None else sp.log(x) / sp.log(base), math.log, 1, 2),
    "log2": Function(_logarithm(2), math.log2),
    "log10": Function(_logarithm(10), math.log10),
    "sqrt": Function(sp.sqrt, math.sqrt),
    "abs": Function(sp.Abs, math.fabs),
    "sign": Function(sp.sign, _sign),
    "floor": Function(sp.floor, math.floor),
    "ceil": Function(sp.ceiling, math.ceil),
    "factorial": Function(sp.factorial, lambda x: math.gamma(x + 1)),
    "delay": Function(Delay, lambda x, lag: x, 2, 2),
    "rateOf": Function(RateOf, lambda x: 0.0),
    "pow": Function(sp.Pow, power, 2, 2),
    "min": Function(sp.Min, min, 2, None),
    "max": Function(sp.Max, max, 2, None),
    "sin": Function(sp.sin, math.sin),
    "cos": Function(sp.cos, math.cos),
    "tan": Function(sp.tan, math.tan),
    "sec": Function(sp.sec, _reciprocal(math.cos)),
    "csc": Function(sp.csc, _reciprocal(math.sin)),
    "cot": Function(sp.cot, _reciprocal(math.tan)),
    "sinh": Function(sp.sinh, math.sinh),
    "cosh": Function(sp.cosh, math.cosh),
    "tanh": Function(sp.tanh, math.tanh),
    "sech": Function(sp.sech, _reciprocal(math.cosh)),
    "csch": Function(sp.csch, _reciprocal(math.sinh)),
    "coth": Function(sp.coth, _reciprocal(math.tanh)),
    "arcsin": Function(sp.asin, math.asin),
    "arccos": Function(sp.acos, math.acos),
    "arctan": Function(sp.atan, math.atan),
    "arcsec": Function(sp.asec, _of_reciprocal(math.acos)),
    "arccsc": Function(sp.acsc, _of_reciprocal(math.asin)),
    "arccot": Function(sp.acot, _of_reciprocal(math.atan)),
    "arcsinh": Function(sp.asinh, math.asinh),
    "arccosh": Function(sp.acosh, math.acosh),
    "arctanh": Function(sp.atanh, math.atanh),
    "arcsech": Function(sp.asech, _of_reciprocal(math.acosh)),
    "arccsch": Function(sp.acsch, _of_reciprocal(math.asinh)),
    "arccoth": Function(sp.acoth, _of_reciprocal(math.atanh)),
}

EXCLUSIVE_OR = "xor"
"""The one function of truth values: true where an odd number of its arguments is."""

CONDITIONAL = "piecewise"
"""The one function whose arguments are not all numbers: ``piecewise(value, condition, ..., otherwise)``."""

CONSTANTS = frozenset({"true", "false"})

OF_TRAJECTORIES = frozenset({"delay", "rateOf"})
"""Functions whose value depends on how their argument changes in time."""

RESERVED = frozenset({"time", "inf", "nan", CONDITIONAL, EXCLUSIVE_OR, *CONSTANTS, *FUNCTIONS})
"""Names that mean something in every formula and so cannot name a part of a model."""
