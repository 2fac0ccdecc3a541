"""Features and targets of a learner: early readings of a subject, and an endpoint of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.synthetic.endpoints import ENDPOINTS, endpoints
from twin.errors import MeasurementError, suggestion


@dataclass(frozen=True)
class Examples:
    """What a learner learns from: a row per subject.

    Args:
        x: Readings at the early times, and the covariate of the experiment if there is one.
        y: Endpoint of the subject's readings.
        subjects: Who.
    """

    x: Float[np.ndarray, "subject feature"]
    y: Float[np.ndarray, " subject"]
    subjects: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: np.ndarray | Sequence[int]) -> Examples:
        """Some of the subjects."""
        index = np.asarray(index, dtype=int)
        return Examples(self.x[index], self.y[index], tuple(self.subjects[i] for i in index))


def early_examples(
    table: pd.DataFrame,
    times: Sequence[float],
    target: str,
    *,
    observable: str | None = None,
    covariate: Mapping[str, float] | None = None,
    limit: float | None = None,
) -> Examples:
    """Early readings and an endpoint for every series that has both.

    The endpoint is that of the *readings*, with their noise and schedule, because nobody knows another one of real
    subjects; so learners of synthetic and of real subjects learn the same thing. Readings between two visits are
    interpolated, and times outside a subject's visits take the nearest one.

    Args:
        table: Readings in the project's schema.
        times: The early times.
        target: One of `ENDPOINTS`.
        observable: Which, if there are several.
        covariate: A number per experiment.
        limit: Detection limit, for the clearance time.

    Raises:
        MeasurementError: an unknown endpoint or observable, or fewer than two subjects have what is needed.
    """
    if target not in ENDPOINTS:
        raise MeasurementError(f"there is no endpoint {target!r}", where="target", fix=suggestion(target, ENDPOINTS))
    known = sorted(set(table["observable"]))
    if (observable is None and len(known) > 1) or (observable is not None and observable not in known):
        raise MeasurementError(
            f"the observable is {observable!r}", where="readings", expected=f"one of {', '.join(known)}"
        )
    chosen = table[table["observable"] == (observable or known[0])]
    rows, targets, subjects = [], [], []
    for key, part in chosen.groupby(["experiment", "subject"], sort=False):
        experiment, subject = key if isinstance(key, tuple) else (key, "")
        by_time = part.groupby("time")["value"].mean()
        time, value = by_time.index.to_numpy(dtype=float), by_time.to_numpy(dtype=float)
        # A subject who left after the early visits has no endpoint.
        if not np.any(time > max(times)) or not np.any(time <= max(times)):
            continue
        y = endpoints(time, value, limit)[target]
        if not np.isfinite(y):
            continue
        given = [] if covariate is None else [covariate[str(experiment)]]
        rows.append([*np.interp(times, time, value), *given])
        targets.append(y)
        subjects.append(str(subject))
    if len(rows) < 2:
        raise MeasurementError(
            f"{len(rows)} subjects have early readings and the endpoint {target!r}",
            where="readings",
            expected="at least two",
        )
    return Examples(np.array(rows), np.array(targets), tuple(subjects))
