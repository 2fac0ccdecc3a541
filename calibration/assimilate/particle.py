"""The bootstrap particle filter, refused by name: it needs noise of the process itself, which no model here has."""

from __future__ import annotations

from typing import NoReturn

from twin.errors import ProblemError
from twin.live import Twin
from twin.live.assimilators import Assimilator
from twin.measurements import Measurements


def refuse(twin: Twin, measurements: Measurements, seed: int, **options: object) -> NoReturn:
    """Say why, and what to take instead.

    Raises:
        ProblemError: always.
    """
    raise ProblemError(
        f"the mechanism {twin.model.name!r} is deterministic given its parameters, and a particle filter draws the "
        "noise of the process between two readings",
        where="update",
        expected="a model with process noise, which this version does not describe",
        fix="take method='reweight', which is exact for such a mechanism",
    )


PARTICLE = Assimilator("particle", "bootstrap particle filter; refused: no model has process noise", refuse)
