"""Correlations between quantities of a subject: a Gaussian copula over their standard normal scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from jaxtyping import Float

from twin.errors import ExperimentError, suggestion

LEAST_EIGENVALUE = 1e-10
"""Below it the matrix counts as singular: its factor would amplify round-off."""


def factor(
    names: Sequence[str], correlations: Mapping[tuple[str, str], float]
) -> Float[np.ndarray, "name name"] | None:
    """The lower triangular L with ``L @ L.T`` the matrix of correlations; None if there are none.

    Args:
        names: Names of the quantities that are drawn.
        correlations: Correlation of the scores by pair of names; other pairs are uncorrelated.

    Raises:
        ExperimentError: a pair that is none, a value outside (-1, 1), or a matrix that is not positive definite.
    """
    if not isinstance(correlations, Mapping):
        found = f"the correlations are a {type(correlations).__name__}"
        raise ExperimentError(found, where="cohort", expected='a mapping such as {("a", "b"): 0.5}')
    matrix = np.eye(len(names))
    seen: set[frozenset[str]] = set()
    for pair, value in correlations.items():
        first, second = _pair(pair, names)
        where = f"correlation of {first!r} and {second!r}"
        if frozenset(pair) in seen:
            raise ExperimentError("the pair is given twice", where=where, fix="keep one of the two")
        if not isinstance(value, Real) or isinstance(value, bool) or not abs(float(value)) < 1:
            raise ExperimentError(
                f"the correlation is {value!r}", where=where, expected="a number between -1 and 1, without these"
            )
        seen.add(frozenset(pair))
        matrix[names.index(first), names.index(second)] = matrix[names.index(second), names.index(first)] = value
    if not seen:
        return None
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < LEAST_EIGENVALUE:
        _refuse(names, correlations, float(values[0]), vectors[:, 0])
    return np.linalg.cholesky(matrix)


def _pair(pair: object, names: Sequence[str]) -> tuple[str, str]:
    if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] == pair[1]:
        raise ExperimentError(f"{pair!r} is given", where="correlations", expected="pairs of two different names")
    for name in pair:
        if name not in names:
            raise ExperimentError(
                f"{name!r} is not drawn from a distribution",
                where=f"correlation of {pair[0]!r} and {pair[1]!r}",
                fix=suggestion(str(name), names),
            )
    return pair


def _refuse(names: Sequence[str], correlations: Mapping, least: float, direction: np.ndarray) -> None:
    """Name the pairs that contradict each other: those along whose direction the variance would be negative."""
    share = {name: abs(float(weight)) for name, weight in zip(names, direction, strict=True)}
    bound = 1e-3 / math.sqrt(len(names))
    blamed = [pair for pair in correlations if all(share[name] > bound for name in pair)]
    listed = ", ".join(f"{first} with {second}: {correlations[first, second]:g}" for first, second in blamed)
    raise ExperimentError(
        f"these correlations contradict each other ({listed}; least eigenvalue {least:.3g})",
        where="correlations",
        expected="a positive definite matrix",
        fix="move one of them towards 0, or give the correlations of these names that are missing",
    )
