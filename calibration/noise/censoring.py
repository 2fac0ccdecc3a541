"""What is known of a reading: its number, or only that it lies below, above or between limits."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from calibration.noise.base import AbstractNoiseModel, Readings

type Kinds = Int[Array, "*reading"] | Int[np.ndarray, " reading"]


class Censoring(IntEnum):
    """How a reading is censored; `value` of the table is the number, the upper limit, the lower one, the lower one."""

    NONE = 0
    LEFT = 1
    RIGHT = 2
    INTERVAL = 3


# Words of the measurements table.
CODES = {"": Censoring.NONE, "left": Censoring.LEFT, "right": Censoring.RIGHT, "interval": Censoring.INTERVAL}


def kinds_of(table: pd.DataFrame) -> Int[np.ndarray, " reading"]:
    """How each reading of a measurements table is censored, as numbers of `Censoring`."""
    return table["censoring"].map(CODES).to_numpy(dtype=int)


def upper_of(table: pd.DataFrame) -> Float[np.ndarray, " reading"]:
    """Upper limits of the interval-censored readings of a measurements table; elsewhere numbers above the value.

    Those stand where no limit is read, but derivatives of what is not read must be finite, too.
    """
    value = table["value"].to_numpy(dtype=float)
    harmless = value + np.abs(value) + 1.0
    if "upper" not in table:
        return harmless
    return np.where(kinds_of(table) == Censoring.INTERVAL, table["upper"].to_numpy(dtype=float), harmless)


def log_density_of(
    model: AbstractNoiseModel,
    value: Readings,
    upper: Readings,
    kind: Kinds,
    prediction: Readings,
    scale: Readings,
    present: Collection[int],
) -> Readings:
    """Log density of readings, or log probability of what is known of them where they are censored.

    Args:
        model: The noise model.
        value: Readings, or the limits of censored ones (the lower limit of an interval).
        upper: Upper limits of interval-censored ones; elsewhere any number above `value`.
        kind: Numbers of `Censoring`.
        prediction: Predictions.
        scale: Noise scales.
        present: Kinds that occur; what does not is not computed.
    """
    found = model.log_density(value, prediction, scale)

    def put(of: Censoring, probability, found: Readings) -> Readings:
        here = kind == of
        # A branch that is not taken gets harmless numbers, or its derivative would be infinite times zero.
        return jnp.where(here, probability(jnp.where(here, prediction, value), jnp.where(here, scale, 1.0)), found)

    if Censoring.LEFT in present:
        found = put(Censoring.LEFT, lambda f, s: model.log_below(value, f, s), found)
    if Censoring.RIGHT in present:
        found = put(Censoring.RIGHT, lambda f, s: model.log_above(value, f, s), found)
    if Censoring.INTERVAL in present:
        found = put(Censoring.INTERVAL, lambda f, s: model.log_between(value, upper, f, s), found)
    return found


def distance_outside(
    model: AbstractNoiseModel,
    value: Readings,
    upper: Readings,
    kind: Kinds,
    prediction: Readings,
    scale: Readings,
) -> Readings:
    """Residuals (prediction - reading) / scale where the noise is additive; censored: how far outside the limits."""
    centre = model.centre(prediction)
    standard = (centre - model.centre(value)) / scale
    beyond = (centre - model.centre(upper)) / scale
    within = jnp.minimum(standard, 0.0) + jnp.maximum(beyond, 0.0)
    for of, outside in (
        (Censoring.LEFT, jnp.maximum(standard, 0.0)),
        (Censoring.RIGHT, jnp.minimum(standard, 0.0)),
        (Censoring.INTERVAL, within),
    ):
        standard = jnp.where(kind == of, outside, standard)
    return standard
