"""What a comparison found: a table, how certain each difference is, pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import pandas as pd

from calibration.comparison.criteria import CRITERIA, Criterion
from calibration.comparison.held_out import Independent
from calibration.optimise import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL = {"AIC": 2.0, "AICc": 2.0, "BIC": 2.0, "loo": 4.0, "held-out": 0.0, "evidence": 1.0}
"""Differences below which nobody should decide: Burnham & Anderson 2002, section 2.6, for AIC; Kass & Raftery 1995 for
BIC (2) and log evidence (1); Sivula et al. 2025, doi:10.48550/arXiv.2008.10296, for LOO (4)."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models of the same readings, best first by the first criterion.

    Differences are from the best model by that criterion, positive where worse.

    Args:
        table: One row per model: parameters, readings, nllh, and by criterion its value, difference, the difference's
            standard error and weight. "loo" adds p_loo and the shares of readings with k-hat above 0.7 after and before
            mending; "held-out" the mean CRPS in units of the score scale.
        by: Criteria, as asked.
        readings: Number of readings.
        fits: Fit by model.
        pointwise: Log-likelihood at the fit and leave-one-out log density [reading], columns (quantity, model).
        independent: By criterion what was taken as independent for the errors, and how many there are.
        split: What was held out.
        notes: What the reader has to know before believing the numbers.
    """

    table: pd.DataFrame
    by: tuple[str, ...]
    readings: int
    fits: dict[str, Fit]
    pointwise: pd.DataFrame
    independent: dict[str, Independent]
    split: str | None
    notes: tuple[str, ...]

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The criteria, as asked."""
        return tuple(CRITERIA[name] for name in self.by)

    def best(self, criterion: str | None = None) -> str:
        """Name of the best model by a criterion; default the first one asked for."""
        difference = self.table[CRITERIA[criterion or self.by[0]].difference]
        return str(difference.idxmin())

    def certainty(self, criterion: str) -> dict[str, str]:
        """How sure it is that each other model is worse: "clear", "not clear" or "too small to tell".

        Clear is a difference above the criterion's conventional threshold whose 95 % interval does not reach zero
        (Student's t, because errors over few series are themselves uncertain). For AIC, AICc and BIC the error is that
        of the difference of log-likelihoods over readings (Vuong 1989), which is valid for models that are not nested
        in each other.
        """
        each = CRITERIA[criterion]
        best = self.best(criterion)
        found = {}
        for name, row in self.table.iterrows():
            if name == best:
                continue
            difference, error = float(row[each.difference]), float(row[each.error])
            if math.isnan(difference) or difference < SMALL[criterion]:
                found[str(name)] = "too small to tell"
            else:
                found[str(name)] = "clear" if difference > self.independent[criterion].width * error else "not clear"
        return found

    def to_png(self, path: str | PathLike[str]) -> Figure:
        """Write the picture of differences with their 95 % intervals, one panel per criterion."""
        from calibration.comparison.figure import draw_comparison

        figure = draw_comparison(self)
        figure.savefig(path, dpi=150)
        return figure

    def __str__(self) -> str:
        from calibration.comparison.text import comparison_text

        return comparison_text(self)
