"""Which criteria there are, what each needs, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from twin.errors import ProblemError, suggestion

type Need = Literal["fit", "posterior", "refits", "evidence"]


@dataclass(frozen=True)
class Criterion:
    """One way to weigh models.

    Args:
        name: What one writes.
        column: Its column in a table of results.
        weight: Column of the weight that follows from it, if any does.
        need: What has to be computed: a fit, posterior draws, fits and draws of every fold, or the evidence.
        lower: Whether the smaller value is better.
        axis: What its difference from the best is called in pictures, so that more is worse.
    """

    name: str
    column: str
    weight: str | None
    need: Need
    lower: bool
    axis: str

    @property
    def difference(self) -> str:
        """Column of the difference from the best."""
        return f"{self.column}_difference"

    @property
    def error(self) -> str:
        """Column of the standard error of that difference."""
        return f"{self.column}_difference_se"


CRITERIA = {
    each.name: each
    for each in (
        Criterion("AIC", "AIC", "AIC_weight", "fit", True, "AIC above the best"),
        Criterion("AICc", "AICc", "AICc_weight", "fit", True, "AICc above the best"),
        Criterion("BIC", "BIC", "BIC_weight", "fit", True, "BIC above the best"),
        Criterion("loo", "elpd_loo", "stacking_weight", "posterior", False, "elpd (LOO) below the best"),
        Criterion("held-out", "log_score", None, "refits", False, "held-out log score below the best"),
        Criterion("evidence", "log_evidence", "probability", "evidence", False, "log evidence below the best"),
    )
}


def criteria(names: Sequence[str] | str) -> tuple[Criterion, ...]:
    """The criteria of these names, in whatever letters.

    Raises:
        ProblemError: there is none of that name, or no name is given.
    """
    asked = (names,) if isinstance(names, str) else tuple(names)
    known = {name.lower(): each for name, each in CRITERIA.items()}
    if not asked:
        raise ProblemError("no criterion is asked for", where="compare", fix=suggestion("", CRITERIA))
    for name in asked:
        if str(name).lower() not in known:
            raise ProblemError(f"there is no criterion {name!r}", where="compare", fix=suggestion(str(name), CRITERIA))
    return tuple(dict.fromkeys(known[str(name).lower()] for name in asked))
