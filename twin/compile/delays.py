"""Delayed terms ``delay(x, lag)`` as functions of the past.

Each distinct term becomes a symbol of its own. Its value is x computed from the states of the past and the time of the
past; its slope in time enters df/dt, and nothing of it enters the Jacobian, because no step is longer than the lag.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import jax.numpy as jnp
import sympy as sp
from jaxtyping import Array, Float

from twin.compile.evaluate import Env, Evaluator, compile_expressions
from twin.model.functions import Delay
from twin.model.symbols import START

type Lanes = Float[Array, " lane"]


class Past(Protocol):
    """States at earlier times of each lane; those of the start before it."""

    @property
    def start(self) -> Lanes:
        """When the past begins."""
        ...

    def __call__(self, t: Float[Array, " point"]) -> Float[Array, "state point"]:
        """States at times; points are lanes, or lanes repeated."""
        ...


class DelayTerm(NamedTuple):
    """A delayed term.

    Args:
        symbol: Stands for its value.
        slope: Stands for its derivative in time.
        value: What is delayed, in terms of states, parameters, time and inner terms, at the earlier time.
        lag: By how much, in the same terms, now.
    """

    symbol: sp.Symbol
    slope: sp.Symbol
    value: Evaluator
    lag: Evaluator


class DelayTerms:
    """The delayed terms of a system, inner ones before those that contain them."""

    def __init__(self, histories: Mapping[int, sp.Expr]) -> None:
        """Histories: by state, its value before the start where that is not the initial value."""
        self._histories = {row: compile_expressions([formula], frozenset()) for row, formula in histories.items()}
        self._terms: dict[sp.Basic, DelayTerm] = {}
        self._acting = 0

    def __bool__(self) -> bool:
        return bool(self._terms)

    @property
    def rates(self) -> dict[sp.Symbol, sp.Symbol]:
        """Symbol of each term and that of its slope."""
        return {term.symbol: term.slope for term in self._terms.values()}

    def replace(self, expression: sp.Basic) -> sp.Basic:
        """The expression with a symbol for each delayed term; new terms are taken in."""
        while nodes := expression.atoms(Delay):
            node = min(nodes, key=lambda each: (each.count_ops(), str(each)))  # an innermost one
            if node not in self._terms:
                name = f"__delay{len(self._terms)}"
                value, lag = (compile_expressions([part], frozenset()) for part in node.args)
                symbols = sp.Symbol(name, real=True), sp.Symbol(f"{name}__slope", real=True)
                self._terms[node] = DelayTerm(*symbols, value, lag)
            expression = expression.xreplace({node: self._terms[node].symbol})
        return expression

    def values(self, plain: Callable[[Lanes, Array], Env], t: Lanes, y: Array, past: Past) -> Env:
        """Value of every term, by symbol.

        Args:
            plain: Environment of everything else at a time and with states.
            t: Now.
            y: States now.
            past: States at earlier times.
        """
        return self._some(plain, t, y, past, len(self._terms))

    def _some(self, plain: Callable, t: Lanes, y: Array, past: Past, count: int) -> Env:
        found: dict[sp.Symbol, Array] = {}
        for index, term in enumerate(list(self._terms.values())[:count]):
            then = t - _lag(term, {**plain(t, y), **found}, t)
            start = jnp.tile(past.start, t.size // past.start.size)
            states = past(then)
            states = _before_start(self._histories, plain(then, states), states, then < start)
            # What is delayed may itself contain delayed terms: those of that earlier time.
            inner = self._some(plain, then, states, past, index)
            env = {**plain(then, states), **inner, START: start}
            (value,) = term.value(env, env)
            found[term.symbol] = jnp.broadcast_to(jnp.asarray(value, t.dtype), t.shape)
        return found

    def all_act(self) -> None:
        """From here on, new terms are only read: the equations do not contain them."""
        self._acting = len(self._terms)

    @property
    def act(self) -> bool:
        """Whether the equations contain any."""
        return self._acting > 0

    def least_lag(self, env: Env, t: Lanes) -> Lanes:
        """The shortest lag now of the terms that act on the states; infinite if none does."""
        lags = [_lag(term, env, t) for term in list(self._terms.values())[: self._acting]]
        return functools.reduce(jnp.minimum, lags, jnp.full_like(t, jnp.inf))


def _before_start(histories: Mapping[int, Evaluator], env: Env, y: Array, early: Array) -> Array:
    """States with those that have a history of their own taken from it before the start."""
    for row, history in histories.items():
        (value,) = history(env, env)
        y = y.at[row].set(jnp.where(early, value, y[row]))
    return y


def _lag(term: DelayTerm, env: Env, t: Lanes) -> Lanes:
    (lag,) = term.lag(env, env)
    return jnp.broadcast_to(jnp.maximum(jnp.asarray(lag, t.dtype), 0.0), t.shape)
