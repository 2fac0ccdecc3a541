"""Compiled functions that belong to an object and are kept with it, so that a second call compiles nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp

from twin.precision import float64

#: Where an object keeps its compiled functions; a changed copy of the object must not inherit it.
PROGRAMS = "_programs"


def kept_program(owner: Any, key: Hashable, make: Callable[[], Callable]) -> Callable:
    """The compiled function of this key, kept with the object; `make` gives the function when it is first asked for."""
    programs = owner.__dict__.setdefault(PROGRAMS, {})
    if key not in programs:
        programs[key] = jax.jit(make())
    return programs[key]


def compiled[**P, R](method: Callable[P, R]) -> Callable[P, R]:
    """Decorator for a method of arrays, in float64.

    Without it, every call with numbers would build new closures and compile its loops anew.
    """
    name = method.__name__

    @functools.wraps(method)
    def call(owner: Any, *given: Any):
        with float64():
            arrays = [jnp.asarray(x, dtype=jnp.float64) for x in given]
            if any(isinstance(x, jax.core.Tracer) for x in arrays):
                return method(owner, *arrays)  # type: ignore[call-arg]
            return kept_program(owner, name, lambda: functools.partial(method, owner))(*arrays)  # type: ignore[arg-type]

    return call  # type: ignore[return-value]
