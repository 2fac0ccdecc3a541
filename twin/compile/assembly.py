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
from twin.compile.sparse_map import SparseMap
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
        slopes_of_rates = [symbol for rate in rates.values() for symbol in rate.free_symbols]
        self._others = [*rates, *slopes_of_rates, *locks, MIDDLE]
        kinds = states, parameters, self._others
        rows, columns, weights, terms = _weighted(coefficients, terms)
        self._terms = GroupedExpressions(terms, kinds, frozen)
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
        self._derivatives = GroupedExpressions([*slopes, *in_time], kinds, frozen)
        # Every (weight, slope) pair whose product adds to an entry of the Jacobian.
        pairs = [
            (weights[entry], slope, (int(rows[entry]), places[slope]))
            for slope, owner in enumerate(owners)
            for entry in np.flatnonzero(columns == owner)
        ]
        self.pattern = tuple(sorted({where for _, _, where in pairs}))
        number = {where: index for index, where in enumerate(self.pattern)}
        term_at, slope_at = self._terms.position, self._derivatives.position
        self._to_states = SparseMap(len(term_at), size, zip(rows, term_at[columns], strict=True), weights)
        # Derivatives in time follow the slopes in one array of results.
        in_time_at = slope_at[len(slopes) :][columns]
        self._in_time = SparseMap(len(slope_at), size, zip(rows, in_time_at, strict=True), weights)
        self._to_entries = SparseMap(
            len(slope_at),
            len(self.pattern),
            [(number[where], slope_at[slope]) for _, slope, where in pairs],
            [weight for weight, _, _ in pairs],
        )

    def vector_field(self, y: Array, p: Array, env: Env, mid: Env) -> Float[Array, "state lane"]:
        """dy/dt, given states and parameters as arrays and everything else by symbol."""
        return self._to_states(self._terms(*self._values(y, p, env, mid)))

    def linearise(
        self, y: Array, p: Array, env: Env, mid: Env
    ) -> tuple[Float[Array, "entry lane"], Float[Array, "state lane"]]:
        """Non-zeros of the Jacobian in the order of `pattern`, and df/dt."""
        values = self._derivatives(*self._values(y, p, env, mid))
        return self._to_entries(values), self._in_time(values)

    def _values(self, y: Array, p: Array, env: Env, mid: Env) -> tuple[Array, Array, Array]:
        others = {**env, MIDDLE: mid[TIME]}
        rest = [jnp.broadcast_to(others[symbol], y.shape[1:]) for symbol in self._others]
        return y, jnp.broadcast_to(p, (p.shape[0], *y.shape[1:])), jnp.stack(rest)


def _weighted(
    coefficients: Mapping[tuple[int, int], sp.Expr], terms: Sequence[sp.Expr]
) -> tuple[np.ndarray, np.ndarray, list[float], list[sp.Expr]]:
    """Rows, columns and numbers of the coefficients, and the terms with what is not a number in them multiplied in."""
    index: dict[tuple[int, sp.Expr], int] = {}
    columns, numbers = [], []
    for (_, term), coefficient in coefficients.items():
        number, symbolic = coefficient.as_coeff_Mul()
        columns.append(index.setdefault((term, symbolic), len(index)))
        numbers.append(float(number))
    rows = np.array([row for row, _ in coefficients], dtype=int)
    return rows, np.array(columns, dtype=int), numbers, [symbolic * terms[term] for term, symbolic in index]


def stack(values: Sequence[Array], like: Lanes) -> Float[Array, "row lane"]:
    """Rows broadcast to the lanes."""
    if not values:
        return jnp.zeros((0, *like.shape), like.dtype)
    return jnp.stack([jnp.broadcast_to(jnp.asarray(value, like.dtype), like.shape) for value in values])
