"""Many expressions of few shapes, evaluated shape by shape.

The rate laws of a large model repeat themselves: ``k1*A*B`` and ``k7*C*D`` are one product of three numbers, read at
different places. Each shape is compiled once and evaluated for all its instances as one array, so that the size of the
compiled program follows the number of shapes, not of reactions.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from twin.compile.evaluate import compile_expressions
from twin.compile.switches import decide_by_segment


class GroupedExpressions:
    """Expressions as functions of one array that holds the values of all symbols.

    Args:
        expressions: What to evaluate.
        symbols: The symbol of each row of the array.
        frozen: Symbols of which conditions are decided by segment (see `compile_expressions`).
    """

    def __init__(
        self, expressions: Sequence[sp.Expr], symbols: Sequence[sp.Symbol], frozen: frozenset[sp.Symbol]
    ) -> None:
        row = {symbol: index for index, symbol in enumerate(symbols)}
        groups: dict[sp.Expr, list[tuple[int, list[int], list[float]]]] = {}
        for index, expression in enumerate(expressions):
            shape, places, numbers = _shape(decide_by_segment(expression, frozen))
            groups.setdefault(shape, []).append((index, [row[symbol] for symbol in places], numbers))
        self._groups = []
        for shape, members in groups.items():
            evaluate = compile_expressions([shape], frozenset())
            rows = np.array([places for _, places, _ in members], dtype=int).reshape(len(members), -1)
            numbers = np.array([values for _, _, values in members], dtype=float).reshape(len(members), -1)
            self._groups.append((evaluate, rows, numbers))
        order = [index for members in groups.values() for index, _, _ in members]
        self._back = np.argsort(np.array(order, dtype=int), kind="stable")

    def __call__(self, values: Float[Array, "symbol lane"]) -> Float[Array, "expression lane"]:
        lanes = values.shape[1:]
        results = [jnp.zeros((0, *lanes), values.dtype)]
        for evaluate, rows, numbers in self._groups:
            env = {_place(k): values[rows[:, k]] for k in range(rows.shape[1])}
            env |= {_number(k): jnp.asarray(numbers[:, k, None]) for k in range(numbers.shape[1])}
            (result,) = evaluate(env, env)
            results.append(jnp.broadcast_to(jnp.asarray(result, values.dtype), (len(rows), *lanes)))
        return jnp.concatenate(results)[self._back]


def _place(k: int) -> sp.Symbol:
    return sp.Symbol(f"__place{k}", real=True)


def _number(k: int) -> sp.Symbol:
    return sp.Symbol(f"__number{k}", real=True)


def _shape(expression: sp.Expr) -> tuple[sp.Expr, list[sp.Symbol], list[float]]:
    """The expression with its symbols, and its numbers other than small whole ones, in order of appearance."""
    places: dict[sp.Basic, sp.Symbol] = {}
    numbers: dict[sp.Basic, sp.Symbol] = {}
    for node in sp.preorder_traversal(expression):
        if isinstance(node, sp.Symbol):
            places.setdefault(node, _place(len(places)))
        elif isinstance(node, sp.Float):
            numbers.setdefault(node, _number(len(numbers)))
    shape = expression.xreplace({**places, **numbers}) if places or numbers else expression
    return shape, list(places), [float(value) for value in numbers]  # type: ignore[arg-type,return-value]
