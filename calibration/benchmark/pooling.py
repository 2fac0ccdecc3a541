"""Three ways in which subjects share parameters: one value for all, each its own, or spread around a typical one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from twin.errors import ProblemError
from twin.study import Study

Pooling = Literal["", "partial", "none", "complete"]


def poolings(study: Study) -> tuple[Pooling, ...]:
    """The ways that a study allows, its own first.

    A study without parameters per subject or experiment has one way only, "". Partial pooling needs a distribution
    between subjects, which only the study can say; where it says none, its own way is "none".
    """
    own = [estimate for estimate in study.estimates if estimate.per != "shared"]
    if not own:
        return ("",)
    if any(estimate.between is not None for estimate in own):
        return ("partial", "none", "complete")
    return ("none", "complete")


def pooled(study: Study, pooling: Pooling) -> Study:
    """The study with its subjects' parameters pooled in one of the ways that it allows.

    "complete" estimates one value for all; "none" a value each, under the prior of the typical value; "partial" is the
    study as it is.

    Raises:
        ProblemError: The study does not allow it.
    """
    allowed = poolings(study)
    if pooling not in allowed:
        raise ProblemError(
            f"the pooling is {pooling!r}",
            where=f"study {study.name!r}",
            expected=", ".join(way or "none of them: it has no parameters per subject" for way in allowed),
        )
    if pooling == allowed[0]:
        return study
    changes = {"between": None, "between_occasions": None} | ({} if pooling == "none" else {"per": "shared"})
    return replace(
        study,
        estimates=tuple(e if e.per == "shared" else replace(e, **changes) for e in study.estimates),
    )
