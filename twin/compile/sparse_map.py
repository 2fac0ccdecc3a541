"""Constant sparse matrices applied to the rows of an array: what gathers rows, sums them, or both.

The rows of the result are summed from rows that are read, never scattered to rows that are written. XLA compiles a
loop that contains a scatter as thousands of small kernels on a CPU, and starting them costs more than their work. JAX
would make a scatter of the transpose of every gather; here the transpose is again a map of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from twin.compile.arithmetic import add
from twin.precision import as_wide_as

MOST_WRITTEN_OUT = 32
"""Longest sum that is written out term by term, which is faster than a reduction but takes longer to compile."""

type Entry = tuple[int, int]


def rows_of(x: Float[Array, "row *lane"], index: np.ndarray) -> Float[Array, "picked *lane"]:
    """Rows of an array, ``x[index]``, for unsigned indices that are known to lie inside.

    Without what `jax.numpy` does around a gather, which takes three times as long to trace: large systems have
    thousands of them.
    """
    rest = x.shape[1:]
    numbers = lax.GatherDimensionNumbers(tuple(range(1, x.ndim)), (0,), (0,))
    return lax.gather(x, index[:, None], numbers, (1, *rest), mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS)


class SparseMap:
    """A constant matrix, rows by their non-zeros.

    Args:
        inputs: Number of columns.
        outputs: Number of rows.
        entries: Positions (row, column); one that appears twice counts twice.
        values: Their values; default: ones.
    """

    def __init__(
        self, inputs: int, outputs: int, entries: Iterable[Entry], values: Sequence[float] | None = None
    ) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.rows, self.columns = np.array(list(entries), dtype=int).reshape(-1, 2).T
        assert (self.rows < outputs).all() and (self.columns < inputs).all()
        self.values = np.ones(len(self.rows)) if values is None else np.asarray(values, dtype=float)

    @classmethod
    def take(cls, inputs: int, rows: Sequence[int] | np.ndarray) -> SparseMap:
        """The map that reads these rows."""
        return cls(inputs, len(rows), enumerate(rows))

    def __call__(self, x: Float[Array, "input *lane"]) -> Float[Array, "output *lane"]:
        """The product with an array; supports every derivative and `jax.vmap`."""
        return _product.bind(x, table=self)

    @cached_property
    def transposed(self) -> SparseMap:
        return SparseMap(self.outputs, self.inputs, zip(self.columns, self.rows, strict=True), self.values)

    @cached_property
    def _summands(self) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Columns and values of all rows with 0, 1, 2, ... entries, and where each row is then found."""
        by_row = np.argsort(self.rows, kind="stable")
        counts = np.bincount(self.rows, minlength=self.outputs)
        first = np.cumsum(counts) - counts
        groups, order = [], []
        for count in np.unique(counts):
            members = np.flatnonzero(counts == count)
            entries = by_row[first[members][:, None] + np.arange(count)]
            groups.append((self.columns[entries].astype(np.uint32), self.values[entries]))
            order.append(members)
        back = np.argsort(np.concatenate([np.zeros(0, int), *order]), kind="stable")
        return groups, back.astype(np.uint32)

    def product(self, x: Array) -> Array:
        """The same by array operations that JAX knows."""
        # Without the barrier XLA may compute a row anew wherever it is read.
        x = lax.optimization_barrier(x)
        groups, back = self._summands
        sums = [_sum(x, columns, values) for columns, values in groups]
        if len(sums) == 1:
            return sums[0]
        return rows_of(jnp.concatenate([jnp.zeros((0, *x.shape[1:]), x.dtype), *sums]), back)


def _sum(x: Array, columns: np.ndarray, values: np.ndarray) -> Array:
    lanes = (1,) * (x.ndim - 1)
    if columns.shape[1] > MOST_WRITTEN_OUT:
        return jnp.sum(x[columns] * jnp.asarray(values.reshape(*values.shape, *lanes), x.dtype), axis=1)
    total = None
    for column, value in zip(columns.T, values.T, strict=True):
        row = rows_of(x, column)
        if (value != 1.0).any():
            row = row * jnp.asarray(value.reshape(-1, *lanes), x.dtype)
        total = row if total is None else add(total, row)
    return jnp.zeros((len(columns), *x.shape[1:]), x.dtype) if total is None else total


_product = Primitive("sparse_map")
_product.def_impl(lambda x, *, table: table.product(x))
_product.def_abstract_eval(lambda x, *, table: ShapedArray((table.outputs, *x.shape[1:]), x.dtype))


def _lowered(x: Array, *, table: SparseMap) -> Array:
    with as_wide_as(x):  # lowered where the caller compiles, who may have the switch elsewhere
        return table.product(x)


mlir.register_lowering(_product, mlir.lower_fun(_lowered, multiple_results=False))
ad.deflinear2(_product, lambda of_result, _, *, table: [table.transposed(of_result)])


def _batched(arguments, axes, *, table: SparseMap):
    return table(jnp.moveaxis(arguments[0], axes[0], -1)), arguments[0].ndim - 1


batching.primitive_batchers[_product] = _batched
