"""What a search found: the design, how sure it is, what it does to other patients, and what arms do to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from twin.scenario.confidence import Z
from twin.scenario.durable import write_whole
from twin.scenario.optimise.treatment import OPTIMUM, Treatment
from twin.scenario.optimise.trial import Trial, Tried

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LEVELS = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
MOST_GROUPS = 256
"""Patients for each of whom the best design is named."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best treatment of those that were tried.

    Args:
        treatment: What was sought.
        method: "gradient" or "bayesian".
        design: Level of each factor.
        value: The goal, in the patients of the search.
        kept: Whether all limits are kept in them.
        tried: A row per design: levels, goal, limits, whether they are kept, failed integrations, how it came about.
        regimens: A row for the optimum and each arm that can be compared with it, in the patients of the search and in
            others: goal, limits, whether they are kept.
        patients: A row per endpoint and regimen: 5, 50 and 95 % of the patients (the others where there are any), mean
            difference of the optimum to it within patients with its 95 % interval.
        resampled: Best designs in bootstrap samples of the patients: what another cohort of this size would have said.
        individual: The best of the designs that were tried for each patient alone (not a number where none keeps the
            limits in that patient): how far one design for all is from one for each. Patients that are draws of a
            posterior are possible truths, so this is what is not known about the best design.
    """

    treatment: Treatment
    method: str
    design: dict[str, float]
    value: float
    kept: bool
    tried: pd.DataFrame
    regimens: pd.DataFrame
    patients: pd.DataFrame
    resampled: Float[np.ndarray, "sample factor"]
    individual: Float[np.ndarray, "patient factor"]

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % interval of each factor's best level over the bootstrap samples; empty without any."""
        if not len(self.resampled):
            return {}
        low, high = np.quantile(self.resampled, [0.025, 0.975], axis=0)
        return {name: (float(a), float(b)) for name, a, b in zip(self.design, low, high, strict=True)}

    @property
    def spread(self) -> dict[str, tuple[float, float, float]]:
        """5, 50 and 95 % of the levels that are best for each patient alone; empty where no design suits any."""
        known = self.individual[np.isfinite(self.individual).all(axis=1)]
        if not len(known):
            return {}
        found = np.quantile(known, [0.05, 0.5, 0.95], axis=0)
        return {name: tuple(map(float, column)) for name, column in zip(self.design, found.T, strict=True)}

    def figure(self) -> Figure:
        """The goal over the factors, limits, what was tried, and the doubts about the optimum."""
        from twin.scenario.optimise.optimum_figure import optimum_figure

        return optimum_figure(self)

    def save(self, folder: str | Path) -> tuple[Path, ...]:
        """Write tables, numbers and picture into a folder.

        Returns:
            The files: ``optimum.json``, ``tried.csv``, ``regimens.csv``, ``patients.csv``, ``optimum.png``.

        Raises:
            StoreError: The folder cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "optimum.json", (json.dumps(self._plain(), indent=2) + "\n").encode())
        for name in ("tried", "regimens", "patients"):
            write_whole(folder / f"{name}.csv", getattr(self, name).to_csv(index=False).encode())
        self.figure().savefig(folder / "optimum.png", dpi=130)
        names = ("optimum.json", "tried.csv", "regimens.csv", "patients.csv", "optimum.png")
        return tuple(folder / name for name in names)

    def _plain(self) -> dict[str, Any]:
        goal = self.treatment.goal.said
        return {
            "scenario": self.treatment.scenario.name,
            "fingerprint": self.treatment.fingerprint,
            "goal": f"{'minimise' if self.treatment.sign > 0 else 'maximise'} {goal}",
            "limits": {name: limit.said for name, limit in self.treatment.limits.items()},
            "limits_kept": self.kept,
            "method": self.method,
            "design": self.design,
            "value": self.value,
            "interval_95": self.intervals,
            "best_for_single_patients_q05_q50_q95": self.spread,
            "designs_tried": len(self.tried),
        }

    def __repr__(self) -> str:
        levels = ", ".join(f"{name} = {value:.4g}" for name, value in self.design.items())
        missed = "" if self.kept else "; limits are NOT kept"
        return f"<Optimum: {levels}; {self.treatment.goal.said} = {self.value:.4g}{missed}>"


def collected(
    treatment: Treatment,
    method: str,
    trial: Trial,
    tried: tuple[Float[np.ndarray, "design factor"], Tried],
    how: Sequence[str],
    best: int,
    resampled: Float[np.ndarray, "sample factor"],
) -> Optimum:
    """Put together what a search found.

    Args:
        treatment: What was sought.
        method: How.
        trial: The patients of the search.
        tried: All designs and what came of them.
        how: How each came about.
        best: Which of them is best.
        resampled: Best designs in bootstrap samples.
    """
    levels, found = tried
    design = levels[best]
    others = _others(treatment, trial)
    regimens = {OPTIMUM: design, **treatment.regimens}
    return Optimum(
        treatment=treatment,
        method=method,
        design=dict(zip(treatment.factors, map(float, design), strict=True)),
        value=float(found.measures[best, 0]),
        kept=_kept(treatment, found.measures[best]),
        tried=_tried(treatment, levels, found, how),
        regimens=_compared(treatment, regimens, trial, others),
        patients=_patients(treatment, regimens, others or trial),
        resampled=resampled,
        individual=_individual(treatment, trial, levels, found),
    )


def _others(treatment: Treatment, trial: Trial) -> Trial | None:
    """As many patients that the search did not see; None if the cohort has none left."""
    last = min(2 * trial.patients, treatment.scenario.cohort.size)
    return Trial(treatment, trial.patients, last) if last > trial.patients else None


def _kept(treatment: Treatment, measures: Float[np.ndarray, " measure"]) -> bool:
    limits = treatment.limits.values()
    return all(limit.keeps(float(value)) for limit, value in zip(limits, measures[1:], strict=True))


def _tried(treatment: Treatment, levels: np.ndarray, found: Tried, how: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = dict(zip(treatment.factors, levels.T, strict=True))
    columns |= dict(zip(("goal", *treatment.limits), found.measures.T, strict=True))
    columns["kept"] = [_kept(treatment, row) for row in found.measures]
    return pd.DataFrame({**columns, "failed": found.failed, "how": list(how)})


def _compared(
    treatment: Treatment, regimens: dict[str, np.ndarray], trial: Trial, others: Trial | None
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    designs = np.stack(list(regimens.values()))
    for who, on in (("searched", trial), ("others", others)):
        if on is None:
            continue
        found = on.measures(designs)
        for name, design, row, failed in zip(regimens, designs, found.measures, found.failed, strict=True):
            levels = dict(zip(treatment.factors, map(float, design), strict=True))
            values = dict(zip(("goal", *treatment.limits), map(float, row), strict=True))
            about = {"regimen": name, "patients": who, "count": on.patients}
            rows.append({**about, **levels, **values, "kept": _kept(treatment, row), "failed": int(failed)})
    return pd.DataFrame(rows)


def _patients(treatment: Treatment, regimens: dict[str, np.ndarray], trial: Trial) -> pd.DataFrame:
    import pandas as pd

    best = trial.endpoints(regimens[OPTIMUM])
    rows = []
    for regimen, design in regimens.items():
        values = best if regimen == OPTIMUM else trial.endpoints(design)
        for name, column in values.items():
            known = column[~np.isnan(column)]
            row: dict[str, Any] = {"endpoint": name, "unit": treatment.scenario.units.get(name, ""), "regimen": regimen}
            for label, level in LEVELS.items():
                # An infinite value has a rank but cannot be interpolated with.
                row[label] = float(np.quantile(known, level, method="inverted_cdf")) if len(known) else np.nan
            with np.errstate(invalid="ignore"):
                gain = best[name] - column
            gain = gain[~np.isnan(gain)]
            row |= {"difference": np.nan, "lower": np.nan, "upper": np.nan, "patients": len(known)}
            if regimen != OPTIMUM and len(gain) > 1 and np.isfinite(gain).all():
                half = Z * gain.std(ddof=1) / np.sqrt(len(gain))
                row |= {"difference": gain.mean(), "lower": gain.mean() - half, "upper": gain.mean() + half}
            rows.append(row)
    return pd.DataFrame(rows)


def _individual(
    treatment: Treatment, trial: Trial, levels: Float[np.ndarray, "design factor"], found: Tried
) -> Float[np.ndarray, "patient factor"]:
    """For each patient alone the best of the designs that were tried; those that hardly differ are left out."""
    usable = np.isfinite(found.measures).all(axis=1)
    _, distinct = np.unique(np.round(levels, 12), axis=0, return_index=True)
    designs = levels[np.sort([index for index in distinct if usable[index]])]
    patients = np.arange(min(trial.patients, MOST_GROUPS))
    measures = trial.of_groups(designs, patients[:, None])
    goal = treatment.sign * measures[..., 0]
    for row, limit in enumerate(treatment.limits.values(), start=1):
        excess = np.vectorize(lambda value, limit=limit: limit.keeps(value))(measures[..., row])
        goal = np.where(excess, goal, np.inf)
    goal = np.where(np.isnan(goal), np.inf, goal)
    chosen = designs[goal.argmin(axis=0)]
    return np.where(np.isfinite(goal.min(axis=0))[:, None], chosen, np.nan)
