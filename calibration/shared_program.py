"""Compiled programs that functions share which differ only in the numbers that they close over.

`jax.jit` writes the arrays of a closure into the program as constants: two problems whose readings have other values
are two programs, and nearly all of a call's first seconds are spent in compiling. Here those arrays are arguments, and
one executable serves every function whose lowered code is the same, letter for letter. What is no array of the closure
(shapes, structure, formulas, numbers in Python) stands in that code, so functions that differ in it never share.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array

from twin.collector import collector_paused

MOST_PROGRAMS = 128
"""Programs that are kept, those used last: one has a few megabytes of machine code."""

_programs: OrderedDict[str, Callable] = OrderedDict()


class SharedProgram:
    """`jax.jit` of a function of arrays, with an executable that others may have compiled.

    Args:
        function: Pure function of arrays, or of trees of them; it may close over arrays, but not over tracers.
    """

    def __init__(self, function: Callable) -> None:
        self._function = function
        self._alone = jax.jit(function)
        self._bound: dict[Hashable, Callable] = {}

    def __call__(self, *given: Any) -> Any:
        leaves, tree = jax.tree.flatten(given)
        if any(isinstance(x, jax.core.Tracer) for x in leaves):
            return self._alone(*given)
        # The switch decides what a float64 array becomes.
        key = (tree, tuple(map(jax.typeof, leaves)), jax.config.jax_enable_x64)
        if key not in self._bound:
            self._bound[key] = self._bind(given)
        return self._bound[key](*given)

    @collector_paused()
    def _bind(self, given: tuple[Any, ...]) -> Callable:
        """The function for arguments of these shapes."""
        if isinstance(jnp.zeros(()), jax.core.Tracer):  # Part of a larger program: there is nothing to compile.
            return self._alone
        code, shape = jax.make_jaxpr(self._function, return_shape=True)(*given)
        if any(isinstance(x, jax.core.Tracer) or jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in code.consts):
            return self._alone
        packed, places = _pack([np.asarray(x) for x in code.consts])
        program = _shared(_open(code, places, self._name), packed, jax.tree.leaves(given))
        result = jax.tree.structure(shape)
        return lambda *given: jax.tree.unflatten(result, program(packed, jax.tree.leaves(given)))

    @property
    def _name(self) -> str:
        function = self._function.func if isinstance(self._function, functools.partial) else self._function
        return getattr(function, "__name__", "program")


class _Place(NamedTuple):
    """Where an array lies among all of its type; or the array itself, which stays a constant."""

    kind: str
    start: int
    shape: tuple[int, ...]
    constant: np.ndarray | None = None


def _pack(arrays: Sequence[np.ndarray]) -> tuple[dict[str, Array], list[_Place]]:
    """One array of each type, since every further argument makes a call longer.

    Unsigned integers stay constants: they are the patterns of large systems (`twin.solve.levels`), as code.
    """
    parts: dict[str, list[np.ndarray]] = {}
    places = []
    for each in arrays:
        kind = each.dtype.str
        if each.dtype.kind not in "bif":
            places.append(_Place(kind, 0, each.shape, each))
            continue
        before = parts.setdefault(kind, [])
        places.append(_Place(kind, sum(x.size for x in before), each.shape))
        before.append(each.ravel())
    return {kind: jnp.asarray(np.concatenate(x)) for kind, x in parts.items()}, places


def _open(code: ClosedJaxpr, places: Sequence[_Place], name: str) -> Callable:
    """The code as a function of the numbers that it was closed over and of its arguments."""
    body = code.jaxpr

    def number(packed: dict[str, Array], place: _Place) -> Array | np.ndarray:
        if place.constant is not None:
            return place.constant
        return packed[place.kind][place.start : place.start + math.prod(place.shape)].reshape(place.shape)

    def program(packed: dict[str, Array], leaves: list[Array]) -> list[Array]:
        return jaxpr_as_fun(ClosedJaxpr(body, [number(packed, place) for place in places]))(*leaves)

    program.__name__ = name
    return jax.jit(program)


def _shared(program: Callable, packed: dict[str, Array], leaves: list[Array]) -> Callable:
    """The program that was kept with this code, or this one from now on."""
    text = program.lower(packed, leaves).as_text()  # type: ignore[attr-defined]
    if "callback" in text:  # Functions of Python are numbered within a program, not named.
        return program
    key = hashlib.sha256(text.encode()).hexdigest()
    kept = _programs.setdefault(key, program)
    _programs.move_to_end(key)
    if len(_programs) > MOST_PROGRAMS:
        _programs.popitem(last=False)
    return kept
