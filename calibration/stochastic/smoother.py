"""Courses of a mechanism that scatters, given all readings: drawn forwards by the filter, then backwards.

References:
    Carter & Kohn (1994), doi:10.1093/biomet/81.3.541. Fruehwirth-Schnatter (1994),
    doi:10.1111/j.1467-9892.1994.tb00184.x.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from calibration.stochastic.linear_noise import LinearNoiseLikelihood
from twin.precision import in_float64

RANK = 1e-10
"""Directions with less than this share of the largest variance are taken as known."""


class Courses(NamedTuple):
    """Drawn courses of one series.

    Args:
        time: Times of readings, ascending; one entry for each reading.
        mean: States at the mean.
        deviation: Drawn deviations from it.
    """

    time: Float[np.ndarray, " reading"]
    mean: Float[np.ndarray, "draw reading state"]
    deviation: Float[np.ndarray, "draw reading state"]


@in_float64
def draw_courses(
    likelihood: LinearNoiseLikelihood, thetas: Float[np.ndarray, "draw parameter"], series: int, seed: int = 0
) -> Courses:
    """One course per vector, from its law given all readings of the series.

    Args:
        likelihood: What was sampled.
        thetas: Vectors on the estimation scale; those that cannot be integrated are left out.
        series: Which series, in the order of the problem's bindings.
        seed: Seed of the draws.
    """
    readout, transition, ok = likelihood.approximated(jnp.asarray(thetas))
    kept = np.asarray(ok).all(axis=0)
    value, scale, slope, mean, f_of, q_of = (
        np.asarray(x) for x in (readout.value, readout.scale, readout.slope, readout.mean, transition.f, transition.q)
    )
    at, table = likelihood.intervals, likelihood.problem.bindings
    rows = at.reading[:, series]
    rows = rows[rows >= 0]
    intervals = at.interval[: len(rows), series]
    states = np.moveaxis(mean[:, rows][..., kept], (0, 1, 2), (2, 1, 0))
    # In units of the mean, so that the rarest cell counts as much as the most frequent one.
    unit = np.where(np.abs(states) > 0, np.abs(states), 1.0)
    begin = np.concatenate([unit[:, :1], unit[:, :-1]], axis=1)
    count, size = kept.sum(), states.shape[-1]
    m, c = np.zeros((count, size)), np.zeros((count, size, size))
    steps, filtered = [], []
    for place, (row, interval) in enumerate(zip(rows, intervals, strict=True)):
        to, of = unit[:, place], begin[:, place]
        alone = interval == len(f_of) - 1
        f = np.broadcast_to(np.eye(size), (count, size, size)) if alone else f_of[interval][kept]
        f = f * of[:, None, :] / to[:, :, None]
        q = 0.0 if alone else q_of[interval][kept] / (to[:, :, None] * to[:, None, :])
        steps.append((f, q))
        m, c = np.einsum("dij,dj->di", f, m), f @ c @ np.swapaxes(f, 1, 2) + q
        h = slope[row][kept] * to
        gain = np.einsum("dij,dj->di", c, h)
        variance = np.sum(h * gain, axis=-1) + scale[row][kept] ** 2
        off = likelihood.reading[row] - value[row][kept] - np.sum(h * m, axis=-1)
        m = m + gain * (off / variance)[:, None]
        c = c - gain[:, :, None] * gain[:, None, :] / variance[:, None, None]
        filtered.append((m, c))
    rng = np.random.default_rng([seed, 7])
    drawn = [_normal(rng, *filtered[-1])]
    for (m, c), (f, q) in zip(filtered[-2::-1], steps[:0:-1], strict=True):
        ahead = f @ c @ np.swapaxes(f, 1, 2) + q
        gain = c @ np.swapaxes(f, 1, 2) @ np.linalg.pinv(ahead, rcond=RANK, hermitian=True)
        centre = m + np.einsum("dij,dj->di", gain, drawn[-1] - np.einsum("dij,dj->di", f, m))
        drawn.append(_normal(rng, centre, c - gain @ f @ c))
    deviation = np.stack(drawn[::-1], axis=1) * unit
    return Courses(table.times[table.sample[rows], series], states, deviation)


def _normal(rng: np.random.Generator, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(0.5 * (covariance + np.swapaxes(covariance, 1, 2)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return mean + np.einsum("dij,dj->di", root, rng.normal(size=mean.shape))
