"""The No-U-Turn sampler (blackjax), all chains as lanes of one solve.

Warm-up has doubling windows as Stan's, with two differences: step size and metric are shared by the chains and learned
from all of them, since they run side by side, and the first window sets the metric, too. The metric starts as the
identity in whitened coordinates.

References:
    Hoffman & Gelman, JMLR 15:1593-1623 (2014); Stan Reference Manual, "HMC algorithm parameters" (windows of the
    warm-up, shrinkage of the metric).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.adaptation.step_size import dual_averaging_adaptation
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from calibration.shared_program import SharedProgram
from twin.progress import Progress

FIRST_STEP = 0.5
"""Step size in whitened coordinates for one dimension; d dimensions get ``d ** (-1/4)`` times it."""
CHUNK = 25
"""Transitions per compiled call: short enough for progress and interruption, long enough not to matter."""


class Trace(NamedTuple):
    """What the chains did after warm-up.

    Args:
        position: Visited points.
        log_density: Log density there.
        diverging: Transitions whose energy error exceeded 1000, failed integrations among them.
        acceptance: Mean acceptance probability along each trajectory.
        leapfrogs: Gradient evaluations per transition.
        energy: Energy of each transition.
        step_size: Step size after warm-up.
    """

    position: Float[np.ndarray, "chain draw parameter"]
    log_density: Float[np.ndarray, "chain draw"]
    diverging: Bool[np.ndarray, "chain draw"]
    acceptance: Float[np.ndarray, "chain draw"]
    leapfrogs: Int[np.ndarray, "chain draw"]
    energy: Float[np.ndarray, "chain draw"]
    step_size: float


def warmup_windows(length: int) -> list[int]:
    """Lengths of the warm-up windows in chunks: doubling ones that set the metric, and a last one for the step size.

    The first metric is set early: whitening by the curvature at the mode is wrong by factors where the posterior is a
    funnel, and every transition with a bad metric costs a hundred gradients.
    """
    chunks = max(3, length // CHUNK)
    last = max(1, round(0.15 * chunks))
    middle, size, windows = chunks - last, 1, []
    while middle > 0:
        size = size if middle >= 3 * size else middle
        windows.append(size)
        middle -= size
        size = size if len(windows) == 1 else 2 * size
    return [*windows, last]


class NUTS:
    """The sampler of one density; what it compiled serves any data of the same shapes.

    Args:
        log_density: Log density of one vector in whitened coordinates, given the data of its chain.
        target_acceptance: Acceptance probability that the step size aims at.
        max_doublings: Trajectories have at most ``2 ** max_doublings`` steps.
    """

    def __init__(
        self,
        log_density: Callable[[Float[Array, " parameter"], Any], Float[Array, ""]],
        *,
        target_acceptance: float,
        max_doublings: int,
    ) -> None:
        self._log_density, self._max_doublings = log_density, max_doublings
        self._kernel = blackjax.nuts.build_kernel()
        self._start, self._average, self._averaged = dual_averaging_adaptation(target_acceptance)
        self._init = SharedProgram(jax.vmap(lambda z, d: blackjax.nuts.init(z, lambda x: log_density(x, d))))
        self._compiled: dict[int, Callable] = {}

    def run(
        self,
        positions: Float[np.ndarray, "chain parameter"],
        key: Array,
        *,
        warmup: int,
        draws: int,
        line: Progress,
        data: Any = (),
    ) -> Trace:
        """Sample.

        Args:
            positions: Where the chains start.
            key: Random key; consumed.
            warmup: Transitions for adaptation, per chain.
            draws: Transitions kept, per chain.
            line: Progress to update.
            data: Data of the chains, each leaf with a leading axis of chains.
        """
        chains, size = positions.shape
        run_chunk = self._chunk_of(chains)

        def advance(key, states, averaging, metric, step_size, adapt):
            # As NumPy arrays: JAX compiles anew for every mixture of weak types and meshes that its own arrays carry.
            given = jax.tree.map(np.asarray, (states, averaging, metric, step_size, adapt, data))
            states, averaging, kept = run_chunk(jax.random.split(key, (CHUNK, chains)), *given)
            return states, averaging, [np.asarray(x) for x in kept]

        states = self._init(positions, data)
        averaging, metric = self._restart(FIRST_STEP * size**-0.25), jnp.eye(size)
        windows = warmup_windows(warmup)
        total, done = sum(windows) + -(-draws // CHUNK), 0
        for index, length in enumerate(windows):
            seen = []
            for _ in range(length):
                key, sub = jax.random.split(key)
                states, averaging, kept = advance(sub, states, averaging, metric, 0.0, True)
                seen.append(kept[0])
                done += 1
                line.update(done * CHUNK, "warming up")
            if index < len(windows) - 1:
                metric = _metric(np.concatenate(seen).reshape(-1, size))
                averaging = self._restart(self._averaged(averaging))
        step_size = self._averaged(averaging)
        parts = []
        while done < total:
            key, sub = jax.random.split(key)
            states, averaging, kept = advance(sub, states, averaging, metric, step_size, False)
            parts.append(kept)
            done += 1
            line.update(done * CHUNK, "drawing")
        joined = [np.moveaxis(np.concatenate(x)[:draws], 0, 1) for x in zip(*parts, strict=True)]
        return Trace(*joined, step_size=float(step_size))

    def _restart(self, step_size: Array | float):
        """Dual averaging that shrinks towards `step_size`, not towards ten times it as usual: we have a good guess, and
        a step that is too long costs many that are too short."""
        return self._start(step_size / 10.0)._replace(log_step_size=jnp.log(step_size))

    def _chunk_of(self, chains: int) -> Callable:
        """The compiled transitions of so many chains.

        Chains are spread over devices; each device steps its own chains without waiting for the others' trajectories.
        """
        if chains not in self._compiled:
            of_chain, of_step, same = PartitionSpec("chain"), PartitionSpec(None, "chain"), PartitionSpec()
            # Shared by densities that differ in numbers only: a thousand data sets of one design compile it once.
            self._compiled[chains] = SharedProgram(
                jax.shard_map(
                    self._chunk,
                    mesh=_mesh(chains),
                    in_specs=(of_step, of_chain, same, same, same, same, of_chain),
                    out_specs=(of_chain, same, of_step),
                    check_vma=False,
                )
            )
        return self._compiled[chains]

    def _chunk(self, keys, states, averaging, metric, step_size, adapt, data):
        def transition(carry, keys):
            states, averaging = carry
            step = jnp.where(adapt, jnp.exp(averaging.log_step_size), step_size)

            def move(key, state, data):
                density = lambda z: self._log_density(z, data)  # noqa: E731
                return self._kernel(key, state, density, step, metric, self._max_doublings)

            states, info = jax.vmap(move)(keys, states, data)
            averaging = self._average(averaging, jax.lax.pmean(jnp.mean(info.acceptance_rate), "chain"))
            kept = (
                states.position,
                states.logdensity,
                info.is_divergent,
                info.acceptance_rate,
                info.num_integration_steps,
                info.energy,
            )
            return (states, averaging), kept

        (states, averaging), kept = jax.lax.scan(transition, (states, averaging), keys)
        return states, averaging, kept


def _mesh(chains: int) -> Mesh:
    """As many devices as divide the chains evenly."""
    devices = jax.local_devices()
    count = max(n for n in range(1, min(chains, len(devices)) + 1) if chains % n == 0)
    return Mesh(np.array(devices[:count]), ("chain",))


def _metric(positions: Float[np.ndarray, "draw parameter"]) -> Float[np.ndarray, "parameter parameter"]:
    """Inverse mass matrix: covariance of the window, shrunk towards the identity that whitening aims at."""
    count, size = positions.shape
    weight = count / (count + 5.0 + size)
    return weight * np.cov(positions, rowvar=False).reshape(size, size) + (1 - weight) * np.eye(size)
