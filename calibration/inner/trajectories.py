"""One integration with sensitivities, whose readings are then computed for any scalings, offsets and noise scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.prediction import Linearisation, Prediction, Predictor, Values
from calibration.problem import Problem
from calibration.readout import Trajectory

type Rows = Float[Array, "reading draw"]


class Solved(NamedTuple):
    """States at the readings.

    Args:
        trajectory: States and parameters at the readings.
        ok: Whether the integration of the reading's series succeeded [reading, draw].
        tangents: Derivatives of the trajectory along each parameter of the mechanism; None without any.
    """

    trajectory: Trajectory
    ok: Array
    tangents: Trajectory | None


class TrajectoryPredictor(Predictor):
    """A predictor whose integration and readout are two steps.

    Args:
        problem: The problem.
        inner: Entries of the vector that only observables and noise depend on.
    """

    def __init__(self, problem: Problem, inner: Sequence[int]) -> None:
        own = problem.predictor.readout.own
        super().__init__(
            problem.bindings,
            problem.parameters,
            problem.fixed,
            problem.noise,
            problem.method,
            problem.tolerance,
            own,
        )
        slots, self._inner = problem.parameters.slots, np.array(inner)
        self._of_inner = {
            name: slot.value
            for name, slot in slots.items()
            if slot.eta is None and np.isin(slot.value, self._inner).any()
        }
        self._place = np.full(len(problem.names), -1)
        self._place[self._inner] = np.arange(len(self._inner))

    def solve(self, thetas: Float[Array, "draw parameter"], *, sensitivities: bool = True) -> Solved:
        """Integrate, with sensitivities or without; what the inner entries are plays no part."""
        values = self.values(thetas)
        solve = lambda x: self._solve(x, "forward")  # noqa: E731
        if not (self._mechanism and sensitivities):
            return Solved(*solve(values), None)
        directions = [
            {name: jnp.full_like(value, float(name == chosen)) for name, value in values.items()}
            for chosen in self._mechanism
        ]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *directions)
        push = lambda direction: jax.jvp(solve, (values,), (direction,), has_aux=True)  # noqa: E731
        trajectory, tangents, ok = jax.vmap(push, out_axes=(None, 0, None))(stacked)
        return Solved(trajectory, ok, tangents)

    def read(self, trajectory: Trajectory, values: Values, inner: Float[Array, "inner draw"]) -> tuple[Rows, Rows]:
        """Predictions and noise scales for given inner entries.

        Args:
            trajectory: What the integration gave.
            values: Values of all estimated parameters in every series.
            inner: The inner entries, linear scale.
        """
        changed = dict(values)
        for name, entries in self._of_inner.items():
            chosen = self._place[entries[self._series]]
            given = inner[np.maximum(chosen, 0)]
            changed[name] = jnp.where((chosen >= 0)[:, None], given, values[name])
        return self.readout(trajectory, self.readout.direct(changed, trajectory))

    def predicted(self, solved: Solved, thetas: Float[Array, "draw parameter"]) -> Prediction:
        """Predictions of whole vectors whose trajectories are known."""
        value, scale = self.readout(solved.trajectory, self.readout.direct(self.values(thetas), solved.trajectory))
        return Prediction(value.T, scale.T, (solved.ok & jnp.isfinite(value)).T)

    def linearised(self, solved: Solved, thetas: Float[Array, "draw parameter"]) -> Linearisation:
        """Predictions and Jacobians of whole vectors whose trajectories are known, as `linearise` would give them."""
        values = self.values(thetas)
        d_values = jax.vmap(jax.jacfwd(lambda theta: self._flat(self.values(theta[None]))))(thetas)
        direct = self.readout.direct(values, solved.trajectory)
        value, scale = self.readout(solved.trajectory, direct)
        d_value = d_scale = jnp.zeros((*value.T.shape, thetas.shape[1]))
        if solved.tangents is not None:
            read = lambda x: self.readout(x, self.readout.direct(values, x))  # noqa: E731
            push = lambda tangent: jax.jvp(read, (solved.trajectory,), (tangent,))[1]  # noqa: E731
            along = jax.vmap(push)(solved.tangents)
            lanes = self.bindings.lane
            of_mechanism = jnp.stack([d_values[name][:, lanes] for name in self._mechanism], axis=1)
            d_value, d_scale = (jnp.einsum("krd,dkrp->drp", each, of_mechanism) for each in along)
        d_value, d_scale = self._along_direct(solved.trajectory, direct, d_values, d_value, d_scale)
        ok = solved.ok & jnp.isfinite(value)
        return Linearisation(Prediction(value.T, scale.T, ok.T), d_value, d_scale)
