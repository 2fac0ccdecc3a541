"""Compiled expressions equal what mpmath computes for the same tree."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.compile.evaluate import _FOLD, _RELATION, _UNARY, compile_expressions
from twin.errors import UnsupportedModelError
from twin.model.functions import FUNCTIONS, OF_TRAJECTORIES
from twin.precision import float64

X, Y, K = sp.symbols("x y k", real=True)
FROZEN = frozenset({K})
# Where each function is defined, away from its jumps.
ABOVE_ONE = (sp.acosh, sp.asec, sp.acsc, sp.acoth)
INSIDE_ONE = (sp.asin, sp.acos, sp.atanh, sp.asech)


def evaluate(expression: sp.Expr, **values: float | np.ndarray) -> np.ndarray:
    with float64():
        env = {sp.Symbol(name, real=True): jnp.asarray(value, float) for name, value in values.items()}
        return np.asarray(compile_expressions([expression], FROZEN)(env, env)[0])


def by_mpmath(expression: sp.Expr, **values: float) -> float:
    with mpmath.workdps(30):
        symbols = [sp.Symbol(name, real=True) for name in values]
        return float(mpmath.mpf(sp.lambdify(symbols, expression, "mpmath")(*map(mpmath.mpf, values.values()))))


@pytest.mark.parametrize("function", list(_UNARY), ids=lambda f: f.__name__)
@pytest.mark.parametrize("point", [0.3, 0.85])
def test_every_function_of_one_argument(function: type, point: float) -> None:
    x = 1.0 / point if function in ABOVE_ONE else point
    expected = float(sp.N(function(sp.Float(x, 30)), 20))
    np.testing.assert_allclose(evaluate(function(X), x=x), expected, rtol=1e-13)
    if function not in (*INSIDE_ONE, *ABOVE_ONE, sp.log):
        expected = float(sp.N(function(sp.Float(-x, 30)), 20))
        np.testing.assert_allclose(evaluate(function(X), x=-x), expected, rtol=1e-13)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - OF_TRAJECTORIES))
def test_every_function_of_the_grammar_has_a_counterpart(name: str) -> None:
    function = FUNCTIONS[name]
    x = 1.25 if name in ("arccosh", "arcsec", "arccsc", "arccoth") else 0.4
    numbers = (x, 1.7)[: function.fewest]
    value = evaluate(function.build(*(X, Y)[: function.fewest]), x=x, y=1.7)
    np.testing.assert_allclose(value, function.compute(*numbers), rtol=1e-13)


@pytest.mark.parametrize("fold", list(_FOLD), ids=lambda f: f.__name__)
def test_every_fold(fold: type) -> None:
    if issubclass(fold, sp.Expr):
        np.testing.assert_allclose(evaluate(fold(X, Y, K), x=2.5, y=-3.0, k=4.0), float(fold(2.5, -3.0, 4.0)))
        return
    for x, y in ((0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (2.0, 2.0)):
        expression = sp.Piecewise((1, fold(X > 1, Y > 1)), (0, True))
        assert evaluate(expression, x=x, y=y) == float(bool(fold(sp.true if x > 1 else sp.false, y > 1)))


@pytest.mark.parametrize("relation", list(_RELATION), ids=lambda f: f.__name__)
def test_every_relation(relation: type) -> None:
    expression = sp.Piecewise((1, relation(X, Y)), (0, True))
    for x, y in ((1.0, 2.0), (2.0, 2.0), (3.0, 2.0)):
        assert evaluate(expression, x=x, y=y) == float(bool(relation(sp.Float(x), sp.Float(y))))


def test_negated_condition_and_constants() -> None:
    assert evaluate(sp.Piecewise((1, sp.Not(sp.And(X > 1, Y > 1))), (sp.pi, True)), x=2.0, y=2.0) == np.pi
    assert evaluate(X * sp.E, x=1.0) == np.e


def test_no_branch_of_a_piecewise_holds() -> None:
    assert np.isnan(evaluate(sp.Piecewise((1, X > 1)), x=0.0))


def test_lanes_are_independent() -> None:
    x = np.array([0.5, 2.0, -1.0])
    value = evaluate(sp.Piecewise((X**2, X > 1), (K * X, True)), x=x, k=np.full(3, 3.0))
    np.testing.assert_array_equal(value, [1.5, 4.0, -3.0])


def test_condition_on_frozen_symbols_is_decided_at_the_midpoint() -> None:
    with float64():
        time = sp.Symbol("time", real=True)
        function = compile_expressions([sp.Piecewise((X, time < K), (-X, True)), time], frozenset({time, K}))
        at, mid = ({X: jnp.ones(1), K: jnp.full(1, 2.0), time: jnp.full(1, value)} for value in (2.0, 1.5))
        switched, clock = map(np.asarray, function(at, mid))
    assert switched[0] == 1.0
    assert clock[0] == 2.0


@pytest.mark.parametrize("expression", [sp.zeta(X), sp.Derivative(sp.Function("f")(X), X), sp.erf(X) + 1])
def test_function_without_counterpart(expression: sp.Expr) -> None:
    with pytest.raises(UnsupportedModelError, match="has no compiled counterpart"):
        compile_expressions([expression], FROZEN)


LEAVES = st.one_of(st.sampled_from([X, Y, K]), st.integers(-3, 3).map(sp.Integer), st.just(sp.Rational(3, 7)))


def _extended(children: st.SearchStrategy) -> st.SearchStrategy:
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        pairs.map(lambda p: p[0] * p[1]),
        pairs.map(lambda p: p[0] / (1 + p[1] ** 2)),
        pairs.map(lambda p: sp.Max(*p)),
        pairs.map(lambda p: sp.Min(*p)),
        pairs.map(lambda p: sp.Piecewise((p[0], p[0] < p[1]), (p[1] - 1, True))),
        children.map(sp.sin),
        children.map(sp.tanh),
        children.map(sp.atan),
        children.map(sp.Abs),
        children.map(lambda a: sp.exp(-(a**2))),
        children.map(lambda a: sp.sqrt(1 + a**2)),
        children.map(lambda a: (1 + a**2) ** sp.Rational(-3, 2)),
        children.map(lambda a: (1 + sp.Abs(a)) ** K),
    )


@settings(max_examples=60, deadline=None)
@given(st.recursive(LEAVES, _extended, max_leaves=8), st.tuples(*[st.floats(0.1, 2.0)] * 3))
def test_random_expressions(expression: sp.Expr, point: tuple[float, float, float]) -> None:
    values = dict(zip("xyk", point, strict=True))
    expected = by_mpmath(expression, **values)
    # Magnitudes stay moderate, so that rounding of a dozen operations is all there is.
    np.testing.assert_allclose(evaluate(expression, **values), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("exponent", "slope"), [(1.0, 1.0), (1.5, 0.0), (2.0, 0.0), (0.5, 0.0)])
def test_power_at_zero_has_a_finite_derivative(exponent: float, slope: float) -> None:
    """At base 0 an infinite derivative counts as 0; sympy's own formula would give 0/0."""

    def power(x: jax.Array, n: jax.Array) -> jax.Array:
        env = {X: x, K: n}
        return compile_expressions([X**K], FROZEN)(env, env)[0]

    with float64():
        at = (jnp.asarray(0.0), jnp.asarray(exponent))
        by_base, by_exponent = map(float, jax.grad(power, argnums=(0, 1))(*at))
        second = float(jax.grad(jax.grad(power))(*at))
    assert by_base == slope
    assert by_exponent == 0.0
    assert np.isfinite(second)


@pytest.mark.parametrize("exponent", [sp.Rational(1, 2), -sp.Rational(1, 2), sp.Float(2.7), sp.Integer(20)])
def test_power_derivative(exponent: sp.Expr) -> None:
    def power(x: jax.Array) -> jax.Array:
        return compile_expressions([X**exponent], FROZEN)({X: x}, {X: x})[0]

    with float64():
        slope, curvature = jax.grad(power)(1.3), jax.grad(jax.grad(power))(1.3)
    e = float(exponent)
    np.testing.assert_allclose(slope, e * 1.3 ** (e - 1), rtol=1e-14)
    np.testing.assert_allclose(curvature, e * (e - 1) * 1.3 ** (e - 2), rtol=1e-13)
