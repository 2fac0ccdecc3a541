"""Inner entries as blocks, and what their readings are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

type Flat = Float[Array, "inner draw"]
type Block = Float[Array, "group draw member"]
type Rows = Float[Array, "reading draw"]

type Read = Callable[[Flat], tuple[Rows, Rows]]
"""From inner entries to predictions, on the scale on which noise is additive, and noise scales."""


class Layout:
    """Which entries form which block.

    Args:
        groups: Places of the members of each group among the inner entries, each in one group.
        reading: Group of each reading; negative for none.
    """

    def __init__(self, groups: Sequence[Sequence[int]], reading: Int[np.ndarray, " reading"]) -> None:
        self.groups, self.entries = len(groups), sum(map(len, groups))
        self.size = max(map(len, groups))
        self.member = np.full((self.groups, self.size), self.entries)
        self.group, self.place = np.zeros(self.entries, dtype=int), np.zeros(self.entries, dtype=int)
        for number, members in enumerate(groups):
            for place, entry in enumerate(members):
                self.member[number, place] = entry
                self.group[entry], self.place[entry] = number, place
        self.filled = self.member < self.entries
        self.reading = np.where(reading >= 0, reading, self.groups)

    def block(self, flat: Flat) -> Block:
        """Entries as blocks, zero where a group has fewer members."""
        padded = jnp.concatenate([flat, jnp.zeros((1, flat.shape[1]))])
        return jnp.moveaxis(padded[self.member], -1, 1)

    def flat(self, block: Block) -> Flat:
        """Blocks as entries."""
        return block[self.group, :, self.place]

    def of_readings(self, block: Block) -> Float[Array, "reading member draw"]:
        """The entries of the group of each reading."""
        padded = jnp.concatenate([block, jnp.zeros((1, *block.shape[1:]))])
        return jnp.swapaxes(padded[self.reading], 1, 2)

    def per_group(self, rows: Float[Array, "reading *other"]) -> Float[Array, "group *other"]:
        """Sums over the readings of each group."""
        return jax.ops.segment_sum(rows, self.reading, self.groups + 1)[: self.groups]

    def directions(self) -> Float[np.ndarray, "member inner"]:
        """The j-th entry of every group, for every j: groups share no reading, so one direction serves all."""
        return np.stack([(self.place == j).astype(float) for j in range(self.size)])


class Coefficients(NamedTuple):
    """Predictions and noise scales of readings as polynomials in the entries of their groups.

    Args:
        centre: Prediction where all entries are zero [reading, draw].
        centre_slopes: Its derivatives [reading, member, draw].
        scale: Noise scale where all entries are zero.
        scale_slopes: Its derivatives there.
        scale_bends: Its second derivatives [reading, member, member, draw]; None where all are zero.
    """

    centre: Rows
    centre_slopes: Float[Array, "reading member draw"]
    scale: Rows
    scale_slopes: Float[Array, "reading member draw"]
    scale_bends: Float[Array, "reading member member draw"] | None

    def at(self, entries: Float[Array, "reading member draw"]) -> tuple[Rows, Rows, Array]:
        """Predictions, noise scales and the derivatives of the latter."""
        centre = self.centre + jnp.sum(self.centre_slopes * entries, axis=1)
        slopes, scale = self.scale_slopes, self.scale + jnp.sum(self.scale_slopes * entries, axis=1)
        if self.scale_bends is not None:
            bend = jnp.sum(self.scale_bends * entries[:, None], axis=2)
            slopes, scale = slopes + bend, scale + 0.5 * jnp.sum(bend * entries, axis=1)
        return centre, scale, slopes


def coefficients(layout: Layout, read: Read, draws: int, *, bends: bool) -> Coefficients:
    """What readings are made of.

    Args:
        layout: The blocks.
        read: Predictions and noise scales.
        draws: Number of lanes.
        bends: Whether some noise scale is of degree two.
    """
    origin = jnp.zeros((layout.entries, draws))
    along = jnp.broadcast_to(jnp.asarray(layout.directions())[:, :, None], (layout.size, *origin.shape))

    def slopes(at: Flat) -> tuple[Array, Array]:
        return jax.vmap(lambda x: jax.jvp(read, (at,), (x,))[1], out_axes=1)(along)

    centre, scale = read(origin)
    centre_slopes, scale_slopes = slopes(origin)
    second = None
    if bends:
        second = jax.vmap(lambda x: jax.jvp(lambda y: slopes(y)[1], (origin,), (x,))[1], out_axes=1)(along)
    return Coefficients(centre, centre_slopes, scale, scale_slopes, second)
