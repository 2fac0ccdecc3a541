"""Arithmetic between arrays of one shape, and with numbers, traced at a third of what operators cost.

An operator of JAX's arrays is itself a compiled function that is traced and inlined wherever it stands; unrolled models
hold thousands. Where nothing needs converting or broadcasting the primitive is the same operation.
"""

from __future__ import annotations

import jax
from jax import lax
from jaxtyping import Array

type Operand = Array | float


def add(a: Operand, b: Operand) -> Array:
    """a + b."""
    return lax.add(a, b) if _alike(a, b) else a + b  # type: ignore[return-value]


def subtract(a: Operand, b: Operand) -> Array:
    """a - b."""
    return lax.sub(a, b) if _alike(a, b) else a - b  # type: ignore[return-value]


def multiply(a: Operand, b: Operand) -> Array:
    """a b."""
    return lax.mul(a, b) if _alike(a, b) else a * b  # type: ignore[return-value]


def divide(a: Operand, b: Operand) -> Array:
    """a / b."""
    return lax.div(a, b) if _alike(a, b) else a / b  # type: ignore[return-value]


def negative(a: Operand) -> Array:
    """-a."""
    return lax.neg(a) if _is_real(a) else -a  # type: ignore[return-value]


def _alike(a: Operand, b: Operand) -> bool:
    """Whether the primitives take both as they are."""
    if isinstance(a, float):
        return _is_real(b)
    if isinstance(b, float):
        return _is_real(a)
    return _is_real(a) and _is_real(b) and a.shape == b.shape and a.dtype == b.dtype  # type: ignore[union-attr]


def _is_real(x: Operand) -> bool:
    return isinstance(x, jax.Array) and x.dtype.kind == "f"
