"""Posterior draws of a mechanism with intrinsic noise in ArviZ's schema, with readings of fluctuating courses."""

from __future__ import annotations

from typing import Any, Protocol

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from calibration.compiled import Owner, kept_program
from calibration.predict import draws_to_tree
from calibration.problem import Problem
from calibration.sampling.posterior import add_log_prior

BATCH = 500
"""Vectors of one compiled call."""
ONE_AHEAD = "log_density_one_ahead"
"""Not ``log_likelihood``, which leave-one-out of ArviZ would take for independent readings."""


class Courses(Owner, Protocol):
    """What draws fluctuating courses, and readings of them."""

    problem: Problem

    def draw_many(self, thetas: Float[Array, "draw parameter"], key: Array) -> tuple[Array, ...]:
        """Observables without and with noise of measurement, [draw, reading]; and, where it is known, the log density
        of every reading of the table given those before it in its series."""
        ...


def tree_of_draws(
    courses: Courses,
    theta: Float[np.ndarray, "chain draw parameter"],
    *,
    seed: int,
    predictive: bool,
    sample_stats: dict[str, np.ndarray],
    attrs: dict[str, Any],
) -> xr.DataTree:
    """Draws with their priors and, if asked for, readings of one fluctuating course each.

    Args:
        courses: What was sampled.
        theta: Draws on the estimation scale.
        seed: Seed of the predictive draws.
        predictive: Also draw readings.
        sample_stats: Statistics of the sampler, each [chain, draw].
        attrs: Attributes of the tree.
    """
    problem = courses.problem
    tree = draws_to_tree(problem, theta, seed=seed, predictive=False, sample_stats=sample_stats)
    add_log_prior(tree, problem, theta)
    if predictive:
        course, reading, *one_ahead = _draw(courses, theta, jax.random.fold_in(jax.random.key(seed), 4))
        _add(tree, "posterior_predictive", {"reading": reading, "mean": course})
        for each in one_ahead:
            _add(tree, ONE_AHEAD, {"reading": each})
        tree.attrs["failed_posterior_draws"] = int(np.isnan(reading).any(axis=-1).sum())
    tree.attrs |= {"seed": seed, **attrs}
    return tree


def _draw(
    courses: Courses, theta: Float[np.ndarray, "chain draw parameter"], key: Array
) -> list[Float[np.ndarray, "chain draw reading"]]:
    """What `Courses.draw_many` gives for all draws, in batches."""
    program = kept_program(courses, "draw_many", lambda: courses.draw_many)
    flat = theta.reshape(-1, theta.shape[-1])
    size = min(BATCH, len(flat))
    padded = np.concatenate([flat, np.repeat(flat[-1:], -len(flat) % size, axis=0)])
    parts = []
    for index, part in enumerate(padded.reshape(-1, size, flat.shape[1])):
        parts.append([np.asarray(x) for x in program(part, jax.random.fold_in(key, index))])
    whole = [np.concatenate(x)[: len(flat)] for x in zip(*parts, strict=True)]
    return [x.reshape(*theta.shape[:2], -1) for x in whole]


def _add(tree: xr.DataTree, group: str, values: dict[str, Float[np.ndarray, "chain draw reading"]]) -> None:
    """A group of numbers by chain, draw and row of the table."""
    coords = {dim: tree["posterior"][dim] for dim in ("chain", "draw")}
    coords["row"] = tree["observed_data"]["row"]
    variables = {name: (("chain", "draw", "row"), value) for name, value in values.items()}
    tree[group] = xr.DataTree(xr.Dataset(variables, coords=coords))
