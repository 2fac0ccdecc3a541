"""Formulas of our grammar to MathML."""

from __future__ import annotations

import math
from typing import Any

import libsbml
import sympy as sp

from twin.exchange.sbml.digits import Digits
from twin.exchange.sbml.expression import Expression
from twin.exchange.sbml.symbolic import from_sympy

_HEADS = {
    "+": "plus",
    "*": "times",
    "/": "divide",
    "^": "power",
    "neg": "minus",
    "!": "not",
    "&&": "and",
    "||": "or",
    "xor": "xor",
    "==": "eq",
    "!=": "neq",
    "<": "lt",
    "<=": "leq",
    ">": "gt",
    ">=": "geq",
    "sqrt": "root",
    "ceil": "ceiling",
}
_PLAIN = frozenset(
    {"abs", "floor", "exp", "ln", "factorial", "min", "max"}
    | {
        f"{stem}{base}{end}"
        for stem in ("", "arc")
        for base in ("sin", "cos", "tan", "sec", "csc", "cot")
        for end in ("", "h")
    }
)
_SYMBOLS = {"time": "time", "delay": "delay", "rateOf": "rateOf"}
_XMLNS = 'xmlns="http://www.w3.org/1998/Math/MathML"'


def to_ast(expression: sp.Basic, digits: Digits) -> Any:
    """The AST of libsbml for a formula.

    Args:
        expression: As `twin.model.formula.parse` gives it.
        digits: Keeps all digits of its numbers.
    """
    return libsbml.readMathMLFromString(f"<math {_XMLNS}>{_Writer(digits).element(from_sympy(expression))}</math>")


class _Writer:
    """Elements of one formula."""

    def __init__(self, digits: Digits) -> None:
        self.digits = digits

    def element(self, node: Expression) -> str:
        head, arguments = node.head, node.arguments
        if head == "number":
            return self.number(float(node.value))
        if head == "name":
            return _name(str(node.value))
        if head == "piecewise":
            return self.piecewise(arguments)
        if head == "sign":
            return self.sign(arguments[0])
        inside = "".join(map(self.element, arguments))
        if head in ("log10", "log2"):
            return f"<apply><log/><logbase>{self.number(float(head[3:]))}</logbase>{inside}</apply>"
        if head in ("delay", "rateOf"):
            return f"<apply>{_csymbol(head)}{inside}</apply>"
        assert head in _HEADS or head in _PLAIN, head
        return f"<apply><{_HEADS.get(head, head)}/>{inside}</apply>"

    def number(self, value: float) -> str:
        assert math.isfinite(value)
        if value.is_integer() and abs(value) < 2**31:
            return f'<cn type="integer">{int(value)}</cn>'
        return self.digits.element(value)

    def piecewise(self, arguments: tuple[Expression, ...]) -> str:
        pieces = [
            f"<piece>{self.element(value)}{self.element(condition)}</piece>"
            for value, condition in zip(arguments[:-1:2], arguments[1::2], strict=True)
        ]
        otherwise = f"<otherwise>{self.element(arguments[-1])}</otherwise>" if len(arguments) % 2 else ""
        return f"<piecewise>{''.join(pieces)}{otherwise}</piecewise>"

    def sign(self, argument: Expression) -> str:
        zero = self.number(0.0)
        above = f"<piece>{self.number(1.0)}<apply><gt/>{self.element(argument)}{zero}</apply></piece>"
        below = f"<piece>{self.number(-1.0)}<apply><lt/>{self.element(argument)}{zero}</apply></piece>"
        return f"<piecewise>{above}{below}<otherwise>{zero}</otherwise></piecewise>"


def _name(name: str) -> str:
    if name in ("true", "false"):
        return f"<{name}/>"
    return _csymbol(name) if name == "time" else f"<ci>{name}</ci>"


def _csymbol(name: str) -> str:
    return (
        f'<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/{_SYMBOLS[name]}">{name}</csymbol>'
    )
