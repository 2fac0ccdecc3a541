"""The information of candidate readings at many vectors, as rows whose products with themselves are the information.

A reading has a two-by-two information matrix about its prediction f and its noise scale s. With its Cholesky factor
[[a, 0], [b, c]] the reading contributes the rows ``a f' + b s'`` and ``c s'``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.compiled import kept_program
from calibration.experimental_design.limits import expected_information
from calibration.optimise.objective import Objective
from calibration.problem import Problem
from twin.errors import SimulationError
from twin.precision import in_float64


@dataclass(frozen=True)
class ReadingRows:
    """What readings would say, at many vectors.

    Args:
        rows: The two rows of each reading, in standard errors.
        value: Predictions.
        slope: Their derivatives.
        scale: Noise scales.
    """

    rows: Float[np.ndarray, "draw reading 2 parameter"]
    value: Float[np.ndarray, "draw reading"]
    slope: Float[np.ndarray, "draw reading parameter"]
    scale: Float[np.ndarray, "draw reading"]


@in_float64
def reading_rows(
    problem: Problem, thetas: Float[np.ndarray, "draw parameter"], limit: Float[np.ndarray, " reading"]
) -> ReadingRows:
    """Linearise the readings of a problem at many vectors, lanes of one solve.

    Args:
        problem: Its readings are the candidates.
        thetas: The vectors, estimation scale.
        limit: Detection limits; NaN for none.

    Raises:
        SimulationError: a series could not be integrated at a vector, or has no finite derivative there.
    """

    # Which readings have limits shapes the program, so they are part of its key and not an argument.
    limits = np.asarray(limit, dtype=np.float64)
    key = ("reading_rows", limits.tobytes())
    of_chunk = kept_program(problem, key, lambda: functools.partial(_of_chunk, problem, limits))
    size = min(len(thetas), Objective(problem).chunk_size())
    parts = []
    for start in range(0, len(thetas), size):
        part = thetas[start : start + size]
        padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        parts.append([np.asarray(x)[: len(part)] for x in of_chunk(jnp.asarray(padded))])
    ok, rows, value, slope, scale = (np.concatenate(x) for x in zip(*parts, strict=True))
    fine = ok & np.isfinite(rows).all(axis=(2, 3))
    if not fine.all():
        reading = np.argwhere(~fine)[0, 1]
        row = problem.measurements.table.iloc[int(reading)]
        many = f" of {int((~fine.all(axis=1)).sum())} of {len(fine)} vectors" if len(fine) > 1 else ""
        raise SimulationError(
            f"the prediction of {row['observable']!r} at {row['time']:g} (experiment {row['experiment']!r}, subject "
            f"{row['subject']!r}){many} does not exist, or has no finite derivative",
            where=problem.name,
            fix="take another vector or other times, or raise max_steps",
        )
    return ReadingRows(rows, value, slope, scale)


def _of_chunk(
    problem: Problem, limit: Float[np.ndarray, " reading"], at: Float[Array, "draw parameter"]
) -> tuple[Array, ...]:
    """Success, rows, values, their derivatives and scales of every reading at many vectors."""
    (value, scale, ok), d_value, d_scale = problem.predictor.linearise(at)
    first, mixed, second = jnp.zeros_like(value), jnp.zeros_like(value), jnp.zeros_like(value)
    for name, rows in problem.bindings.rows_of.items():
        found = expected_information(problem.noise_models[name], value[:, rows], scale[:, rows], limit[rows])
        # Far below a limit, and where a prediction does not enter the density, there is none: 0 / 0.
        a = jnp.sqrt(jnp.maximum(found.of_value, 0.0))
        b = jnp.where(a > 0, found.mixed / jnp.where(a > 0, a, 1.0), 0.0)
        c = jnp.sqrt(jnp.maximum(found.of_scale - b**2, 0.0))
        first, mixed, second = (x.at[:, rows].set(y) for x, y in ((first, a), (mixed, b), (second, c)))
    stacked = jnp.stack([first[..., None] * d_value + mixed[..., None] * d_scale, second[..., None] * d_scale], axis=2)
    return ok, stacked, value, d_value, scale


@in_float64
def information_of_readings(
    problem: Problem, thetas: Float[np.ndarray, "draw parameter"]
) -> Float[np.ndarray, "draw parameter parameter"]:
    """Information of a problem's own readings at many vectors; censored ones count as what they are.

    Raises:
        SimulationError: a vector whose readings cannot be predicted.
    """
    found = Objective(problem, with_prior=False)(thetas)
    failed = ~np.isfinite(found.nllh) | ~np.isfinite(found.curvature).all(axis=(1, 2))
    if failed.any():
        raise SimulationError(
            f"the readings cannot be predicted at {int(failed.sum())} of {len(thetas)} vectors",
            where=problem.name,
            fix="take another vector, or raise max_steps",
        )
    return found.curvature
