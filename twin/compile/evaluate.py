"""Sympy expressions evaluated over JAX arrays by walking the tree; no code is generated or executed.

Every symbol stands for an array whose last axis is the batch of lanes. Walking happens while JAX traces, so the
compiled program contains only the arithmetic.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import sympy as sp
from jaxtyping import Array

from twin.compile.arithmetic import add, divide, multiply
from twin.compile.switches import MIDDLE, TIME, decide_by_segment
from twin.errors import UnsupportedModelError

type Env = Mapping[sp.Symbol, Array]
type Evaluator = Callable[[Env, Env], list[Array]]

_UNARY: dict[type, Callable] = {
    sp.exp: jnp.exp,
    sp.log: jnp.log,
    sp.sin: jnp.sin,
    sp.cos: jnp.cos,
    sp.tan: jnp.tan,
    sp.asin: jnp.arcsin,
    sp.acos: jnp.arccos,
    sp.atan: jnp.arctan,
    sp.sinh: jnp.sinh,
    sp.cosh: jnp.cosh,
    sp.tanh: jnp.tanh,
    sp.asinh: jnp.arcsinh,
    sp.acosh: jnp.arccosh,
    sp.atanh: jnp.arctanh,
    sp.Abs: jnp.abs,
    sp.sign: jnp.sign,
    sp.floor: jnp.floor,
    sp.ceiling: jnp.ceil,
    sp.sec: lambda x: 1 / jnp.cos(x),
    sp.csc: lambda x: 1 / jnp.sin(x),
    sp.cot: lambda x: 1 / jnp.tan(x),
    sp.sech: lambda x: 1 / jnp.cosh(x),
    sp.csch: lambda x: 1 / jnp.sinh(x),
    sp.coth: lambda x: 1 / jnp.tanh(x),
    sp.asec: lambda x: jnp.arccos(1 / x),
    sp.acsc: lambda x: jnp.arcsin(1 / x),
    sp.acot: lambda x: jnp.arctan(1 / x),
    sp.asech: lambda x: jnp.arccosh(1 / x),
    sp.acsch: lambda x: jnp.arcsinh(1 / x),
    sp.acoth: lambda x: jnp.arctanh(1 / x),
    sp.Heaviside: lambda x: jnp.heaviside(x, 0.5),
    sp.factorial: lambda x: jax.scipy.special.gamma(x + 1.0),
    sp.gamma: jax.scipy.special.gamma,
}
_FOLD: dict[type, Callable] = {
    sp.Add: add,
    sp.Mul: multiply,
    sp.Min: jnp.minimum,
    sp.Max: jnp.maximum,
    sp.And: jnp.logical_and,
    sp.Or: jnp.logical_or,
    sp.Xor: jnp.logical_xor,
}
_RELATION: dict[type, Callable] = {
    sp.StrictLessThan: operator.lt,
    sp.LessThan: operator.le,
    sp.StrictGreaterThan: operator.gt,
    sp.GreaterThan: operator.ge,
    sp.Equality: operator.eq,
    sp.Unequality: operator.ne,
}


def _slope(base: Array, slope: Array) -> Array:
    """Derivative of a power in its base, zero where it is infinite.

    That is at base 0 for exponents below 1 (for an entry of the Jacobian, below 2). A state that starts at 0 does not
    vary there, and 0 * inf would turn the whole gradient into NaN.
    """
    return jnp.where((base == 0) & ~jnp.isfinite(slope), 0.0, slope)


@jax.custom_jvp
def _variable_power(base: Array, exponent: Array) -> Array:
    return jnp.power(base, exponent)


@_variable_power.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    base, exponent = primals
    power = _variable_power(base, exponent)
    by_base = _slope(base, exponent * _variable_power(base, exponent - 1.0))
    by_exponent = power * jnp.log(jnp.where(base > 0, base, 1.0))
    return power, by_base * tangents[0] + by_exponent * tangents[1]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _fixed_power(base: Array, exponent: float) -> Array:
    if exponent == 0.5:
        return jnp.sqrt(base)
    if exponent == -0.5:
        return 1.0 / jnp.sqrt(base)
    return jnp.power(base, exponent)


@_fixed_power.defjvp
def _(exponent: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (base,), (tangent,) = primals, tangents
    return _fixed_power(base, exponent), _slope(base, exponent * _fixed_power(base, exponent - 1.0)) * tangent


def _power(base: Array, exponent: sp.Expr, walk: Callable) -> Array:
    base = jnp.asarray(base, float)
    if exponent.is_Integer and abs(int(exponent)) <= 16:
        return base ** int(exponent)
    if exponent.is_number:
        return _fixed_power(base, float(exponent))
    return _variable_power(*jnp.broadcast_arrays(base, jnp.asarray(walk(exponent), float)))


def _piecewise(node: sp.Piecewise, walk: Callable) -> Array:
    """First branch whose condition holds; NaN when none does, as sympy and SBML leave it undefined."""
    result = jnp.nan
    for pair in reversed(node.args):
        value, condition = pair.args
        if condition is sp.true:
            result = walk(value)
        else:
            result = jnp.where(walk(condition), walk(value), result)
    return result


def compile_expressions(expressions: Sequence[sp.Expr], frozen: frozenset[sp.Symbol]) -> Evaluator:
    """Prepare expressions for evaluation, with common subexpressions shared.

    Args:
        expressions: What to evaluate.
        frozen: Symbols (time, parameters) such that a comparison made only of them, and linear in time, is decided
            once per segment: it is evaluated at the time of the second environment, the segment's midpoint. A switch
            in time is then exact, because segments begin and end at switches.

    Returns:
        A function of two environments (at the stage, at the midpoint) to the list of values.

    Raises:
        UnsupportedModelError: an expression contains a function that has no array counterpart.
    """
    expressions = [decide_by_segment(expression, frozen) for expression in expressions]
    shared, reduced = sp.cse(expressions, symbols=sp.numbered_symbols("_cse", real=True), order="none")
    definitions = dict(shared)
    _refuse_unknown([*definitions.values(), *reduced])

    def evaluate(env: Env, mid_env: Env) -> list[Array]:
        middle = {MIDDLE: mid_env[TIME]} if TIME in mid_env else {}
        walker = _Walker({**env, **middle}, definitions)
        return [walker.walk(expression) for expression in reduced]

    return evaluate


class _Walker:
    """Evaluates expressions in one environment, each shared subexpression once."""

    def __init__(self, env: Env, definitions: Mapping[sp.Symbol, sp.Expr]) -> None:
        self.values = dict(env)
        self.definitions = definitions

    def walk(self, node: sp.Basic) -> Array:
        if isinstance(node, sp.Symbol):
            if node not in self.values:
                if node not in self.definitions:
                    raise UnsupportedModelError(
                        "a delayed term is asked for where the past is not known",
                        expected="delays in the equations, and in what `twin.simulate` returns",
                    )
                self.values[node] = self.walk(self.definitions[node])
            return self.values[node]
        if node.is_Number or node.is_NumberSymbol:
            return float(node)  # type: ignore[return-value,arg-type]
        if node is sp.true or node is sp.false:
            return jnp.asarray(bool(node))
        if isinstance(node, sp.Pow):
            if node.base is sp.E:
                return jnp.exp(self.walk(node.exp))
            return _power(self.walk(node.base), node.exp, self.walk)
        if isinstance(node, sp.Mul):
            return self._product(node)
        if isinstance(node, sp.Piecewise):
            return _piecewise(node, self.walk)
        if isinstance(node, sp.ITE):
            return jnp.where(*map(self.walk, node.args))
        if isinstance(node, sp.Not):
            return jnp.logical_not(self.walk(node.args[0]))
        if (fold := _FOLD.get(node.func)) is not None:
            return functools.reduce(fold, map(self.walk, node.args))
        if (relation := _RELATION.get(node.func)) is not None:
            return relation(*map(self.walk, node.args))
        if isinstance(node, sp.polygamma):  # of order 0: the derivative of a factorial
            return jax.scipy.special.digamma(self.walk(node.args[1]))
        return _UNARY[node.func](self.walk(node.args[0]))

    def _product(self, node: sp.Mul) -> Array:
        """One division by the product of the denominators: cheaper than a reciprocal for each."""
        above, below = [], []
        for factor in node.args:
            if isinstance(factor, sp.Pow) and factor.exp.is_number and factor.exp.is_negative:
                below.append(self.walk(1 / factor))
            else:
                above.append(self.walk(factor))
        numerator = functools.reduce(multiply, above) if above else 1.0
        if not below:
            return numerator  # type: ignore[return-value]
        return divide(numerator, functools.reduce(multiply, below))


def _refuse_unknown(expressions: Sequence[sp.Basic]) -> None:
    known = (sp.Pow, sp.Piecewise, sp.ITE, sp.Not, sp.Symbol, *_FOLD, *_RELATION, *_UNARY)
    for expression in expressions:
        for node in sp.preorder_traversal(expression):
            if isinstance(node, known) or node.is_Number or node.is_NumberSymbol:
                continue
            if isinstance(node, sp.polygamma) and node.args[0] == 0:
                continue
            if node in (sp.true, sp.false) or type(node).__name__ == "ExprCondPair":
                continue
            raise UnsupportedModelError(
                f"the function {type(node).__name__} in {expression} has no compiled counterpart",
                expected="elementary functions, piecewise, min, max and comparisons",
            )
