"""Parameter vectors of studies with new subjects: shared entries from draws, those of a subject from its prior."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from calibration.problem import Problem
from twin.errors import ProblemError

type Source = Literal["prior", "nominal"] | np.ndarray | xr.DataTree
SOURCES = ("prior", "nominal")


def subject_entries(problem: Problem) -> Int[np.ndarray, " entry"]:
    """Positions of the entries that belong to single subjects."""
    per_subject = {estimate.name for estimate in problem.estimates if estimate.per == "subject"}
    found: set[int] = set()
    for name, slot in problem.parameters.slots.items():
        if name in per_subject:
            own = [slot.value] if slot.eta is None else [slot.eta] if slot.kappa is None else [slot.eta, slot.kappa]
            found |= {int(entry) for entries in own for entry in np.atleast_1d(entries)}
    return np.array(sorted(found), dtype=int)


def new_vectors(
    problem: Problem, source: Source, count: int, rng: np.random.Generator
) -> Float[np.ndarray, "study parameter"]:
    """Vectors of virtual studies.

    Args:
        problem: Its priors and its nominal vector.
        source: "prior", "nominal", vectors on the estimation scale [draw, parameter], or a posterior of
            `calibration.sample`; entries of single subjects are drawn anew from their priors whatever the source.
        count: How many.
        rng: Consumed.

    Raises:
        ProblemError: the source is none of these, or its vectors have another length.
    """
    fresh = problem.prior.draw(rng, count)
    if isinstance(source, str):
        if source not in SOURCES:
            raise ProblemError(f"the source of parameters is {source!r}", where="source", expected=", ".join(SOURCES))
        if source == "prior":
            return fresh
        given = np.asarray(problem.nominal)[None]
    elif isinstance(source, xr.DataTree):
        given = _of_posterior(source)
    else:
        given = np.atleast_2d(np.asarray(source, dtype=float))
    if given.ndim != 2 or given.shape[1] != len(problem.names) or not len(given) or not np.isfinite(given).all():
        raise ProblemError(
            f"the vectors have shape {given.shape}" if np.isfinite(given).all() else "a vector is not finite",
            where="source",
            expected=f"(draws, {len(problem.names)}) finite numbers on the estimation scale, as problem.names",
        )
    vectors = given[rng.integers(len(given), size=count)]
    own = subject_entries(problem)
    vectors[:, own] = fresh[:, own]
    return vectors


def _of_posterior(tree: xr.DataTree) -> np.ndarray:
    try:
        theta = tree["posterior"]["theta"]
    except KeyError as error:
        raise ProblemError("it has no posterior with theta", where="source", expected="calibration.sample") from error
    return np.asarray(theta).reshape(-1, theta.shape[-1])
