"""The grammar of formulas: text to a sympy expression, without the checks of `twin.model.formula`.

    formula    = condition, {"&&", condition} | condition, {"||", condition}
    condition  = sum, [("==" | "!=" | "<" | "<=" | ">" | ">="), sum]
    sum        = product, {("+" | "-"), product}
    product    = signed, {("*" | "/"), signed}
    signed     = {"+" | "-" | "!"}, power
    power      = operand, ["^", signed]
    operand    = number | name | name, "(", formula, {",", formula}, ")" | "(", formula, ")"

Nothing is ever evaluated as Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn, cast

import sympy as sp
from sympy.logic.boolalg import Boolean

from twin.errors import FormulaError, suggestion
from twin.model.functions import CONDITIONAL, CONSTANTS, EXCLUSIVE_OR, FUNCTIONS, power
from twin.model.symbols import number, symbol

MAX_DEPTH = 64
"""Deepest nesting accepted. Each level takes about eight of a thousand Python frames, more inside sympy."""

# sympy expands (2 x)^n into 2^n x^n with an exact integer 2^n.
_LARGEST_EXACT_EXPONENT = 1000

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|&&|\|\||==|!=|<=|>=|[-+*/^<>!(),])"
    r"|(?P<other>.)",
    re.DOTALL,
)
_HINTS = {
    "=": "write == for a comparison",
    "&": "write && for 'and'",
    "|": "write || for 'or'",
    "and": "write && for 'and'",
    "or": "write || for 'or'",
    "not": "write ! for 'not'",
}


_INFINITE: dict[str, dict[tuple[float, ...], float]] = {
    **{name: {(0.0,): -math.inf} for name in ("log", "ln", "log2", "log10")},
    "arctanh": {(1.0,): math.inf, (-1.0,): -math.inf},
    "arccoth": {(1.0,): math.inf, (-1.0,): -math.inf},
    "arcsech": {(0.0,): math.inf},
}
"""Where functions have infinite values, which PEtab knows."""


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    found = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(_Token(kind, match.group(), match.start()))
    found.append(_Token("end", "", len(text)))
    return found


class Parser:
    """Reads one formula by recursive descent; sums and products of any length take one level."""

    def __init__(self, text: str, *, petab: bool = False) -> None:
        self.text = text
        self.petab = petab
        self.tokens = _tokens(text)
        self.index = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def take(self, *texts: str) -> _Token | None:
        """The current token, consumed, if it is one of these operators."""
        token = self.token
        if token.kind == "operator" and token.text in texts:
            self.index += 1
            return token
        return None

    def fail(self, token: _Token, expected: str, fix: str | None = None, found: str | None = None) -> NoReturn:
        what = found or ("the formula ends" if token.kind == "end" else f"unexpected {token.text!r}")
        excerpt = self.text
        if len(excerpt) > 80:
            start = max(0, token.position - 40)
            excerpt = ("..." if start else "") + excerpt[start : token.position + 40] + "..."
        raise FormulaError(
            f"{what} at position {token.position + 1} of {excerpt!r}",
            expected=expected,
            fix=fix or _HINTS.get(token.text),
        )

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(
                self.token,
                f"at most {MAX_DEPTH} levels of nesting",
                fix="split it into assignments",
                found="the formula nests too deeply",
            )

    def read(self) -> sp.Expr:
        expression = self.as_number(self.logic())
        if self.token.kind != "end":
            self.fail(self.token, "an operator or the end of the formula")
        return expression

    def logic(self) -> sp.Basic:
        self.enter()
        first = self.comparison()
        if self.petab:
            while operator := self.take("&&", "||"):
                both = self.as_condition(first), self.as_condition(self.comparison())
                first = (sp.And if operator.text == "&&" else sp.Or)(*both)
        elif operator := self.take("&&", "||"):
            operands = [self.as_condition(first), self.as_condition(self.comparison())]
            while following := self.take("&&", "||"):
                if following.text != operator.text:
                    self.fail(
                        following,
                        "one kind of operator, or parentheses",
                        fix="write (a && b) || c, or a && (b || c)",
                        found="&& and || side by side",
                    )
                operands.append(self.as_condition(self.comparison()))
            first = (sp.And if operator.text == "&&" else sp.Or)(*operands)
        self.depth -= 1
        return first

    def comparison(self) -> sp.Basic:
        relations = {"==": sp.Eq, "!=": sp.Ne, "<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge}
        left = self.sum()
        operator = self.take(*relations)
        if operator is None:
            return left
        right = self.sum()
        result = relations[operator.text](self.as_number(left), self.as_number(right))
        if self.token.kind == "operator" and self.token.text in relations:
            self.fail(
                self.token,
                "one comparison at a time",
                fix="write a < b && b < c",
                found=f"a second comparison {self.token.text!r}",
            )
        return result

    def sum(self) -> sp.Basic:
        first = self.product()
        if not (operator := self.take("+", "-")):
            return first
        terms = [self.as_number(first)]
        while operator:
            term = self.as_number(self.product())
            terms.append(term if operator.text == "+" else -term)
            operator = self.take("+", "-")
        return sp.Add(*terms)

    def product(self) -> sp.Basic:
        first = self.signed()
        if not (operator := self.take("*", "/")):
            return first
        factors = [self.as_number(first)]
        while operator:
            factor = self.as_number(self.signed())
            if operator.text == "/":
                if factor.is_zero:
                    self.fail(operator, "a divisor that is not zero", found="a division by zero")
                factor = 1 / factor
            factors.append(factor)
            operator = self.take("*", "/")
        return sp.Mul(*factors)

    def signed(self) -> sp.Basic:
        signs = []
        while sign := self.take("+", "-", "!"):
            signs.append(sign.text)
        value = self.power()
        for sign in reversed(signs):
            if sign == "!":
                value = sp.Not(self.as_condition(value))
            elif sign == "-":
                value = -self.as_number(value)
            else:
                value = self.as_number(value)
        return value

    def power(self) -> sp.Basic:
        base = self.operand()
        operator = self.take("^", "**")
        if operator is None:
            return base
        self.enter()
        exponent = self.as_number(self.signed())
        self.depth -= 1
        return self.raise_to(self.as_number(base), exponent, operator)

    def raise_to(self, base: sp.Expr, exponent: sp.Expr, token: _Token) -> sp.Expr:
        if base.is_number and exponent.is_number:
            return self.compute(power, (base, exponent), token)
        if exponent.is_Integer:
            if abs(int(exponent)) > _LARGEST_EXACT_EXPONENT:
                exponent = sp.Float(int(exponent))
            else:
                factor, rest = base.as_coeff_Mul()
                if factor != 1:
                    return self.compute(power, (factor, exponent), token) * sp.Pow(rest, exponent)
        elif exponent.is_Float and (2 * float(exponent)).is_integer():
            exponent = sp.Rational(int(2 * exponent), 2)  # x^0.5 is a square root
        return sp.Pow(base, exponent)

    def operand(self) -> sp.Basic:
        token = self.token
        if token.kind == "number":
            self.index += 1
            value = float(token.text)
            if math.isinf(value):
                self.fail(token, "a number below 1.8e308", found="a number too large")
            return number(value)
        if token.kind == "name":
            self.index += 1
            return self.name_or_call(token)
        if self.take("("):
            inner = self.logic()
            self.close(token)
            return inner
        self.fail(token, "a number, a name or '('")

    def close(self, opening: _Token) -> None:
        if not self.take(")"):
            self.fail(self.token, f"')' to close the '(' at position {opening.position + 1}")

    def name_or_call(self, token: _Token) -> sp.Basic:
        opening = self.take("(")
        if opening is None:
            lowered = token.text.lower()
            if lowered in CONSTANTS:
                return sp.true if lowered == "true" else sp.false
            if lowered == "inf" and self.petab:
                return sp.oo
            if lowered in ("inf", "nan"):
                self.fail(token, "a finite number")
            if token.text in (CONDITIONAL, EXCLUSIVE_OR, *FUNCTIONS):
                self.fail(token, f"'(' after the function {token.text!r}", found="a function without arguments")
            return symbol(token.text)
        if token.text not in (CONDITIONAL, EXCLUSIVE_OR, *FUNCTIONS):
            self.fail(
                token,
                "a function of the grammar (a product needs '*')",
                fix=suggestion(token.text, [CONDITIONAL, EXCLUSIVE_OR, *FUNCTIONS]),
                found=f"unknown function {token.text!r}",
            )
        arguments = [self.logic()]
        while self.take(","):
            arguments.append(self.logic())
        self.close(opening)
        return self.call(token, arguments)

    def call(self, token: _Token, arguments: list[sp.Basic]) -> sp.Basic:
        count = len(arguments)
        if token.text == CONDITIONAL:
            if count < 3 or count % 2 == 0:
                self.fail(
                    token,
                    "piecewise(value, condition, ..., otherwise)",
                    found=f"piecewise with {count} argument{'s' * (count > 1)}",
                )
            values = [self.as_number(value) for value in arguments[::2]]
            conditions = [self.as_condition(condition) for condition in arguments[1::2]]
            return sp.Piecewise(*zip(values, [*conditions, sp.true], strict=True))
        if token.text == EXCLUSIVE_OR:
            return sp.Xor(*map(self.as_condition, arguments))
        function = FUNCTIONS[token.text]
        if count < function.fewest or (function.most is not None and count > function.most):
            wanted = (
                f"{function.fewest}"
                if function.fewest == function.most
                else (f"{function.fewest} or {function.most}" if function.most else f"at least {function.fewest}")
            )
            self.fail(token, f"{wanted} argument{'s' * (wanted != '1')}", found=f"{token.text!r} with {count}")
        numbers = [self.as_number(argument) for argument in arguments]
        if token.text == "pow":
            return self.raise_to(numbers[0], numbers[1], token)
        if all(argument.is_number for argument in numbers):
            return self.compute(function.compute, tuple(numbers), token)
        return function.build(*numbers)

    def compute(self, function: Callable[..., float], arguments: tuple[sp.Expr, ...], token: _Token) -> sp.Expr:
        """A function of numbers, in double precision."""
        try:
            value = float(function(*(float(argument) for argument in arguments)))
        except (ValueError, OverflowError, ZeroDivisionError):
            value = math.nan
        if self.petab and not math.isfinite(value) and token.text in _INFINITE:
            value = _INFINITE[token.text].get(tuple(float(argument) for argument in arguments), value)
            if math.isinf(value):
                return sp.oo if value > 0 else -sp.oo
        if not math.isfinite(value):
            shown = ", ".join(f"{float(argument):g}" for argument in arguments)
            self.fail(token, "a finite real value", found=f"{token.text!r} has no value for {shown}")
        return number(value)

    def as_number(self, value: sp.Basic) -> sp.Expr:
        """1 or 0 in place of a truth value."""
        if isinstance(value, sp.Expr):
            return value
        if value in (sp.true, sp.false):
            return sp.Integer(int(value == sp.true))
        return sp.Piecewise((sp.Integer(1), value), (sp.Integer(0), sp.true))

    def as_condition(self, value: sp.Basic) -> Boolean:
        """A number counts as true where it is not zero."""
        # Asked this way round because a sympy symbol is both an Expr and a Boolean.
        return cast("Boolean", sp.Ne(value, 0) if isinstance(value, sp.Expr) else value)
