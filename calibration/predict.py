"""Predictions of posterior and prior draws, into ArviZ's groups."""

from __future__ import annotations

from importlib.metadata import version
from typing import NamedTuple

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float

from calibration.compiled import kept_program
from calibration.prediction import Prediction
from calibration.problem import Problem
from twin.precision import in_float64
from twin.solve import numbers_per_sample

MEMORY_FOR_SAMPLES = 192 * 2**20


class Draws(NamedTuple):
    """Predictions of many vectors.

    Args:
        value: Predictions without noise.
        reading: New readings drawn from the noise model.
        log_likelihood: Log density of every reading of the table; minus infinity where the integration failed.
        ok: Whether the integration succeeded.
    """

    value: Float[np.ndarray, "draw reading"]
    reading: Float[np.ndarray, "draw reading"]
    log_likelihood: Float[np.ndarray, "draw reading"]
    ok: Bool[np.ndarray, "draw reading"]


@in_float64
def predict_draws(
    problem: Problem, thetas: Float[np.ndarray, "draw parameter"], seed: int = 0, replicates: int = 1
) -> Draws:
    """Predict every reading for many vectors, in chunks that fit in memory.

    Args:
        problem: Whose readings to predict (`Problem.with_rows` for a part of them).
        thetas: Vectors on the estimation scale.
        seed: Seed of the noise.
        replicates: Readings drawn per vector and row; they follow one another in `Draws.reading`.
    """
    table = problem.bindings
    lane_bytes = 8 * numbers_per_sample(table.system) * (len(table.times) + 1)
    size = max(1, min(len(thetas), MEMORY_FOR_SAMPLES // (lane_bytes * len(table.series))))

    chunk = kept_program(problem, ("predict_draws", replicates), lambda: _chunk_of(problem, replicates))
    key = jax.random.key(seed)
    parts = []
    for index, start in enumerate(range(0, len(thetas), size)):
        part = thetas[start : start + size]
        padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
        results = chunk(jnp.asarray(padded), jax.random.fold_in(key, index))
        parts.append([np.asarray(x)[: len(part)] for x in results])
    value, reading, log_likelihood, ok = (np.concatenate(x) for x in zip(*parts, strict=True))
    return Draws(value, reading.reshape(-1, reading.shape[-1]), log_likelihood, ok)


def _chunk_of(problem: Problem, replicates: int):
    """From vectors and a key: predictions, readings [draw, replicate, reading], their log densities, success."""

    def chunk(thetas: Array, key: Array) -> tuple[Array, Array, Array, Array]:
        prediction: Prediction = problem.predict_many(thetas)
        keys = jax.random.split(key, replicates)
        readings = jax.vmap(lambda k: problem.draw_readings(k, prediction), out_axes=1)(keys)
        return prediction.value, readings, problem.pointwise(prediction), prediction.ok

    return chunk


def draws_to_tree(
    problem: Problem,
    theta: Float[np.ndarray, "chain draw parameter"],
    *,
    seed: int,
    predictive: bool = True,
    sample_stats: dict[str, np.ndarray] | None = None,
) -> xr.DataTree:
    """Posterior draws with their predictions in ArviZ's schema.

    Args:
        problem: The problem that was sampled.
        theta: Draws on the estimation scale.
        seed: Seed of the predictive draws.
        predictive: Also make posterior_predictive, prior, prior_predictive and log_likelihood.
        sample_stats: Statistics of the sampler, each [chain, draw].
    """
    chains, draws, size = theta.shape
    flat = theta.reshape(-1, size)
    groups: dict[str, dict[str, np.ndarray]] = {
        "posterior": _by_name(problem, theta),
        "observed_data": {"reading": problem.bindings.value},
    }
    failed, failed_before = 0, 0
    if predictive:
        posterior = predict_draws(problem, flat, seed=seed + 1)
        failed = int(np.sum(~posterior.ok.all(axis=1)))
        prior = problem.prior.draw(np.random.default_rng([seed, 2]), chains * draws)
        before = predict_draws(problem, prior, seed=seed + 2)
        failed_before = int(np.sum(~before.ok.all(axis=1)))
        groups |= {
            "posterior_predictive": {
                "reading": _split(posterior.reading, chains),
                "mean": _split(posterior.value, chains),
            },
            "log_likelihood": {"reading": _split(posterior.log_likelihood, chains)},
            "prior": _by_name(problem, prior.reshape(theta.shape)),
            "prior_predictive": {"reading": _split(before.reading, chains)},
        }
    if sample_stats:
        groups["sample_stats"] = sample_stats
    table = problem.measurements.table
    row = {"row": np.arange(len(table))}
    dims = {"reading": ["row"], "mean": ["row"], "theta": ["entry"]}
    tree = arviz_base.from_dict(groups, coords={**row, "entry": list(problem.names)}, dims=dims)
    columns = ("experiment", "subject", "observable", "time", "censoring", "upper")
    for column in (name for name in columns if name in table):
        tree["observed_data"] = (
            tree["observed_data"]
            .to_dataset()
            .assign_coords(
                {column: ("row", table[column].to_numpy().astype(float if column in ("time", "upper") else str))}
            )
        )
    tree.attrs |= {
        "problem": problem.name,
        "model": problem.model.name,
        "model_fingerprint": problem.model.fingerprint,
        "data_sha256": problem.measurements.sha256,
        "failed_posterior_draws": failed,
        "failed_prior_draws": failed_before,
        "cytotwin": version("cytotwin"),
        "jax": jax.__version__,
    }
    return tree


def _by_name(problem: Problem, theta: np.ndarray) -> dict[str, np.ndarray]:
    linear = problem.parameters.linear(theta)
    named = {name: linear[..., index] for index, name in enumerate(problem.names)}
    return named | {"theta": theta}


def _split(values: np.ndarray, chains: int) -> np.ndarray:
    return values.reshape(chains, -1, *values.shape[1:])
