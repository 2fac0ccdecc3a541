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


def occasional(parameters: ParameterVector) -> list[str]:
    """Parameters that deviate between a subject's occasions, in the order of the vector."""
    return [name for name, slot in parameters.slots.items() if slot.kappa is not None]


def covariance_of(parameters: ParameterVector, theta: Float[Array, " entry"]) -> Float[Array, "parameter parameter"]:
    """Covariance of the subjects' deviations on the estimation scales, parameters as `varying` has them."""
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

    Variances between the occasions of a subject follow those between subjects.

    Args:
        parameters: Meaning of the vector.
        theta: The whole vector.
        population: Positions of the population's entries in it.
        covariance: Covariance of their estimates; rows with NaN are held.

    Returns:
        A row per number, columns kind ("variance", "covariance", "correlation", "variance between occasions"), first,
        second, estimate, se; NaN errors where an entry that it depends on lies on a bound.
    """
    names = varying(parameters)
    pairs = [(i, i) for i in range(len(names))]
    for block in parameters.blocks.values():
        at = [names.index(member) for member in block.members]
        pairs += [(i, j) for j in at for i in at if at.index(i) < at.index(j)]

    own = occasional(parameters)

    def numbers(entries: Array) -> Array:
        vector = jnp.asarray(theta).at[population].set(entries)
        matrix = covariance_of(parameters, vector)
        found = [matrix[i, j] for i, j in pairs]
        found += [matrix[i, j] / jnp.sqrt(matrix[i, i] * matrix[j, j]) for i, j in pairs if i != j]
        found += [jnp.square(parameters.slots[name].occasion_spread(vector)) for name in own]
        return jnp.stack(found)

    kinds = ["variance" if i == j else "covariance" for i, j in pairs] + ["correlation" for i, j in pairs if i != j]
    kinds += ["variance between occasions"] * len(own)
    of_rows = [(names[i], names[j]) for i, j in [*pairs, *((i, j) for i, j in pairs if i != j)]]
    of_rows += [(name, name) for name in own]
    here = jnp.asarray(theta[population])
    estimate, jacobian = np.asarray(numbers(here)), np.asarray(jax.jacfwd(numbers)(here))
    error = _delta(jacobian, covariance)
    rows = [
        {"kind": kind, "first": first, "second": second, "estimate": value, "se": se}
        for kind, (first, second), value, se in zip(kinds, of_rows, estimate, error, strict=True)
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
        what: From a slot, the vector and the series to numbers; default the value on the linear scale, that of the
            subject itself where it differs between occasions.
    """
    found: dict[str, dict[str, float]] = {}
    vector = jnp.asarray(theta)[:, None]
    levels = {entry.name: entry for entry in parameters.entries if entry.role == "eta"}
    for name in varying(parameters):
        slot = parameters.slots[name]
        assert slot.eta is not None
        entries, first = np.unique(slot.eta, return_index=True)
        order = np.argsort(entries)
        values = np.asarray((what or (lambda s, v, i: s.of_subject(v, i)))(slot, vector, first[order]))[:, 0]
        values = values if what else linear(values, slot.scale)
        for entry, value in zip(entries[order], values, strict=True):
            full = parameters.names[entry]
            assert full in levels
            found.setdefault(name, {})[full[len(name) + len("_eta[") : -1]] = float(value)
    return pd.DataFrame(found)


@in_float64
def by_occasion(parameters: ParameterVector, theta: Float[np.ndarray, " entry"], *, scores: bool) -> pd.DataFrame:
    """A number per subject, experiment and parameter that differs between occasions.

    Args:
        parameters: Meaning of the vector.
        theta: The whole vector.
        scores: The deviation of the occasion in units of its spread; otherwise the value on the linear scale.
    """
    subjects = list(dict.fromkeys(subject for _, subject in parameters.series))
    order = np.array(sorted(range(len(parameters.series)), key=lambda i: subjects.index(parameters.series[i][1])))
    vector, found = jnp.asarray(theta)[:, None], {}
    for name in occasional(parameters):
        slot = parameters.slots[name]
        assert slot.kappa is not None
        found[name] = theta[slot.kappa[order]]
        if not scores:
            found[name] = linear(np.asarray(slot.at(vector, order))[:, 0], slot.scale)
    keys = [parameters.series[i][::-1] for i in order]
    return pd.DataFrame(found, index=pd.MultiIndex.from_tuples(keys, names=["subject", "experiment"]))
