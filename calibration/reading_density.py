"""Log densities of readings given their predictions, for the readings of a problem or for others in their places."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from calibration.bindings import Bindings
from calibration.noise import NoiseModel
from calibration.noise.censoring import log_density_of
from calibration.prediction import Prediction


def reading_density(
    table: Bindings,
    groups: Sequence[tuple[NoiseModel, slice | Int[np.ndarray, " reading"]]],
    prediction: Prediction,
    value: Float[Array, "draw reading"] | None = None,
    kind: Int[Array, "draw reading"] | None = None,
) -> Float[Array, "draw reading"]:
    """Log density of every reading; minus infinity where its series could not be integrated.

    Args:
        table: The readings.
        groups: The readings of each noise model.
        prediction: Predictions of many vectors.
        value: Other values in the places of the table's, for every vector its own.
        kind: How they are censored; none in a way that no reading of the table is. Upper limits are the table's.
    """
    values = table.value if value is None else value
    kinds = table.kind if kind is None else kind
    parts = []
    for model, rows in groups:
        y = values[..., rows]
        # Where the integration failed, harmless numbers keep the derivative finite; the value is replaced below.
        ok = prediction.ok[:, rows]
        f = jnp.where(ok, prediction.value[:, rows], y)
        scale = jnp.where(ok, prediction.scale[:, rows], 1.0)
        each = log_density_of(model, y, table.upper[rows], kinds[..., rows], f, scale, set(table.kind[rows]))
        parts.append(jnp.where(ok & jnp.isfinite(each), each, -jnp.inf))
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([rows for _, rows in groups]), kind="stable")
    return jnp.concatenate(parts, axis=1)[:, order]
