"""The fitted distribution of the subjects' parameters: covariance, correlations, individuals, virtual populations."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from calibration.parameters import ParameterVector
from calibration.scales import linear
from twin.precision import in_float64


def varying(parameters: ParameterVector) -> list[str]:
    """Parameters that deviate from a typical value, in the order of the vector."""
    return [name for name, slot in parameters.slots.items() if slot.eta is not None]


def covariance_of(parameters: ParameterVector, theta: Float[Array, " entry"]) -> Float[Array, "parameter parameter"]:
    """Covariance of the deviations on the estimation scales, parameters as `varying` has them."""
    names = varying(parameters)
    spread = jnp.stack([jnp.asarray(parameters.slots[name].spread(theta)) for name in names])
    correlation = jnp.eye(len(names))
    for block in parameters.blocks.values():
        at = np.array([names.index(member) for member in block.members])
        factor = block.factor(theta)
        correlation = correlation.at[np.ix_(at, at)].set(factor @ factor.T)
    return spread[:, None] * correlation * spread[None, :]


@in_float64
def components(
    parameters: ParameterVector,
    theta: Float[np.ndarray, " entry"],
    population: Float[np.ndarray, " parameter"],
    covariance: Float[np.ndarray, "parameter parameter"],
) -> pd.DataFrame:
    """Variances, covariances and correlations of the deviations with standard errors by the delta method.

    Args:
        parameters: Meaning of the vector.
        theta: The whole vector.
        population: Positions of the population's entries in it.
        covariance: Covariance of their estimates; rows with NaN are held.

    Returns:
        A row per number, columns kind ("variance", "covariance", "correlation"), first, second, estimate, se; NaN
        errors where an entry that it depends on lies on a bound.
    """
    names = varying(parameters)
    pairs = [(i, i) for i in range(len(names))]
    for block in parameters.blocks.values():
        at = [names.index(member) for member in block.members]
        pairs += [(i, j) for j in at for i in at if at.index(i) < at.index(j)]

    def numbers(entries: Array) -> Array:
        matrix = covariance_of(parameters, jnp.asarray(theta).at[population].set(entries))
        found = [matrix[i, j] for i, j in pairs]
        found += [matrix[i, j] / jnp.sqrt(matrix[i, i] * matrix[j, j]) for i, j in pairs if i != j]
        return jnp.stack(found)

    kinds = ["variance" if i == j else "covariance" for i, j in pairs] + ["correlation" for i, j in pairs if i != j]
    of_rows = pairs + [(i, j) for i, j in pairs if i != j]
    here = jnp.asarray(theta[population])
    estimate, jacobian = np.asarray(numbers(here)), np.asarray(jax.jacfwd(numbers)(here))
    error = _delta(jacobian, covariance)
    rows = [
        {"kind": kind, "first": names[i], "second": names[j], "estimate": value, "se": se}
        for kind, (i, j), value, se in zip(kinds, of_rows, estimate, error, strict=True)
    ]
    return pd.DataFrame(rows)


def _delta(jacobian: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Standard errors; NaN where an entry without one has an influence."""
    known = np.isfinite(np.diag(covariance))
    inner = np.where(np.outer(known, known), covariance, 0.0)
    error = np.sqrt(np.maximum(np.einsum("ka,ab,kb->k", jacobian, inner, jacobian), 0.0))
    # Rounding leaves traces of entries that cancel, such as those of a correlation in a variance.
    influence = np.abs(jacobian) > 1e-9 * np.abs(jacobian).max(axis=1, keepdims=True)
    return np.where(influence[:, ~known].any(axis=1), np.nan, error)


@in_float64
def by_group(
    parameters: ParameterVector, theta: Float[np.ndarray, " entry"], what: Callable | None = None
) -> pd.DataFrame:
    """A number per subject (or experiment) and varying parameter.

    Args:
        parameters: Meaning of the vector.
        theta: The whole vector.
        what: From a slot, the vector and the series to numbers; default the value on the linear scale.
    """
    found: dict[str, dict[str, float]] = {}
    vector = jnp.asarray(theta)[:, None]
    levels = {entry.name: entry for entry in parameters.entries if entry.role == "eta"}
    for name in varying(parameters):
        slot = parameters.slots[name]
        assert slot.eta is not None
        entries, first = np.unique(slot.eta, return_index=True)
        order = np.argsort(entries)
        values = np.asarray((what or (lambda s, v, i: s.at(v, i)))(slot, vector, first[order]))[:, 0]
        values = values if what else linear(values, slot.scale)
        for entry, value in zip(entries[order], values, strict=True):
            full = parameters.names[entry]
            assert full in levels
            found.setdefault(name, {})[full[len(name) + len("_eta[") : -1]] = float(value)
    return pd.DataFrame(found)
