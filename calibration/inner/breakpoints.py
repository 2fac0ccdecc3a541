"""Exact inner optimum for Laplace noise: the best of all breakpoints.

With residuals r_i = z_i - c_i - a_i b on the scale on which the noise is additive, noise scales w_i sigma_j and the
sums S_j = sum_i |r_i| / w_i over the n_j readings of each sigma, the best sigma is S_j / n_j, cut off at its bounds.
What is left is, between neighbouring breakpoints b = (z_i - c_i) / a_i, a sum of n_j log S_j (concave), or of S_j over
a bound or a known scale (linear), with S_j linear in b: concave. So its minimum lies at a breakpoint or on a bound.

At a breakpoint the residual of the reading there is zero and the objective has a kink. As the other parameters move,
the optimum moves along with that reading, and the derivative is that of the Lagrangian: the kink's slope is the one
between -1/s and 1/s for which the derivative in b vanishes.

References:
    Loos, Krause & Hasenauer, Bioinformatics 34:4266-4273 (2018), doi:10.1093/bioinformatics/bty514, section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

type Rows = Float[Array, "reading draw"]


class Breakpoints:
    """The solver.

    Args:
        affine: Place of the scaling or offset in each reading among the inner entries; negative for none.
        sigma: Place of the noise scale; negative for none.
        group: Group of each reading, -1 for readings that play no part.
        groups: Members of the groups that are solved here, by number; others are left alone.
        lower: Lower bounds of the inner entries.
        upper: Upper bounds.
    """

    def __init__(
        self,
        affine: Int[np.ndarray, " reading"],
        sigma: Int[np.ndarray, " reading"],
        group: Int[np.ndarray, " reading"],
        groups: Sequence[Sequence[int]],
        lower: Float[np.ndarray, " inner"],
        upper: Float[np.ndarray, " inner"],
    ) -> None:
        self.rows = np.flatnonzero(group >= 0)
        self.entries, self.groups = len(lower), len(groups)
        self.members = np.isin(np.arange(len(lower)), [member for group in groups for member in group])
        self.affine, self.sigma, self.group = affine[self.rows], sigma[self.rows], group[self.rows]
        self.lower, self.upper = lower, upper
        self.mean = np.full(self.groups, self.entries)
        for number, members in enumerate(groups):
            of_mean = [member for member in members if (self.affine == member).any()]
            self.mean[number] = of_mean[0] if of_mean else self.entries
        readings = [np.flatnonzero((self.group == number) & (self.affine >= 0)) for number in range(self.groups)]
        most = max(map(len, readings), default=0)
        # Readings whose breakpoints are tried, repeating the last; then the two bounds.
        self.tried = np.array([np.pad(each, (0, most - len(each)), mode="edge") for each in readings if len(each)])
        self.with_mean = np.array([number for number, each in enumerate(readings) if len(each)], dtype=int)
        self.counts = np.bincount(np.where(self.sigma >= 0, self.sigma, self.entries), minlength=self.entries + 1)
        self.noise = np.unique(self.sigma[self.sigma >= 0])

    def minimise(
        self, distance: Rows, slope: Rows, weight: Rows, start: Float[Array, "inner draw"]
    ) -> tuple[Float[Array, "inner draw"], Bool[Array, "reading draw"]]:
        """The optimum of every group in every lane.

        Args:
            distance: z - c, reading less prediction without the scaling or offset.
            slope: a, derivative of the prediction in it.
            weight: Noise scale where its inner entry is 1.
            start: Inner entries; those of other groups are returned as they are.

        Returns:
            The inner entries, and the reading on whose breakpoint each group's scaling or offset lies, if any.
        """
        full = distance.shape
        distance, slope, weight = distance[self.rows], slope[self.rows], weight[self.rows]
        draws = distance.shape[1]

        def cost(b: Float[Array, "group draw"]) -> tuple[Array, Array]:
            residual = jnp.abs(distance - slope * b[self.group]) / weight
            owner = np.where(self.sigma >= 0, self.sigma, self.entries)
            sums = jax.ops.segment_sum(residual, owner, self.entries + 1)
            best = sums[:-1] / np.maximum(self.counts[:-1], 1)[:, None]
            best = jnp.clip(best, self.lower[:, None], self.upper[:, None])
            padded = jnp.concatenate([best, jnp.ones((1, draws))])
            scale = padded[owner]
            each = residual / scale + jnp.log(scale)
            return jax.ops.segment_sum(each, self.group, self.groups), best

        best_b, chosen = jnp.zeros((self.groups, draws)), jnp.full((self.groups, draws), -1)
        if len(self.with_mean):
            best_b, chosen = self._search(cost, distance, slope, best_b, chosen)
        sigma = cost(best_b)[1]
        result = start.at[self.noise].set(sigma[self.noise])
        result = result.at[self.mean[self.with_mean]].set(best_b[self.with_mean])
        on = chosen[self.group] == np.arange(len(self.rows))[:, None]
        return result, jnp.zeros(full, dtype=bool).at[self.rows].set(on)

    def _search(self, cost, distance: Rows, slope: Rows, start: Array, none: Array) -> tuple[Array, Array]:
        with_mean, mean = self.with_mean, self.mean[self.with_mean]
        low, high = self.lower[mean][:, None], self.upper[mean][:, None]
        bounds = jnp.stack([jnp.broadcast_to(x, (len(mean), distance.shape[1])) for x in (low, high)])
        of_readings = jnp.where(slope != 0, distance / jnp.where(slope != 0, slope, 1.0), low.min())
        tried = jnp.concatenate([jnp.swapaxes(of_readings[self.tried], 0, 1), bounds])
        reading = np.concatenate([self.tried.T, np.full((2, len(mean)), -1)])

        def consider(best: tuple[Array, Array, Array], candidate: tuple[Array, Array]) -> tuple[tuple, None]:
            value, at, index = best
            b, number = candidate
            inside = (b > low) & (b < high)
            b = jnp.clip(b, low, high)
            here = cost(start.at[with_mean].set(b))[0][with_mean]
            better = here < value
            found = jnp.where(inside, number[:, None], -1)
            return (jnp.where(better, here, value), jnp.where(better, b, at), jnp.where(better, found, index)), None

        first = jnp.full(bounds[0].shape, jnp.inf), bounds[0], jnp.full(bounds[0].shape, -1)
        (_, at, index), _ = lax.scan(consider, first, (tried, jnp.asarray(reading)))
        return start.at[with_mean].set(at), none.at[with_mean].set(index)
