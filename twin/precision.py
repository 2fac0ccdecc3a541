"""How many bits our own computations have, without touching JAX's global switch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from twin.cache import keep_compiled_programs


def float64():
    """A context in which JAX computes in 64 bits; outside it the user's setting is unchanged.

    The first one of a process also switches on the cache of compiled programs (see `twin.cache`).

    Example:
        >>> with float64():
        ...     jax.numpy.zeros(1).dtype
        dtype('float64')
    """
    keep_compiled_programs()
    return jax.enable_x64(True)


PRECISIONS = ("float64", "float32")
"""What trajectories can be computed in."""


def computing_in(precision: str):
    """A context in which JAX computes with the numbers of this name, one of `PRECISIONS`."""
    return float64() if precision == "float64" else jax.enable_x64(False)


def as_wide_as(*arrays: Any):
    """A context in which JAX computes in 64 bits if one of the arrays has them, otherwise in 32."""
    return jax.enable_x64(any(x.dtype == np.float64 for x in arrays))


def in_float64[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: the function runs inside `float64`."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with float64():
            return function(*args, **kwargs)

    return wrapped
