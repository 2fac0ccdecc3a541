"""Operators and functions of MathML as our expressions, by libsbml's type of node."""

from __future__ import annotations

import math
from typing import Any

import libsbml

from twin.errors import FormulaError
from twin.exchange.sbml.expression import Expression, call, name, negative, number, over, plus

TIME = "time"

AVOGADRO = 6.02214179e23
"""Value of the csymbol avogadro, SBML Level 3 Version 1, section 3.4.6."""

FUNCTIONS = {
    libsbml.AST_FUNCTION_ABS: "abs",
    libsbml.AST_FUNCTION_CEILING: "ceil",
    libsbml.AST_FUNCTION_EXP: "exp",
    libsbml.AST_FUNCTION_FACTORIAL: "factorial",
    libsbml.AST_FUNCTION_FLOOR: "floor",
    libsbml.AST_FUNCTION_LN: "ln",
    **{
        getattr(libsbml, f"AST_FUNCTION_{stem}{base}{end}".upper()): f"{stem.lower()}{base}{end}"
        for stem in ("", "arc")
        for base in ("sin", "cos", "tan", "sec", "csc", "cot")
        for end in ("", "h")
    },
}
RELATIONS = {
    libsbml.AST_RELATIONAL_EQ: "==",
    libsbml.AST_RELATIONAL_NEQ: "!=",
    libsbml.AST_RELATIONAL_LT: "<",
    libsbml.AST_RELATIONAL_LEQ: "<=",
    libsbml.AST_RELATIONAL_GT: ">",
    libsbml.AST_RELATIONAL_GEQ: ">=",
}
CONSTANTS = {
    libsbml.AST_CONSTANT_E: number(math.e),
    libsbml.AST_CONSTANT_PI: number(math.pi),
    libsbml.AST_NAME_AVOGADRO: number(AVOGADRO),
    libsbml.AST_CONSTANT_TRUE: name("true"),
    libsbml.AST_CONSTANT_FALSE: name("false"),
}
NUMBERS = (libsbml.AST_INTEGER, libsbml.AST_REAL, libsbml.AST_REAL_E, libsbml.AST_RATIONAL)


TRUTH = frozenset({"&&", "||", "!", "xor", *RELATIONS.values()})


def relation(operator: str, arguments: list[Expression]) -> Expression:
    """``a < b < c`` as ``a < b && b < c``; with fewer than two arguments it holds."""
    pairs = [Expression(operator, pair) for pair in zip(arguments, arguments[1:], strict=False)]
    return pairs[0] if len(pairs) == 1 else _all(*pairs)


def _is_truth(argument: Expression) -> bool:
    return argument.head in TRUTH or (argument.head == "name" and argument.value in ("true", "false"))


def _truth(argument: Expression) -> Expression:
    return argument if _is_truth(argument) else call("!=", argument, number(0.0))


def _all(*arguments: Expression) -> Expression:
    return Expression("&&", arguments) if len(arguments) > 1 else _truth(arguments[0]) if arguments else name("true")


def _any(*arguments: Expression) -> Expression:
    return Expression("||", arguments) if len(arguments) > 1 else _truth(arguments[0]) if arguments else name("false")


def _odd(*arguments: Expression) -> Expression:
    """Exclusive or of any number: true if an odd number holds."""
    if len(arguments) < 2:
        return _any(*arguments)
    result = arguments[0]
    for argument in arguments[1:]:
        result = call("xor", result, argument)
    return result


def _extreme(function: str) -> Any:
    def build(first: Expression, *others: Expression) -> Expression:
        return call(function, first, *others) if others else plus(first, number(0.0))

    return build


def _quotient(above: Expression, below: Expression) -> Expression:
    """The whole part of the ratio, rounded towards zero (MathML 2.0, 4.4.3.1)."""
    ratio = over(above, below)
    return call("piecewise", call("floor", ratio), call(">=", ratio, number(0.0)), call("ceil", ratio))


def _remainder(above: Expression, below: Expression) -> Expression:
    return plus(above, negative(Expression("*", (below, _quotient(above, below)))))


def _root(degree: Expression, radicand: Expression | None = None) -> Expression:
    if radicand is None:
        return call("sqrt", degree)
    if degree.head != "number":
        return Expression("^", (radicand, over(number(1.0), degree)))
    value = float(degree.value)
    if value == 2.0:
        return call("sqrt", radicand)
    root = over(number(1.0), degree)
    if value % 2 == 1:
        # An odd root of a negative number is real, which a power with a fraction is not.
        return Expression("*", (call("sign", radicand), Expression("^", (call("abs", radicand), root))))
    return Expression("^", (radicand, root))


def _logarithm(base: Expression, argument: Expression | None = None) -> Expression:
    if argument is None:
        return call("log10", base)
    if base.head == "number" and base.value in (2.0, 10.0):
        return call("log2" if base.value == 2.0 else "log10", argument)
    return call("log", argument, base)


def _piecewise(*arguments: Expression) -> Expression:
    if len(arguments) == 1:
        return arguments[0]
    if len(arguments) % 2 == 0:
        raise FormulaError(
            "a piecewise has no otherwise",
            expected="a value for every case",
            fix="add <otherwise>",
        )
    values, conditions = (*arguments[:-1:2], arguments[-1]), arguments[1::2]
    if all(_is_truth(value) for value in values):
        return _choice(values, conditions)
    return call("piecewise", *arguments)


def _choice(values: tuple[Expression, ...], conditions: tuple[Expression, ...]) -> Expression:
    """A piecewise of truth values, as a condition: our piecewise has numbers for values."""
    result = values[-1]
    for value, condition in zip(values[-2::-1], conditions[::-1], strict=True):
        result = _any(_all(condition, value), _all(Expression("!", (condition,)), result))
    return result


def _rate_of(argument: Expression) -> Expression:
    if argument.head != "name" or argument.value == TIME:
        raise FormulaError("rateOf is applied to a formula", expected="rateOf of an id")
    return call("rateOf", argument)


BUILD: dict[int, Any] = {
    libsbml.AST_DIVIDE: lambda above, below: Expression("/", (above, below)),
    libsbml.AST_POWER: lambda base, exponent: Expression("^", (base, exponent)),
    libsbml.AST_FUNCTION_POWER: lambda base, exponent: Expression("^", (base, exponent)),
    libsbml.AST_FUNCTION_ROOT: _root,
    libsbml.AST_FUNCTION_LOG: _logarithm,
    libsbml.AST_FUNCTION_PIECEWISE: _piecewise,
    libsbml.AST_FUNCTION_MIN: _extreme("min"),
    libsbml.AST_FUNCTION_MAX: _extreme("max"),
    libsbml.AST_FUNCTION_QUOTIENT: _quotient,
    libsbml.AST_FUNCTION_REM: _remainder,
    libsbml.AST_FUNCTION_RATE_OF: _rate_of,
    libsbml.AST_FUNCTION_DELAY: lambda argument, lag: call("delay", argument, lag),
    libsbml.AST_LOGICAL_AND: _all,
    libsbml.AST_LOGICAL_OR: _any,
    libsbml.AST_LOGICAL_XOR: _odd,
    libsbml.AST_LOGICAL_NOT: lambda argument: Expression("!", (argument,)),
    libsbml.AST_LOGICAL_IMPLIES: lambda first, second: Expression("||", (Expression("!", (first,)), second)),
}
