"""Many expressions of few shapes, evaluated shape by shape.

The rate laws of a large model repeat themselves: ``k1*A*B`` and ``k7*C*D`` are one product of three numbers, read at
different places. Each shape is compiled once and evaluated for all its instances as one array, so that the size of the
compiled program follows the number of shapes, not of reactions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from twin.compile.evaluate import compile_expressions
from twin.compile.sparse_map import SparseMap
from twin.compile.switches import decide_by_segment


class GroupedExpressions:
    """Expressions as functions of arrays that hold the values of all symbols, one array for each kind of symbol.

    Kinds are told apart because they differ in how often they change: what is read of the parameters XLA computes once
    for all stages of a step.

    Args:
        expressions: What to evaluate.
        kinds: Symbols of each array (states, parameters, others), in the order of its rows.
        frozen: Symbols of which conditions are decided by segment (see `compile_expressions`).

    Attributes:
        position: Row of each expression in the result, which is in order of their shapes.
    """

    def __init__(
        self, expressions: Sequence[sp.Expr], kinds: Sequence[Sequence[sp.Symbol]], frozen: frozenset[sp.Symbol]
    ) -> None:
        row = {symbol: (kind, index) for kind, symbols in enumerate(kinds) for index, symbol in enumerate(symbols)}
        groups: dict[sp.Expr, list[tuple[int, list[int], list[float]]]] = {}
        slots: dict[sp.Expr, tuple[sp.Symbol, ...]] = {}
        for index, expression in enumerate(expressions):
            shape, places, numbers = shape_of(decide_by_segment(expression, frozen), row)
            slots[shape] = tuple(places)
            groups.setdefault(shape, []).append((index, list(places.values()), numbers))
        self._groups = []
        reads: list[list[list[int]]] = [[] for _ in kinds]
        for shape, members in groups.items():
            evaluate = compile_expressions([shape], frozenset())
            where = []
            for k, slot in enumerate(slots[shape]):
                kind = kind_of(slot)
                where.append((slot, kind, len(reads[kind])))
                reads[kind].append([places[k] for _, places, _ in members])
            numbers = np.array([values for _, _, values in members], dtype=float).reshape(len(members), -1)
            self._groups.append((evaluate, len(members), where, numbers))
        self._reads = [
            SparseMap.take(len(symbols), [row for rows in parts for row in rows])
            for symbols, parts in zip(kinds, reads, strict=True)
        ]
        self._parts = [np.cumsum([len(rows) for rows in parts])[:-1] for parts in reads]
        order = [index for members in groups.values() for index, _, _ in members]
        self.position = np.argsort(np.array(order, dtype=int), kind="stable")

    def __call__(self, *values: Float[Array, "symbol lane"]) -> Float[Array, "expression lane"]:
        """Values of the expressions, each in the row that `position` says.

        Args:
            values: Those of the symbols of each kind.
        """
        lanes = values[0].shape[1:]
        # Parts by `split`: its transpose is a concatenation, that of slices a sum of arrays that are mostly zeros.
        read = [
            jnp.split(take(each), parts) for take, parts, each in zip(self._reads, self._parts, values, strict=True)
        ]
        results = [jnp.zeros((0, *lanes), values[0].dtype)]
        for evaluate, members, where, numbers in self._groups:
            env = {slot: read[kind][part] for slot, kind, part in where}
            env |= {number_place(k): jnp.asarray(numbers[:, k, None]) for k in range(numbers.shape[1])}
            (result,) = evaluate(env, env)
            results.append(jnp.broadcast_to(jnp.asarray(result, values[0].dtype), (members, *lanes)))
        return jnp.concatenate(results)


def _place(kind: int, k: int) -> sp.Symbol:
    return sp.Symbol(f"__place{kind}_{k}", real=True)


def kind_of(place: sp.Symbol) -> int:
    """Which array a place of a shape is read from."""
    return int(place.name.removeprefix("__place").split("_")[0])


def number_place(k: int) -> sp.Symbol:
    """The symbol of a number in a shape."""
    return sp.Symbol(f"__number{k}", real=True)


def shape_of(
    expression: sp.Basic, row: Mapping[sp.Symbol, tuple[int, int]]
) -> tuple[sp.Basic, dict[sp.Symbol, int], list[float]]:
    """The shape of an expression, the rows that take the places in it, and its numbers.

    Numbers other than small whole ones do not belong to the shape; they come in order of appearance.
    """
    places: dict[sp.Basic, sp.Symbol] = {}
    numbers: dict[sp.Basic, sp.Symbol] = {}
    rows: dict[sp.Symbol, int] = {}
    for node in sp.preorder_traversal(expression):
        if isinstance(node, sp.Symbol) and node not in places:
            kind, index = row[node]
            places[node] = _place(kind, sum(row[other][0] == kind for other in places))  # type: ignore[index]
            rows[places[node]] = index
        elif isinstance(node, sp.Float):
            numbers.setdefault(node, number_place(len(numbers)))
    shape = expression.xreplace({**places, **numbers}) if places or numbers else expression
    # Equal shapes may be walked in different order, and have to list their places in the same.
    rows = {place: rows[place] for place in sorted(rows, key=str)}
    return shape, rows, [float(value) for value in numbers]  # type: ignore[arg-type]
