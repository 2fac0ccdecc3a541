"""What an assessment holds: everything the page, the tables and the verdict are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from calibration.sim2real.credibility import Credibility
from calibration.sim2real.gap import Gap
from calibration.sim2real.splits import Split
from calibration.sim2real.verdict import Verdict


@dataclass(frozen=True)
class Assessment:
    """The gap between a twin and reality on one split, with all it rests on.

    Args:
        title: One line: what was calibrated on which data.
        problem: Name of the problem.
        model: Name of the model.
        dataset: Name of the dataset.
        split: What was held out.
        gap: The headline.
        verdict: The headline in words.
        readings: One row per reading and fold: fold, train (bool), experiment, subject, observable, time,
            value, noise, censoring, unit, and the predictive quantiles q05 q25 q50 q75 q95 of a new reading
            (natural scale).
        scores: One row per held-out reading: the identifying columns, and crps, coverage_50, coverage_90,
            interval_score, elpd, pit of the twin, energy_score of the row's series and observable, `floor`, and
            ``crps <baseline>`` of each baseline; with a discrepancy also ``discrepancy_crps``,
            ``discrepancy_interval_score`` and so on of mechanism and discrepancy.
        by_forecaster: One row per forecaster (twin, baselines, floor): forecaster, crps, coverage_50,
            coverage_90, interval_score, elpd, note.
        bands: Predictive bands for drawing, one row per (fold, experiment, subject, observable, time) on a
            dense grid: q05 q25 q50 q75 q95 of a new reading and m05 m50 m95 of the noise-free prediction.
        parameters: One row per estimated parameter: name, unit, median, q05, q95, published, published_low,
            published_high, source, inside (published value in the 90 % interval: True, False or None), r_hat,
            ess_bulk, prior_to_posterior (sd ratio, 1 means nothing learned), note.
        layers: Layers L0 to L4 in order, and L6 if asked for, each a table with columns key (stable machine name),
            check, result, value (the number, NaN where none), passed (True, False, None), powerless (it could not
            have failed), note.
        predictive_tests: One row per statistic and series: statistic, series, observed, p_value.
        diagnostics: Divergences, draws, chains, worst r_hat, least ess_bulk, failed starts, failed draws,
            seconds.
        score_scale: "lin" or "log10" by observable.
        units: Unit by observable, and "time".
        provenance: Versions, seeds, hashes, settings, date.
        draws: One DataTree per fold, in ArviZ's schema.
        limits: Detection limit by observable, where there is one.
        credibility: What a context of use asked and whether it is met; None without one.
        discrepancy: What must be added to the mechanism, one row per observable: observable, size, low, high (median
            and 90 % interval of its amplitude), unit ("noise scales"), flagged, convergence; None if not asked for.
        discrepancy_by_dose: Where it goes along a dose, its size at each: observable, dose, readings, size, low, high
            [noise scales], practical, flagged.
        discrepancy_course: Where it sits: observable, experiment, subject (empty where all series share it), dose (NaN
            where it goes along none), time, q05, q50, q95 [noise scales]; training readings of the first fold.
        discrepancy_residuals: These readings: observable, experiment, subject, time, residual ((reading - prediction)
            / noise scale, posterior median), dose, remaining (less the median discrepancy).
    """

    title: str
    problem: str
    model: str
    dataset: str
    split: Split
    gap: Gap
    verdict: Verdict
    readings: pd.DataFrame
    scores: pd.DataFrame
    by_forecaster: pd.DataFrame
    bands: pd.DataFrame
    parameters: pd.DataFrame
    layers: Mapping[str, pd.DataFrame]
    predictive_tests: pd.DataFrame
    diagnostics: Mapping[str, Any]
    score_scale: Mapping[str, str]
    units: Mapping[str, str]
    provenance: Mapping[str, Any]
    draws: Sequence[xr.DataTree] = field(repr=False)
    limits: Mapping[str, float] = field(default_factory=dict)
    credibility: Credibility | None = None
    discrepancy: pd.DataFrame | None = None
    discrepancy_by_dose: pd.DataFrame | None = None
    discrepancy_course: pd.DataFrame | None = None
    discrepancy_residuals: pd.DataFrame | None = None

    def __str__(self) -> str:
        return f"{self.title}\n{self.verdict}"

    def _repr_html_(self) -> str:
        from calibration.notebook import assessment_html  # what shows it draws on this room, not the reverse

        return assessment_html(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained page (pictures inside, nothing loaded from elsewhere) and return its path."""
        from calibration.report.page import write_page  # the report draws on this room, not the reverse

        return write_page(self, Path(path))
