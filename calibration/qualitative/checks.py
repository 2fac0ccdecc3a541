"""What is asked of readings of both kinds: an observable that is there, and a range."""

from __future__ import annotations

from os import PathLike

import numpy as np
import pandas as pd

from twin.errors import ProblemError, suggestion
from twin.measurements import Measurements, read_measurements
from twin.measurements.options import Replicates
from twin.model import Model


def known_observable(model: Model, observable: str, where: str) -> None:
    """Refuse an observable that the model does not have.

    Raises:
        ProblemError: It does not.
    """
    if observable not in model.observable_names:
        raise ProblemError(
            f"the model has no observable {observable!r}",
            where=where,
            fix=suggestion(observable, model.observable_names),
        )


def check_range(within: tuple[float, float], where: str) -> tuple[float, float]:
    """The two ends of a range as numbers.

    Raises:
        ProblemError: They are not finite, or not in order.
    """
    if not (np.isfinite(within).all() and within[0] < within[1]):
        raise ProblemError(f"within is {within!r}", where=where, expected="two finite numbers, the lower one first")
    return float(within[0]), float(within[1])


def as_measurements(
    given: Measurements | pd.DataFrame | str | PathLike[str], model: Model, *, alike: bool = False
) -> Measurements:
    """A table of readings in the schema, from a table or a file as it comes.

    Args:
        given: The readings.
        model: The model, for names and units.
        alike: Whether equal readings of one moment are no copies, as with grades.
    """
    if isinstance(given, Measurements):
        return given
    kept: Replicates = "identical" if alike else "allow"
    if isinstance(given, pd.DataFrame):
        return Measurements.from_table(given, model, replicates=kept)
    return read_measurements(given, model, replicates=kept)
