"""Newton's method inside bounds for many small independent problems at once: groups of inner entries in every lane.

In every reading the prediction, on the scale on which noise is additive, is affine in the entries of the reading's
group, and the noise scale is a polynomial of degree two at most. So all derivatives follow from coefficients that are
found once, and those of the density. Each block (a group in a lane) has its own damping, active set and end. Where the
exact Hessian of the free entries is positive definite it is taken, else the expected one, which for a noise scale alone
is Heron's iteration for the square root of the mean squared residual.

References:
    Fisher scoring: Osborne, Int. Stat. Rev. 60:99-117 (1992).
    Damping: Marquardt, SIAM J. Appl. Math. 11:431-441 (1963).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from calibration.inner.layout import Block, Coefficients, Flat, Layout

MOST_ITERATIONS = 100
ENOUGH = 1e-22
"""A block has converged when the next step promises less than this, relative to 1 + |objective|."""
ROUNDING = 1e-11
"""Below this, relative, differences of the objective are rounding: steps are then taken on the word of the model."""
PATIENCE = 4
"""Steps taken inside the rounding before a block ends."""
FIRST_DAMPING, SMALLEST_DAMPING, LARGEST_DAMPING = 1e-3, 1e-9, 1e12

type Matrix = Float[Array, "group draw member member"]

type Nllh = Callable[[Array, Array], Array]
"""From centred predictions and noise scales [reading, draw] to the negative log density of every reading."""

type Penalty = Callable[[Flat], Flat]
"""From inner entries to the negative log prior density of each."""

type Information = Callable[[Array, Array], tuple[Array, Array]]
"""From the same to the Fisher information of every reading about both."""


class _State(NamedTuple):
    iteration: Array
    at: Block
    value: Float[Array, "group draw"]
    gradient: Block
    matrix: Matrix
    damping: Float[Array, "group draw"]
    idle: Int[Array, "group draw"]
    done: Bool[Array, "group draw"]


class GroupNewton:
    """The solver for one set of trajectories.

    Args:
        layout: The blocks.
        of_readings: What predictions and noise scales are made of.
        nllh: Objective from predictions.
        information: Expected curvature from predictions.
        penalty: Priors; None where all are flat.
        lower: Lower bounds of the entries.
        upper: Upper bounds.
    """

    def __init__(
        self,
        layout: Layout,
        of_readings: Coefficients,
        nllh: Nllh,
        information: Information,
        penalty: Penalty | None,
        lower: Float[np.ndarray, " inner"],
        upper: Float[np.ndarray, " inner"],
    ) -> None:
        self.layout, self.of_readings, self.nllh, self.information = layout, of_readings, nllh, information
        self.penalty = penalty
        self.lower, self.upper = (self.layout.block(jnp.asarray(x)[:, None]) for x in (lower, upper))

    def minimise(self, start: Flat) -> tuple[Flat, Float[Array, "group draw"]]:
        """The minimum that each block reaches from its start, and its objective there."""
        at = jnp.clip(self.layout.block(start), self.lower, self.upper)
        value, gradient, matrix = self._derivatives(at)
        zero = jnp.zeros(value.shape)
        # The objective is undefined where the integration failed; nothing moves there.
        failed = ~jnp.isfinite(value)
        damping, idle = zero + FIRST_DAMPING, zero.astype(int)
        first = _State(jnp.array(0), at, value, gradient, matrix, damping, idle, failed)
        more = lambda state: (state.iteration < MOST_ITERATIONS) & ~jnp.all(state.done)  # noqa: E731
        last = lax.while_loop(more, self._iterate, first)
        return self.layout.flat(last.at), last.value

    def _derivatives(self, at: Block) -> tuple[Array, Block, Matrix]:
        """Objective, gradient and Hessian of every block."""
        layout = self.layout
        centre, scale, by_scale = self.of_readings.at(layout.of_readings(at))
        by_centre = self.of_readings.centre_slopes

        def slopes(c: Array, s: Array) -> tuple[Array, Array]:
            return jax.grad(lambda *x: jnp.sum(self.nllh(*x)), argnums=(0, 1))(c, s)

        ones = jnp.ones_like(centre)
        (l_c, l_s), (l_cc, l_cs) = jax.jvp(lambda c: slopes(c, scale), (centre,), (ones,))
        l_ss = jax.jvp(lambda s: slopes(centre, s)[1], (scale,), (ones,))[1]
        of_centre, of_scale = self.information(centre, scale)
        value = layout.per_group(self.nllh(centre, scale))
        gradient = l_c[:, None] * by_centre + l_s[:, None] * by_scale
        pair = lambda x, y: x[:, :, None] * y[:, None]  # noqa: E731
        mean, noise, mixed = pair(by_centre, by_centre), pair(by_scale, by_scale), pair(by_centre, by_scale)
        wide = lambda x: x[:, None, None]  # noqa: E731
        expected = wide(of_centre) * mean + wide(of_scale) * noise
        exact = wide(l_cc) * mean + wide(l_ss) * noise + wide(l_cs) * (mixed + jnp.swapaxes(mixed, 1, 2))
        if self.of_readings.scale_bends is not None:
            exact += wide(l_s) * self.of_readings.scale_bends
        # [group, member, draw] and [group, member, member, draw]
        gradient = jnp.moveaxis(layout.per_group(gradient), -1, 1)
        exact, expected = (jnp.moveaxis(layout.per_group(x), -1, 1) for x in (exact, expected))
        if self.penalty is not None:
            flat, penalty = self.layout.flat(at), self.penalty
            slope = jax.grad(lambda x: jnp.sum(penalty(x)))
            first, second = jax.jvp(slope, (flat,), (jnp.ones_like(flat),))
            value += jnp.sum(layout.block(penalty(flat)), axis=-1)
            gradient += layout.block(first)
            bend = layout.block(second)[..., None] * jnp.eye(layout.size)
            exact, expected = exact + bend, expected + jnp.maximum(bend, 0.0)
        return value, gradient, self._curvature(at, gradient, exact, expected)

    def _free(self, at: Block, gradient: Block) -> Bool[Array, "group draw member"]:
        held = ((at <= self.lower) & (gradient > 0)) | ((at >= self.upper) & (gradient < 0))
        return self.layout.filled[:, None] & ~held

    def _curvature(self, at: Block, gradient: Block, exact: Matrix, expected: Matrix) -> Matrix:
        """The exact Hessian where it is positive definite in the free entries, else the expected one."""
        free = self._free(at, gradient)
        both = free[..., :, None] & free[..., None, :]
        size = jnp.sqrt(jnp.maximum(jnp.einsum("...pp->...p", expected), 1e-300))
        standard = jnp.where(both, exact / (size[..., :, None] * size[..., None, :]), jnp.eye(self.layout.size))
        usable = jnp.all(jnp.isfinite(standard), axis=(-1, -2))
        definite = usable & (_smallest_pivot(standard) > 1e-8)
        return jnp.where(definite[..., None, None], exact, expected)

    def _step(self, state: _State) -> tuple[Block, Float[Array, "group draw"]]:
        """Where the damped step ends inside the bounds, and the decrease that it promises."""
        at, gradient, matrix = state.at, state.gradient, state.matrix
        free, moved = self._free(at, gradient), jnp.zeros_like(at)
        diagonal = jnp.abs(jnp.einsum("...pp->...p", matrix))
        damped = state.damping[..., None] * jnp.maximum(diagonal, 1e-14 * jnp.max(diagonal, axis=-1, keepdims=True))
        identity = jnp.eye(self.layout.size)
        # Each round puts at least one entry that would leave on its bound and solves for the others anew.
        for _ in range(self.layout.size + 1):
            both = free[..., :, None] & free[..., None, :]
            system = jnp.where(both, matrix, 0.0) + identity * jnp.where(free, damped, 1.0)[..., None]
            slope = gradient + jnp.einsum("...pq,...q->...p", matrix, jnp.where(free, 0.0, moved))
            # Rows and columns of one size: entries may differ by many orders of magnitude.
            size = jnp.sqrt(jnp.maximum(jnp.einsum("...pp->...p", system), 1e-300))
            scaled = system / (size[..., :, None] * size[..., None, :])
            step = -_solved(scaled, jnp.where(free, slope, 0.0) / size) / size
            moved = jnp.where(free, step, moved)
            leaves = free & ((at + moved < self.lower) | (at + moved > self.upper))
            moved = jnp.where(leaves, jnp.clip(at + moved, self.lower, self.upper) - at, moved)
            free &= ~leaves
        trial = jnp.clip(at + moved, self.lower, self.upper)
        moved = trial - at
        predicted = -jnp.einsum("...p,...p->...", gradient, moved)
        predicted -= 0.5 * jnp.einsum("...p,...pq,...q->...", moved, matrix, moved)
        return trial, predicted

    def _iterate(self, state: _State) -> _State:
        trial, predicted = self._step(state)
        value, gradient, matrix = self._derivatives(trial)
        unit = 1.0 + jnp.abs(state.value)
        gain = state.value - value
        tiny = jnp.abs(predicted) < ROUNDING * unit
        better = jnp.isfinite(value) & ((gain >= 0) | (tiny & (gain > -ROUNDING * unit))) & ~state.done
        idle = state.idle + (tiny & ~state.done)
        raised = jnp.where(gain > 0.25 * predicted, state.damping / 10, state.damping)
        damping = jnp.maximum(jnp.where(better, raised, state.damping * 8), SMALLEST_DAMPING)
        done = state.done | (predicted < ENOUGH * unit) | (idle >= PATIENCE) | (damping > LARGEST_DAMPING)
        one, two = better[..., None], better[..., None, None]
        return _State(
            state.iteration + 1,
            jnp.where(one, trial, state.at),
            jnp.where(better, value, state.value),
            jnp.where(one, gradient, state.gradient),
            jnp.where(two, matrix, state.matrix),
            damping,
            idle,
            done,
        )


def _pivots(matrix: Matrix, right: Block) -> tuple[list[Array], list[Array], list[list[Array]]]:
    """Elimination without pivoting, unrolled: a few operations on all blocks at once instead of a call per block."""
    size = matrix.shape[-1]
    rows = [[matrix[..., i, j] for j in range(size)] for i in range(size)]
    b = [right[..., i] for i in range(size)]
    for k in range(size):
        for i in range(k + 1, size):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
            b[i] = b[i] - factor * b[k]
    return [rows[k][k] for k in range(size)], b, rows


def _solved(matrix: Matrix, right: Block) -> Block:
    """Solutions of positive definite systems."""
    size = matrix.shape[-1]
    if size > LARGEST_UNROLLED:
        return jnp.linalg.solve(matrix, right[..., None])[..., 0]
    pivots, b, rows = _pivots(matrix, right)
    x: list[Array] = [b[-1]] * size
    for k in reversed(range(size)):
        x[k] = (b[k] - sum(rows[k][j] * x[j] for j in range(k + 1, size))) / pivots[k]
    return jnp.stack(x, axis=-1)


def _smallest_pivot(matrix: Matrix) -> Float[Array, "group draw"]:
    """Positive if and only if a symmetric matrix is positive definite."""
    if matrix.shape[-1] > LARGEST_UNROLLED:
        return jnp.linalg.eigvalsh(jnp.where(jnp.isfinite(matrix), matrix, 0.0))[..., 0]
    pivots = jnp.stack(_pivots(matrix, jnp.zeros(matrix.shape[:-1]))[0], axis=-1)
    return jnp.where(jnp.all(pivots > 0, axis=-1), jnp.min(pivots, axis=-1), -1.0)


LARGEST_UNROLLED = 5
"""Members up to which the elimination is unrolled."""
