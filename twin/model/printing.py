"""A sympy expression back to text that `twin.model.formula.parse` reads."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.precedence import PRECEDENCE, precedence
from sympy.printing.str import StrPrinter

_RENAMED = {
    "Abs": "abs",
    "Min": "min",
    "Max": "max",
    "log": "ln",
    "Delay": "delay",
    "RateOf": "rateOf",
    "ceiling": "ceil",
    **{f"a{name}{h}": f"arc{name}{h}" for name in ("sin", "cos", "tan", "sec", "csc", "cot") for h in ("", "h")},
}


def to_text(expression: sp.Basic) -> str:
    """Formula text of an expression; reading it again gives an equal expression.

    Example:
        >>> from twin.model.formula import parse
        >>> to_text(parse("k * x**2"))
        'k*x^2'
    """
    return FormulaPrinter().doprint(expression)


class FormulaPrinter(StrPrinter):
    """Prints the grammar of `twin.model.formula`; see `to_text`."""

    # sympy calls _print_<class name>; it types these loosely, and so do we.

    def _print_Float(self, expr: sp.Float) -> str:
        return repr(float(expr))

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"{expr.p}/{expr.q}"

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        base, exponent = expr.args
        if exponent == sp.Rational(1, 2):
            return f"sqrt({self._print(base)})"
        if exponent == -1:
            return f"1/{self.parenthesize(base, PRECEDENCE['Pow'], strict=False)}"
        # "-2^x" and "1/2^x" would be read as -(2^x) and 1/(2^x).
        above = precedence(expr)
        shown = self.parenthesize(base, above, strict=False)
        if base.is_Rational and (base.is_negative or not base.is_Integer) and not shown.startswith("("):
            shown = f"({shown})"
        power = self._print(exponent)
        simple = exponent.is_Symbol or (exponent.is_number and exponent.is_nonnegative and "/" not in power)
        return f"{shown}^{power}" if simple else f"{shown}^({power})"

    def _print_Exp1(self, expr: Any) -> Any:
        return "exp(1)"

    def _print_Pi(self, expr: Any) -> Any:
        return repr(float(expr))

    def _print_Function(self, expr: Any) -> str:
        name = expr.func.__name__
        return f"{_RENAMED.get(name, name)}({', '.join(self._print(argument) for argument in expr.args)})"

    def _print_LatticeOp(self, expr: Any) -> str:
        arguments = sorted(expr.args, key=sp.default_sort_key)
        return f"{_RENAMED[expr.func.__name__]}({', '.join(self._print(argument) for argument in arguments)})"

    _print_Min = _print_LatticeOp
    _print_Max = _print_LatticeOp

    def _print_Mul(self, expr: Any) -> str:
        # log(x)/log(10) is how log10(x) is kept.
        for base, name in ((10, "log10"), (2, "log2")):
            inverse = 1 / sp.log(base)
            if inverse in expr.args:
                for factor in expr.args:
                    if isinstance(factor, sp.log):
                        rest = sp.Mul(*[other for other in expr.args if other not in (inverse, factor)])
                        call = sp.Symbol(f"{name}({self._print(factor.args[0])})")
                        return super()._print_Mul(rest * call) if rest != 1 else call.name
        return super()._print_Mul(expr)

    def _print_Piecewise(self, expr: Any) -> str:
        parts = []
        for value, condition in expr.args:
            parts.append(self._print(value))
            if condition != sp.true:
                parts.append(self._print(condition))
        return f"piecewise({', '.join(parts)})"

    def _print_Relational(self, expr: Any) -> str:
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _operand(self, expr: Any) -> str:
        return f"({self._print(expr)})" if isinstance(expr, (sp.And, sp.Or)) else self._print(expr)

    def _print_And(self, expr: Any) -> str:
        return " && ".join(map(self._operand, sorted(expr.args, key=sp.default_sort_key)))

    def _print_Or(self, expr: Any) -> str:
        return " || ".join(map(self._operand, sorted(expr.args, key=sp.default_sort_key)))

    def _print_Xor(self, expr: Any) -> str:
        return f"xor({', '.join(map(self._print, sorted(expr.args, key=sp.default_sort_key)))})"

    def _print_Not(self, expr: Any) -> str:
        return f"!({self._print(expr.args[0])})"

    def _print_BooleanTrue(self, expr: Any) -> Any:
        return "true"

    def _print_BooleanFalse(self, expr: Any) -> Any:
        return "false"
