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
(measured: 0.8 of its time for 2; for 6 to 13, 0.4 to 1.3 with one vector and 1.5 to 2.4 with eight)."""


def check_gradient(mode: str) -> str:
    """The mode, if there is one of that name.

    Raises:
        ProblemError: there is none.
    """
    if mode not in GRADIENTS:
        fix = suggestion(str(mode), GRADIENTS)
        raise ProblemError(f"the gradient is {mode!r}", where="problem", expected=", ".join(GRADIENTS), fix=fix)
    return mode


def is_forward(mode: str, predictor: Predictor) -> bool:
    """Whether sensitivities are taken."""
    return mode == "forward" or (mode == "auto" and predictor.directions <= MOST_FORWARD)


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
