"""Directions in the space of parameters in words: products of powers of positive parameters, sums of others.

Along a direction v a positive parameter is multiplied, one of either sign is added to. What changes most is the product
of powers ``k1^v1 · k2^v2`` (v in natural logarithms, of unit length), or a sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

LOADING = 0.1
"""Entries of a direction (of unit length) below this are left out of its words."""


def logarithmic_rates(
    theta: Float[np.ndarray, " parameter"], lower: Float[np.ndarray, " parameter"], scales: Sequence[str]
) -> Float[np.ndarray, " parameter"]:
    """Derivative of the natural logarithm of each parameter in its entry of the vector; NaN where it has none.

    A parameter on the linear scale has one if it is positive and its bounds keep it so.

    Args:
        theta: The vector, estimation scale.
        lower: Lower bounds, estimation scale.
        scales: Estimation scale of each parameter: "lin", "log", "log10", "logit" or "atanh" (which has none).
    """
    positive = (lower >= 0) & (theta > 0)
    linear = np.divide(1.0, theta, out=np.full(len(theta), np.nan), where=positive)
    known = {"log": 1.0, "log10": np.log(10.0), "atanh": np.nan}
    of_fractions = 1.0 / (1.0 + np.exp(theta))
    rates = np.where(np.array(scales) == "logit", of_fractions, linear)
    return np.array([known.get(scale, rate) for scale, rate in zip(scales, rates, strict=True)])


def in_words(
    direction: Float[np.ndarray, " parameter"],
    names: Sequence[str],
    rates: Float[np.ndarray, " parameter"],
    loading: float = LOADING,
) -> str:
    """A direction in words, largest entries first.

    Args:
        direction: Direction on the estimation scales.
        names: Names of the parameters.
        rates: What `logarithmic_rates` gives.
        loading: Entries below this, after scaling to unit length, are left out.

    Example:
        >>> in_words(np.array([1.0, -1.0, 0.01]), ["k1", "k2", "d"], np.full(3, np.log(10.0)))
        'k1^+0.71 · k2^-0.71'
    """
    powers = np.isfinite(rates)
    entries = direction * np.where(powers, rates, 1.0)
    entries = entries / np.linalg.norm(entries)
    # Rounded, so that entries that are equal but for the last digits keep the order of the parameters.
    order = [i for i in np.argsort(-np.round(np.abs(entries), 6), kind="stable") if abs(entries[i]) >= loading]
    # A direction and its opposite are one: the first entry is positive.
    entries = entries * np.sign(entries[order[0]])
    if len(order) == 1:
        return names[order[0]]
    if powers[order].all():
        return " · ".join(f"{names[i]}^{entries[i]:+.2f}" for i in order)
    terms = [f"{entries[i]:+.2f} {f'ln({names[i]})' if powers[i] else names[i]}" for i in order]
    return " ".join(terms)
