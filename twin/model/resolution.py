"""The order in which quantities are computed from each other, and their substitution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import sympy as sp

from twin.errors import CyclicAssignmentError


def order(definitions: Mapping[str, sp.Expr], *, where: str) -> tuple[str, ...]:
    """Names so that each comes after those its definition uses; otherwise as declared.

    Args:
        definitions: Expression by name.
        where: The model, for messages.

    Raises:
        CyclicAssignmentError: Definitions that need each other; the message walks round the cycle.
    """
    place = {name: index for index, name in enumerate(definitions)}
    needs = {
        name: sorted(_names(expression) & place.keys(), key=lambda other: place[other])
        for name, expression in definitions.items()
    }
    done: dict[str, None] = {}
    for start in definitions:
        # Depth first with our own stack: chains may be longer than Python's.
        path: list[str] = []
        stack = [(start, iter(needs[start]))] if start not in done else []
        if stack:
            path.append(start)
        while stack:
            name, remaining = stack[-1]
            following = next((other for other in remaining if other not in done), None)
            if following is None:
                done[name] = None
                stack.pop()
                path.pop()
            elif following in path:
                cycle = [*path[path.index(following) :], following]
                raise CyclicAssignmentError(
                    f"these are defined by each other: {' -> '.join(cycle)}",
                    where=where,
                    expected="assignments and rates that can be computed one after the other",
                    fix="make one of them a state or a parameter",
                )
            else:
                path.append(following)
                stack.append((following, iter(needs[following])))
    return tuple(done)


def substitute(definitions: Mapping[str, sp.Expr], ordered: tuple[str, ...]) -> dict[sp.Symbol, sp.Expr]:
    """Each definition in terms of what is not itself defined.

    Args:
        definitions: Expression by name.
        ordered: Their names in an order given by `order`.
    """
    resolved: dict[sp.Symbol, sp.Expr] = {}
    for name in ordered:
        resolved[sp.Symbol(name, real=True)] = cast("sp.Expr", definitions[name].xreplace(resolved))
    return resolved


def _names(expression: sp.Expr) -> set[str]:
    return {symbol.name for symbol in expression.free_symbols if isinstance(symbol, sp.Symbol)}
