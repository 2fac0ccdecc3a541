"""The law of a jump process over all its states in a box: finite state projection, by uniformisation.

The probability of every state obeys the master equation ``dp/dt = p A``. States beyond a box are left out: what flows
there is gathered in a sink and never comes back, so that every probability is too low, by at most what is in the sink
in sum (Munsky & Khammash 2006). The exponential of A is the mean over a Poisson number of steps of a chain in discrete
time (Jensen 1953): sums of positive terms only, so that neither probabilities nor the sink lose digits.

References:
    Munsky & Khammash (2006), doi:10.1063/1.2145882. Jensen (1953), doi:10.1080/03461238.1953.10419459.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twin.errors import ProblemError, UnsupportedModelError
from twin.model.model import Model
from twin.stochastic.jump_process import JumpProcess

LONGEST = 100.0
"""Mean number of steps in one sum: the weight of none is then exp(-100), far above the least positive number."""
MOST_CELLS = 50_000
TINY = 1e-300


class StateProjection:
    """States of a model in a box, and what flows between them.

    Args:
        model: The mechanism: reactions only, states that count molecules.
        most: Largest number of molecules of every state.

    Attributes:
        counts: Numbers of molecules in every cell of the box [state, cell].

    Raises:
        UnsupportedModelError: the model is no jump process, states are concentrations, or a reaction changes a state by
            what is no whole number.
        ProblemError: a state without a bound, a bound that is no whole number, or too many cells.
    """

    def __init__(self, model: Model, most: dict[str, int]) -> None:
        self.process = JumpProcess(model)
        self.bounds = _bounds(model, most)
        self.counts = np.stack(np.unravel_index(np.arange(self.cells), self.bounds + 1))
        values = np.array([model.default_parameters[name] for name in self.process.system.parameters])
        jumps = self.process.jumps(values)
        whole = np.rint(jumps).astype(int)
        if any(part.compartment is not None for part in model.states) or not np.allclose(jumps, whole):
            raise UnsupportedModelError(
                "states are concentrations, or reactions change them by parts of molecules",
                where=f"master equation of {model.name!r}",
                expected="states that count molecules",
                fix="write the model in molecules, or take a ParticleFilter",
            )
        # Where a reaction comes from that leads to a cell; one past the last cell where it comes from nowhere.
        self._source = np.stack([self._cell_of(self.counts - jump[:, None]) for jump in whole.T])
        self._leaves = np.stack([self._cell_of(self.counts + jump[:, None]) == self.cells for jump in whole.T])

    @property
    def cells(self) -> int:
        """Number of states in the box."""
        return int(np.prod(self.bounds + 1))

    def _cell_of(self, counts: np.ndarray) -> np.ndarray:
        inside = np.all((counts >= 0) & (counts <= self.bounds[:, None]), axis=0)
        clipped = np.clip(counts, 0, self.bounds[:, None])
        return np.where(inside, np.ravel_multi_index(tuple(clipped), tuple(self.bounds + 1)), self.cells)

    def hazards(self, p: Float[Array, "parameter lane"]) -> Float[Array, "reaction cell lane"]:
        """Hazards in every cell; NaN in lanes where one is negative."""
        lanes = p.shape[1]
        y = jnp.repeat(jnp.asarray(self.counts, dtype=p.dtype), lanes, axis=1)
        found = jnp.stack(list(self.process.rates(y, jnp.tile(p, (1, self.cells)))))
        found = found.reshape(-1, self.cells, lanes)
        return jnp.where(jnp.any(found < 0, axis=(0, 1)), jnp.nan, found)

    def start(self, p: Float[Array, "parameter lane"]) -> Float[Array, "cell_and_sink lane"]:
        """The law at the beginning: certainly the model's initial state; no probability at all if that is no cell."""
        y = self.process.system.initial(p)
        here = jnp.all(jnp.asarray(self.counts)[:, :, None] == y[:, None, :], axis=0)
        return jnp.concatenate([here.astype(p.dtype), jnp.zeros((1, p.shape[1]))])

    def advance(
        self,
        law: Float[Array, "cell_and_sink lane"],
        hazards: Float[Array, "reaction cell lane"],
        length: Float[Array, " lane"],
    ) -> Float[Array, "cell_and_sink lane"]:
        """The law some time later. Differentiable in forward mode.

        Args:
            law: Probability of every cell, and of the sink in the last row.
            hazards: Hazards in every cell.
            length: Time that passes.
        """
        out = jnp.sum(hazards, axis=0)
        # Any rate above all of `out` gives the same law: nothing is to be differentiated in it.
        fastest = jnp.maximum(jax.lax.stop_gradient(jnp.max(out, axis=0)), TINY)
        mean = fastest * length
        largest = jnp.max(jnp.where(jnp.isfinite(mean), mean, 0.0))
        parts = jnp.maximum(jnp.ceil(largest / LONGEST), 1.0)
        mean, largest = mean / parts, largest / parts
        # Beyond so many steps a Poisson number of mean up to 100 has less than 1e-20 of its probability.
        terms = jnp.ceil(largest + 12.0 * jnp.sqrt(largest) + 30.0).astype(int)
        stay, move = 1.0 - out / fastest, hazards / fastest
        nothing = jnp.zeros_like(law[-1:])

        def step(law: Array) -> Array:
            inside = law[:-1]
            after, sink = stay * inside, law[-1]
            for flow, source, leaves in zip(move * inside, self._source, self._leaves, strict=True):
                after = after + jnp.concatenate([flow, nothing])[source]
                if leaves.any():
                    sink = sink + jnp.sum(flow[np.flatnonzero(leaves)], axis=0)
            return jnp.concatenate([after, sink[None]])

        def part(_: Array, law: Array) -> Array:
            weight = jnp.exp(-mean)

            def add(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
                law, weight, total = carry
                law, weight = step(law), weight * mean / k
                return law, weight, total + weight * law

            return jax.lax.fori_loop(1, terms + 1, add, (law, weight, weight * law))[2]

        return jax.lax.fori_loop(0, parts.astype(int), part, law)


def _bounds(model: Model, most: dict[str, int]) -> np.ndarray:
    where = f"master equation of {model.name!r}"
    names = model.state_names
    if set(most) != set(names) or any(int(bound) != bound or bound < 0 for bound in most.values()):
        raise ProblemError(
            f"most is {most}",
            where=where,
            expected=f"a whole number for every state: {', '.join(names)}",
        )
    bounds = np.array([int(most[name]) for name in names])
    if np.prod(bounds + 1.0) > MOST_CELLS:
        raise ProblemError(
            f"there are {np.prod(bounds + 1.0):.3g} combinations of numbers of molecules",
            where=where,
            expected=f"at most {MOST_CELLS}",
            fix="take smaller bounds, or a ParticleFilter",
        )
    return bounds
