"""What a search through a model space found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from calibration.comparison.information_criteria import weights
from calibration.petab.read import read_petab
from calibration.problem import Problem


@dataclass(frozen=True, eq=False)
class Selection:
    """Candidates of a model space, best first.

    Args:
        table: One row per fitted candidate: iteration, predecessor, estimated parameters, their number, readings, nllh,
            AIC, AICc, BIC, seconds, and the difference from the best by the criterion.
        criterion: What decided.
        method: How the space was searched.
        best: The best candidate.
        folder: Where candidates and fits are kept.
        estimates: Its estimated parameters, linear scale.
        notes: What went wrong on the way.
    """

    table: pd.DataFrame
    criterion: str
    method: str
    best: str
    folder: Path
    estimates: dict[str, float]
    notes: tuple[str, ...]

    def problem(self, name: str | None = None) -> Problem:
        """The calibration problem of a candidate; default the best.

        Raises:
            ProblemError: the folder does not hold it any more.
        """
        found = read_petab(self.folder / "candidates" / (name or self.best) / "problem.yaml")
        return found.with_nominal(self.estimates) if name in (None, self.best) else found

    def __str__(self) -> str:
        column = "nllh" if self.criterion == "NLLH" else self.criterion
        shown = self.table[["iteration", "parameters", "nllh", column, "difference"]]
        shown = shown.loc[:, ~shown.columns.duplicated()].copy()
        if column != "nllh":
            shown["weight"] = weights(self.table[column].to_numpy())
        numbers = ", ".join(f"{name} = {value:.4g}" for name, value in self.estimates.items())
        lines = [
            f"{len(shown)} candidates ({self.method}, {self.criterion})",
            shown.head(12).to_string(float_format=lambda x: f"{x:.3f}"),
            f"best: {self.best} with {numbers}",
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)
