"""How fast a mechanism relaxes, from which steps of its random courses are chosen."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from twin.simulation import simulate
from twin.stochastic.jump_process import JumpProcess

POINTS = 101


def shortest_time_constant(
    process: JumpProcess, parameters: Float[np.ndarray, " parameter"], t0: float, span: float
) -> float:
    """The inverse of the largest eigenvalue of the Jacobian along the mean; infinite if that is zero.

    Args:
        process: The model.
        parameters: Values in the order of the system's.
        t0: Beginning.
        span: How long the mean is followed.
    """
    model, system = process.model, process.system
    ts = np.linspace(t0, t0 + span, POINTS)
    given = dict(zip(system.parameters, parameters, strict=True))
    mean = simulate(model, ts - t0, given, variables=list(system.states))
    y = jnp.asarray(np.stack([mean[name].to_numpy() for name in system.states]))
    p = jnp.asarray(np.repeat(parameters[:, None], POINTS, axis=1))
    entries, _ = system.linearise(jnp.asarray(ts), jnp.asarray(ts), y, p)
    jacobian = np.zeros((POINTS, len(system.states), len(system.states)))
    for (row, column), value in zip(system.jacobian_pattern, entries, strict=True):
        jacobian[:, row, column] = np.asarray(value)
    fastest = float(np.abs(np.linalg.eigvals(jacobian)).max())
    return 1 / fastest if fastest > 0 else np.inf
