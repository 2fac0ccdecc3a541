"""Which way the gradient of a likelihood is computed, and the way that is not JAX's own."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from calibration.prediction import Prediction, Predictor
from twin.errors import ProblemError, suggestion

GRADIENTS = ("auto", "reverse", "forward")

MOST_FORWARD = 2
"""Parameters of the mechanism up to which sensitivities are cheaper than the adjoint, however many lanes there are
(measured: 0.8 of its time for 2; for 6 to 13, 1.5 to 2.4 with eight vectors)."""

MOST_CARRIED = 100
"""Parameters of the mechanism times states up to which they are cheaper for one lane by itself, and compile in half the
time (measured, times of the adjoint: 0.6 at 8, 0.9 at 48, 0.6 and 0.8 at 60, 1.1 at 108, 1.2 at 144)."""


def check_gradient(mode: str) -> str:
    """The mode, if there is one of that name.

    Raises:
        ProblemError: there is none.
    """
    if mode not in GRADIENTS:
        fix = suggestion(str(mode), GRADIENTS)
        raise ProblemError(f"the gradient is {mode!r}", where="problem", expected=", ".join(GRADIENTS), fix=fix)
    return mode


def is_forward(mode: str, predictor: Predictor, vectors: int) -> bool:
    """Whether sensitivities are taken, for so many vectors at once."""
    if mode != "auto" or predictor.directions <= MOST_FORWARD:
        return mode != "reverse"
    table = predictor.bindings
    alone = vectors * len(table.series) == 1 and not table.system.delays
    return alone and predictor.directions * len(table.system.states) <= MOST_CARRIED


def by_sensitivities(
    predictor: Predictor,
    pointwise: Callable[[Prediction], Float[Array, "draw reading"]],
    thetas: Float[Array, "draw parameter"],
) -> tuple[Float[Array, " draw"], Float[Array, "draw parameter"]]:
    """Sum of the log densities of all readings and its gradient, by forward sensitivities."""
    line = predictor.linearise(thetas)

    def total(value: Array, scale: Array) -> tuple[Array, Array]:
        each = pointwise(line.prediction._replace(value=value, scale=scale))
        return jnp.sum(jnp.where(jnp.isfinite(each), each, 0.0)), jnp.sum(each, axis=1)

    of_readings, values = jax.grad(total, argnums=(0, 1), has_aux=True)(line.prediction.value, line.prediction.scale)
    along = zip(of_readings, (line.d_value, line.d_scale), strict=True)
    return values, sum(jnp.einsum("dr,drp->dp", weight, slope) for weight, slope in along)
