"""Observables of few shapes, each shape evaluated once for all readings that have it.

Twenty observables of a signalling study are often one formula, ``offset + scale * state / total``, read at different
places. Written out one by one, with noise scales and derivatives, they took a quarter of a problem's compile time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float, Int

from twin.compile.evaluate import compile_expressions
from twin.compile.grouped import kind_of, number_place, shape_of
from twin.compile.sparse_map import SparseMap
from twin.compile.switches import MIDDLE, TIME, decide_by_segment

type Rows = Float[Array, "reading draw"]


class AlikeObservables:
    """Formulas of observables, grouped by shape.

    Args:
        formulas: Of each observable: its prediction and, unless the table gives it, the scale of its noise.
        rows_of: Readings of each observable.
        kinds: Symbols of each array that is read, in the order of its rows; those of time come by themselves.
        frozen: Symbols of which conditions are decided by segment (see `compile_expressions`).
    """

    def __init__(
        self,
        formulas: Mapping[str, Sequence[sp.Expr]],
        rows_of: Mapping[str, Int[np.ndarray, " reading"]],
        kinds: Sequence[Sequence[sp.Symbol]],
        frozen: frozenset[sp.Symbol],
    ) -> None:
        count = sum(map(len, rows_of.values()))
        row = {symbol: (kind, index) for kind, symbols in enumerate(kinds) for index, symbol in enumerate(symbols)}
        row |= {TIME: (len(kinds), 0), MIDDLE: (len(kinds), 0)}
        groups: dict[sp.Tuple, list[tuple[np.ndarray, dict[sp.Symbol, int], list[float]]]] = {}
        for name, readings in rows_of.items():
            together = sp.Tuple(*(decide_by_segment(formula, frozen) for formula in formulas[name]))
            shape, places, numbers = shape_of(together, row)
            groups.setdefault(shape, []).append((readings, places, numbers))
        reads: list[list[np.ndarray]] = [[] for _ in range(len(kinds) + 1)]
        self._groups = []
        for shape, members in groups.items():
            sizes = [len(readings) for readings, _, _ in members]
            slots = list(members[0][1])
            where = []
            for slot in slots:
                kind = kind_of(slot)
                where.append((slot, kind, len(reads[kind])))
                reads[kind].append(np.concatenate([places[slot] * count + readings for readings, places, _ in members]))
            numbers = np.repeat(np.array([each for _, _, each in members], dtype=float), sizes, axis=0)
            evaluate = compile_expressions(list(shape), frozenset())
            self._groups.append((evaluate, sum(sizes), where, numbers))
        lengths = [*map(len, kinds), 1]
        self._takes = [
            SparseMap.take(length * count, np.concatenate(parts)) if parts else None
            for length, parts in zip(lengths, reads, strict=True)
        ]
        self._parts = [np.cumsum([len(part) for part in parts])[:-1] for parts in reads]
        order = np.concatenate([readings for members in groups.values() for readings, _, _ in members])
        self._back = SparseMap.take(count, np.argsort(order, kind="stable"))
        self._order = order

    def __call__(
        self, arrays: Sequence[Float[Array, "symbol reading draw"]], t: Rows, noise: Float[np.ndarray, " reading"]
    ) -> tuple[Rows, Rows]:
        """Predictions and noise scales.

        Args:
            arrays: Values of the symbols of each kind in every reading.
            t: Time of each reading.
            noise: Noise scales of readings whose observable has no formula for them.
        """
        draws = t.shape[1]
        read = [
            jnp.split(take(x.reshape(-1, draws)), parts) if take is not None else []
            for take, parts, x in zip(self._takes, self._parts, (*arrays, t[None]), strict=True)
        ]
        values, scales, first = [], [], 0
        for evaluate, size, where, numbers in self._groups:
            env = {slot: read[kind][part] for slot, kind, part in where}
            env |= {number_place(k): jnp.asarray(numbers[:, k, None]) for k in range(numbers.shape[1])}
            results = evaluate(env, env)
            if len(results) == 1:
                results.append(jnp.asarray(noise[self._order[first : first + size], None]))
            value, scale = (jnp.broadcast_to(jnp.asarray(x, dtype=float), (size, draws)) for x in results)
            values.append(value)
            scales.append(scale)
            first += size
        return self._back(jnp.concatenate(values)), self._back(jnp.concatenate(scales))
