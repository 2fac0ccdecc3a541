"""Readings as rows of a matrix whose product with itself is the Fisher information.

A reading with prediction f and noise scale s, both functions of theta, carries

    I_f f' f'^T + I_s s' s'^T,

with I_f and I_s of its noise family: two rows, ``sqrt(I_f) f'`` and ``sqrt(I_s) s'``. (For a symmetric location-scale
family, on the scale on which its noise is additive, prediction and scale are orthogonal, so there is no mixed term.)
Singular values of the rows have twice the digits that eigenvalues of the product would keep.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.compiled import kept_program
from calibration.optimise.objective import reading_weights
from calibration.problem import Problem
from twin.errors import ProblemError, SimulationError
from twin.precision import in_float64


@dataclass(frozen=True)
class Scoring:
    """The information of every reading at one vector, as rows.

    Args:
        by_value: Derivatives of the predictions in theta, over their standard errors.
        by_scale: The same of the noise scales.
    """

    by_value: Float[np.ndarray, "reading parameter"]
    by_scale: Float[np.ndarray, "reading parameter"]

    @property
    def rows(self) -> Float[np.ndarray, "row parameter"]:
        """All rows; their product with themselves is the information of all readings."""
        return np.concatenate([self.by_value, self.by_scale])

    def information(self, readings: np.ndarray | slice = slice(None)) -> Float[np.ndarray, "parameter parameter"]:
        """The information of some readings."""
        rows = np.concatenate([self.by_value[readings], self.by_scale[readings]])
        return rows.T @ rows


@in_float64
def scoring(problem: Problem, theta: Float[np.ndarray, " parameter"]) -> Scoring:
    """Linearise a problem at one vector.

    Args:
        problem: The problem.
        theta: The vector, estimation scale.

    Raises:
        ProblemError: the predictions have no finite derivative there.
        SimulationError: a series could not be integrated.
    """

    weighted = kept_program(problem, "scoring", lambda: functools.partial(_weighted, problem))
    ok, by_value, by_scale = map(np.asarray, weighted(jnp.asarray(theta, dtype=jnp.float64)))
    table = problem.measurements.table
    if not ok.all():
        row = table.iloc[int(np.argmin(ok))]
        raise SimulationError(
            f"{int((~ok).sum())} of {len(ok)} readings have no prediction at this vector, the first one in experiment "
            f"{row['experiment']!r}, subject {row['subject']!r}",
            where=problem.name,
            fix="take another vector, or raise max_steps",
        )
    finite = np.isfinite(by_value).all(axis=1) & np.isfinite(by_scale).all(axis=1)
    if not finite.all():
        row = table.iloc[int(np.argmin(finite))]
        raise ProblemError(
            f"the prediction of {row['observable']!r} at time {row['time']:g} has no finite derivative",
            where=f"{problem.name}, experiment {row['experiment']!r}",
            fix="take another vector",
        )
    return Scoring(by_value, by_scale)


def _weighted(problem: Problem, at: Float[Array, " parameter"]) -> tuple[Array, ...]:
    """Success, and the rows by value and by scale of every reading."""
    (value, scale, ok), d_value, d_scale = problem.predictor.linearise(at[None])
    _, _, of_value, of_scale, _ = reading_weights(problem, value, scale, ok)
    return ok[0], jnp.sqrt(of_value[0])[:, None] * d_value[0], jnp.sqrt(of_scale[0])[:, None] * d_scale[0]
