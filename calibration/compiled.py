"""Compiled functions that belong to an object and are kept with it, so that a second call compiles nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from calibration.shared_program import SharedProgram
from twin.collector import collector_paused
from twin.precision import float64


class Owner(Protocol):
    """What keeps compiled functions; a changed copy of it must begin with none."""

    programs: dict[Hashable, Callable]


def kept_program(owner: Owner, key: Hashable, make: Callable[[], Callable], *, shared: bool = True) -> Callable:
    """The compiled function of this key, the one that was asked for first.

    Args:
        owner: What the function depends on.
        key: Everything else that it depends on.
        make: Gives the function.
        shared: Whether owners that differ in numbers only share the executable. Its calls take up to 0.2 ms longer.
    """
    if key not in owner.programs:
        owner.programs[key] = SharedProgram(make()) if shared else jax.jit(make())
    return owner.programs[key]


def shared_method(owner: Owner, method: Callable) -> Callable:
    """A method that is called once or twice, with a program that owners share which differ in numbers only.

    Compiling is nearly all that such a call costs, so the longer call of a shared program does not matter.

    Args:
        owner: Whose method.
        method: Function of the owner and of arrays, as it stands in the class. Wants a float64 context.
    """
    return kept_program(owner, ("shared", method.__name__), lambda: functools.partial(method, owner))


def compiled[**P, R](method: Callable[P, R]) -> Callable[P, R]:
    """Decorator for a method of arrays, in float64.

    Without it, every call with numbers would build new closures and compile its loops anew.
    """
    name, traced = method.__name__, collector_paused()(method)

    def program(owner: Owner) -> Callable:
        # Not shared: a call at one vector may take no longer than what sharing costs.
        return kept_program(owner, name, lambda: functools.partial(traced, owner), shared=False)  # type: ignore[arg-type]

    @functools.wraps(method)
    def call(owner: Any, *given: Any):
        with float64():
            arrays = [jnp.asarray(x, dtype=jnp.float64) for x in given]
            if any(isinstance(x, jax.core.Tracer) for x in arrays):
                return traced(owner, *arrays)  # type: ignore[call-arg]
            return program(owner)(*arrays)

    return call  # type: ignore[return-value]
