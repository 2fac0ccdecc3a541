"""Many lanes as blocks: one after the other on a device, and side by side on several devices.

A block is as wide as vector units and caches like it. Lanes wait only for the slowest of their own block, and since
lanes are ordered by experiment, those of a block are alike where there are several draws of each; where there are not,
they take turns (see `twin.solve.relay`). Several devices (GPUs, or CPU devices as
``jax_num_cpu_devices`` makes them) share the blocks; nothing in the caller's code changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from twin.compile.system import MOST_WRITTEN_OUT, System

BYTES_OF_STAGES = 112 * 2**10
"""Room for the stages of a block; about what a core keeps close by."""

FEWEST_LANES, MOST_LANES = 8, 64

NUMBERS_OF_A_BLOCK, DIRECTIONS_OF_ONE_LANE, WHOLE_VECTOR = 16, 8, 4
"""Lanes times directions from which tangents fill vector units; directions from which those of one lane do, which then
waits for no other (measured: 6.3 ms instead of 10.4 with two and 7.3 with four lanes side by side, 18 directions; 4.4
instead of 7.3 and 9.9 ms, 16 directions); numbers in a vector, which fewer directions need from the lanes."""

FEWEST_TURNS, ENOUGH_TURNS, FEWEST_PLACES, BYTES_OF_TURNS = 4, 8, 4, 32 * 2**10
"""Lanes at each place one after the other from which taking turns is worth it, and from which there are more places
than the fewest: a step of a lane costs nearly the same among 4 as among 36, and those of lanes that have ended cost as
much (see `docs/performance.md`). And bytes of the states at all places, once for every turn, so that the starts of 512
steps of each turn fit on a page."""

AXIS = "lane"


def lanes_per_block(system: System, lanes: int, directions: int = 0) -> int:
    """Width of the blocks into which so many lanes are cut; on a GPU all go side by side.

    Args:
        system: The system.
        lanes: Number of lanes.
        directions: Tangent directions that each lane carries, in forward mode.
    """
    devices = jax.device_count()
    if system.delays:  # their past is one array for all lanes
        return lanes
    if jax.default_backend() != "cpu":
        return math.ceil(lanes / devices)
    width = max(FEWEST_LANES, _fitting(system))
    if directions >= DIRECTIONS_OF_ONE_LANE:
        return 1
    if directions:
        vectors = math.ceil(NUMBERS_OF_A_BLOCK / (directions * WHOLE_VECTOR))
        width = min(width, vectors * WHOLE_VECTOR)
    # Equal blocks: as many as are needed, and no more lanes in each than then have to be.
    return math.ceil(lanes / math.ceil(lanes / width))


def lanes_in_turn(system: System, lanes: int, alike: int = 1) -> tuple[int, int]:
    """Width of the blocks into which so many lanes are cut where they may take turns, and how many go at a time.

    With as many places as lanes nobody takes turns: so do few lanes, which would leave places empty towards the end,
    and draws of the same experiment, which end at about the same time.

    Args:
        system: The system.
        lanes: Number of lanes.
        alike: Draws of one experiment, lane after lane.
    """
    width = lanes_per_block(system, lanes)
    if system.delays or jax.default_backend() != "cpu" or alike >= FEWEST_PLACES:
        return width, width
    states = len(system.states)
    devices = 1 if _spread_already() else jax.device_count()
    share = math.ceil(lanes / devices)
    widest = FEWEST_PLACES if states > MOST_WRITTEN_OUT else _fitting(system)
    if share < FEWEST_TURNS * FEWEST_PLACES:
        return width, width
    places = min(_power_of_two(widest), max(FEWEST_PLACES, _power_of_two(share // ENOUGH_TURNS)))
    turns = max(FEWEST_TURNS, BYTES_OF_TURNS // (8 * max(1, states) * places))
    return math.ceil(share / math.ceil(share / (turns * places))), places


def _fitting(system: System) -> int:
    """Lanes whose stages fit into the room for them."""
    return min(MOST_LANES, BYTES_OF_STAGES // (64 * max(1, len(system.states))))


def _power_of_two(number: int) -> int:
    """The largest that is not larger; 0 for 0."""
    return 2 ** (number.bit_length() - 1) if number else 0


def _spread_already() -> bool:
    """Whether the caller has given each device its share, as a sampler does with its chains."""
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def in_blocks[T](run: Callable[..., T], arguments: tuple, lanes: int, width: int) -> T:
    """The results of `run` for all lanes.

    Args:
        run: From trees of arrays whose last axis are lanes to a tree of such arrays.
        arguments: What it takes, for all lanes.
        lanes: Number of lanes.
        width: Lanes of a block, fewer than all.
    """
    needed = math.ceil(lanes / width)
    devices = 1 if _spread_already() else min(jax.device_count(), needed)
    blocks = math.ceil(needed / devices) * devices
    # Lanes of the last blocks that nobody asked for repeat the last one.
    index = np.minimum(np.arange(blocks * width), lanes - 1)

    def cut(x: Array) -> Array:
        return jnp.moveaxis(x[..., index].reshape(*x.shape[:-1], blocks, width), -2, 0)

    def join(x: Array) -> Array:
        x = jnp.moveaxis(x, 0, -2)
        return x.reshape(*x.shape[:-2], blocks * width)[..., :lanes]

    def one_by_one(*parts):
        return lax.map(lambda each: run(*each), parts)

    if devices > 1:
        spread = PartitionSpec(AXIS)
        mesh = Mesh(np.array(jax.devices()[:devices]), (AXIS,))
        one_by_one = jax.shard_map(one_by_one, mesh=mesh, in_specs=spread, out_specs=spread, check_vma=False)
    return jax.tree.map(join, one_by_one(*jax.tree.map(cut, arguments)))
