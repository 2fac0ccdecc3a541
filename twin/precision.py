"""Double precision for our own computations, without touching JAX's global switch."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax


def float64():
    """A context in which JAX computes in 64 bits; outside it the user's setting is unchanged.

    Example:
        >>> with float64():
        ...     jax.numpy.zeros(1).dtype
        dtype('float64')
    """
    return jax.enable_x64(True)


def in_float64[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: the function runs inside `float64`."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with float64():
            return function(*args, **kwargs)

    return wrapped
