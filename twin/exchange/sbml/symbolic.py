"""Our expression trees to sympy and back, for what needs algebra: solving, differentiating, writing."""

from __future__ import annotations

from typing import Any, cast

import sympy as sp

from twin.errors import FormulaError
from twin.exchange.sbml.expression import Expression, call, name, negative, number, over
from twin.model.formula import parse

_FUNCTIONS = {
    "Abs": "abs",
    "Min": "min",
    "Max": "max",
    "log": "ln",
    "ceiling": "ceil",
    "floor": "floor",
    "sign": "sign",
    "exp": "exp",
    "factorial": "factorial",
    "Delay": "delay",
    "RateOf": "rateOf",
    **{f"{base}{end}": f"{base}{end}" for base in ("sin", "cos", "tan", "sec", "csc", "cot") for end in ("", "h")},
    **{f"a{base}{end}": f"arc{base}{end}" for base in ("sin", "cos", "tan", "sec", "csc", "cot") for end in ("", "h")},
}


def to_sympy(expression: Expression, where: str | None = None) -> sp.Expr:
    """The sympy expression of the tree's text; nothing but our own parser reads it."""
    return parse(str(expression), where=where)


def from_sympy(expression: sp.Basic) -> Expression:
    """A tree of a sympy expression.

    Raises:
        FormulaError: It holds something that our grammar cannot write.
    """
    found: Any = expression
    if isinstance(found, sp.Symbol):
        return name(found.name)
    if isinstance(found, sp.Rational) and not isinstance(found, sp.Integer):
        return over(number(float(found.p)), number(float(found.q)))
    if found is sp.true or found is sp.false:
        return name("true" if found is sp.true else "false")
    if found.is_number and found.is_Atom:
        return number(float(found))
    if isinstance(found, sp.Add):
        terms = [_signed(term) for term in found.as_ordered_terms()]
        return Expression("+", tuple(terms))
    if isinstance(found, sp.Mul):
        return _product(found)
    if isinstance(found, sp.Pow):
        return _power(found)
    if isinstance(found, sp.Piecewise):
        return _piecewise(found)
    if isinstance(found, sp.core.relational.Relational):
        return call(found.rel_op, from_sympy(found.lhs), from_sympy(found.rhs))
    if isinstance(found, sp.logic.boolalg.BooleanFunction):
        return _logic(found)
    function = _FUNCTIONS.get(type(found).__name__)
    if function is None:
        raise FormulaError(f"{str(found)[:80]!r} cannot be written as a formula")
    return call(function, *map(from_sympy, found.args))


def _signed(term: sp.Expr) -> Expression:
    coefficient, rest = term.as_coeff_Mul()
    if coefficient.is_negative and not term.is_number:
        return negative(from_sympy(-coefficient * rest))
    return from_sympy(term)


def _product(found: sp.Mul) -> Expression:
    coefficient, _ = found.as_coeff_Mul()
    if coefficient == -1:
        return negative(from_sympy(-found))
    above, below = [], []
    for factor in _common_logarithms(found):
        if isinstance(factor, Expression):
            above.append(factor)
            continue
        base, exponent = factor.as_base_exp()
        if exponent.is_number and exponent.is_negative and not base.is_number:
            below.append(from_sympy(cast("sp.Expr", base**-exponent)))
        else:
            above.append(from_sympy(factor))
    top = Expression("*", tuple(above)) if len(above) > 1 else above[0] if above else number(1.0)
    if not below:
        return top
    return over(top, Expression("*", tuple(below)) if len(below) > 1 else below[0])


def _common_logarithms(found: sp.Mul) -> list[Any]:
    """The factors, with ``log(x)/log(10)``, which is how our formulas keep ``log10(x)``, as one."""
    factors: list[Any] = list(found.as_ordered_factors())
    for base in (10, 2):
        inverse = 1 / sp.log(base)
        logarithm = next((factor for factor in factors if isinstance(factor, sp.log) and not factor.is_number), None)
        if inverse in factors and logarithm is not None:
            factors.remove(inverse)
            factors[factors.index(logarithm)] = call(f"log{base}", from_sympy(logarithm.args[0]))
    return factors


def _power(found: sp.Pow) -> Expression:
    base, exponent = found.args
    if exponent == sp.Rational(1, 2):
        return call("sqrt", from_sympy(base))
    if exponent.is_number and exponent.is_negative:
        return over(number(1.0), from_sympy(cast("sp.Expr", base**-exponent)))
    return Expression("^", (from_sympy(base), from_sympy(exponent)))


def _piecewise(found: Any) -> Expression:
    arguments = []
    for value, condition in found.args:
        arguments.append(from_sympy(value))
        if condition != sp.true:
            arguments.append(from_sympy(condition))
    return call("piecewise", *arguments)


def _logic(found: Any) -> Expression:
    arguments = [from_sympy(argument) for argument in found.args]
    if isinstance(found, sp.Not):
        return Expression("!", tuple(arguments))
    if isinstance(found, sp.ITE):
        condition, then, otherwise = arguments
        return call("||", call("&&", condition, then), call("&&", Expression("!", (condition,)), otherwise))
    heads = {sp.And: "&&", sp.Or: "||", sp.Xor: "xor"}
    head = heads.get(type(found))
    if head is None:
        raise FormulaError(f"{str(found)[:80]!r} cannot be written as a formula")
    if head != "xor":
        return Expression(head, tuple(arguments))
    result = arguments[0]
    for argument in arguments[1:]:
        result = call("xor", result, argument)
    return result
