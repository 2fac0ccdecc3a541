"""Large systems: fluxes and their derivatives are computed once each and summed by arrays, not by unrolled code.

With stoichiometric coefficients n and fluxes v,

    dy_i/dt = sum_j n_ij v_j + o_i,        J_ik = sum_j n_ij dv_j/dy_k + do_i/dy_k.

Written out, every reaction would be compiled once for each state that it changes, and its derivatives once for each
pair of states; compilation would take minutes for a hundred states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from twin.compile.evaluate import Env
from twin.compile.grouped import GroupedExpressions
from twin.compile.switches import MIDDLE, TIME
from twin.model.derivative import derivatives

type Lanes = Float[Array, " lane"]


class Assembly:
    """Vector field and Jacobian of a system, assembled from its terms.

    Args:
        size: Number of states.
        terms: Expressions: fluxes, then what stands alone in an equation.
        coefficients: By (state, term): what the term counts there.
        states: Symbols of the states.
        parameters: Symbols of the parameters.
        rates: Further symbols that change in time, with their rate: time itself, measured inputs.
        locks: Symbols of comparisons held fixed during a step.
        frozen: Symbols of which conditions are decided by segment.
    """

    def __init__(
        self,
        size: int,
        terms: Sequence[sp.Expr],
        coefficients: Mapping[tuple[int, int], sp.Expr],
        states: Sequence[sp.Symbol],
        parameters: Sequence[sp.Symbol],
        rates: Mapping[sp.Symbol, sp.Expr],
        locks: Sequence[sp.Symbol],
        frozen: frozenset[sp.Symbol],
    ) -> None:
        self.size = size
        slopes_of_rates = [symbol for rate in rates.values() for symbol in rate.free_symbols]
        self._others = [*rates, *slopes_of_rates, *locks, MIDDLE]
        symbols = [*states, *parameters, *self._others]
        self._weights = GroupedExpressions(list(coefficients.values()), symbols, frozen)
        self._terms = GroupedExpressions(list(terms), symbols, frozen)
        self.rows, self.columns = np.array(list(coefficients), dtype=int).reshape(-1, 2).T
        slopes, owners, places = [], [], []
        in_time = []
        position = {symbol: index for index, symbol in enumerate(states)}
        for index, term in enumerate(terms):
            present = sorted(term.free_symbols & position.keys(), key=lambda symbol: position[symbol])
            for symbol, slope in zip(present, derivatives(term, present), strict=True):
                if slope != 0:
                    slopes.append(slope)
                    owners.append(index)
                    places.append(position[symbol])
            by_rate = derivatives(term, list(rates))
            in_time.append(sp.Add(*(a * b for a, b in zip(by_rate, rates.values(), strict=True))))
        # Every (weight, slope) pair whose product adds to an entry of the Jacobian.
        pairs = [
            (entry, slope, (int(self.rows[entry]), places[slope]))
            for slope, owner in enumerate(owners)
            for entry in np.flatnonzero(self.columns == owner)
        ]
        self.pattern = tuple(sorted({where for _, _, where in pairs}))
        number = {where: index for index, where in enumerate(self.pattern)}
        self._pairs = np.array([(entry, slope, number[where]) for entry, slope, where in pairs], dtype=int)
        self._derivatives = GroupedExpressions([*slopes, *in_time], symbols, frozen)
        self._slopes = len(slopes)

    def vector_field(self, y: Array, p: Array, env: Env, mid: Env) -> Float[Array, "state lane"]:
        """dy/dt, given states and parameters as arrays and everything else by symbol."""
        values = self._values(y, p, env, mid)
        return self._sum(self._weights(values), self._terms(values))

    def linearise(
        self, y: Array, p: Array, env: Env, mid: Env
    ) -> tuple[Float[Array, "entry lane"], Float[Array, "state lane"]]:
        """Non-zeros of the Jacobian in the order of `pattern`, and df/dt."""
        values = self._values(y, p, env, mid)
        weights, values = self._weights(values), self._derivatives(values)
        entry, slope, where = self._pairs.reshape(-1, 3).T
        products = weights[entry] * values[slope]
        entries = jnp.zeros((len(self.pattern), *y.shape[1:]), y.dtype).at[where].add(products)
        return entries, self._sum(weights, values[self._slopes :])

    def _values(self, y: Array, p: Array, env: Env, mid: Env) -> Float[Array, "symbol lane"]:
        others = {**env, MIDDLE: mid[TIME]}
        rest = [jnp.broadcast_to(others[symbol], y.shape[1:])[None] for symbol in self._others]
        return jnp.concatenate([y, jnp.broadcast_to(p, (p.shape[0], *y.shape[1:])), *rest])

    def _sum(self, weights: Array, terms: Array) -> Array:
        total = jnp.zeros((self.size, *terms.shape[1:]), terms.dtype)
        return total.at[self.rows].add(weights * terms[self.columns])


def stack(values: Sequence[Array], like: Lanes) -> Float[Array, "row lane"]:
    """Rows broadcast to the lanes."""
    if not values:
        return jnp.zeros((0, *like.shape), like.dtype)
    return jnp.stack([jnp.broadcast_to(jnp.asarray(value, like.dtype), like.shape) for value in values])
