"""Which series the first figure shows, in which fold, and under what heading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calibration.report.formats import forecaster, natural, number
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.splits import Split

MOST_PANELS = 12
KEYS = ("experiment", "subject", "observable")
_GRID = 240  # more points per band than this cannot be seen and only swell the page


@dataclass(frozen=True, eq=False)
class Panel:
    """What one panel draws.

    Args:
        experiment, subject, observable: The series.
        title: The parts of these that tell it from the other panels.
        fold: What was held out in the fold shown.
        readings: Its readings in that fold, by time.
        bands: Its predictive bands in that fold, by time; may be empty.
        remark: Score of the twin on the held-out readings of this panel; empty if there are none.
    """

    experiment: str
    subject: str
    observable: str
    title: str
    fold: str
    readings: pd.DataFrame
    bands: pd.DataFrame
    remark: str


def choose_panels(assessment: Assessment, most: int = MOST_PANELS) -> tuple[list[Panel], int]:
    """The panels to draw, and how many there are in all.

    Each series is shown in the fold that held it out. If there are too many, the observables take turns and
    each gives its series in natural order, those with held-out readings first: nothing is chosen by how well
    it fits.
    """
    readings = _with_text_keys(assessment.readings)
    bands, scores = _with_text_keys(assessment.bands), _with_text_keys(assessment.scores)
    found = []
    for _, group in readings.groupby(list(KEYS), sort=False):
        keys = tuple(str(group[key].iloc[0]) for key in KEYS)
        held = group.loc[~group["train"].astype(bool), "fold"]
        found.append((keys, held.iloc[0] if len(held) else group["fold"].iloc[0], not len(held)))
    found.sort(key=lambda item: (item[2], [natural(part) for part in item[0]]))
    turn: dict[str, int] = {}
    ranked = []
    for keys, fold, _ in found:
        turn[keys[2]] = turn.get(keys[2], 0) + 1
        ranked.append((turn[keys[2]], keys, fold))
    ranked.sort(key=lambda item: item[0])
    shown = sorted(ranked[:most], key=lambda item: (natural(item[1][2]), item[0]))
    varying = [key for key in KEYS if len(set(readings[key])) > 1]
    panels = []
    for _, keys, fold in shown:
        mine = _of(readings, keys)
        panels.append(
            Panel(
                *keys,
                title=_title(dict(zip(KEYS, keys, strict=True)), varying),
                fold=fold_label(assessment.split, fold),
                readings=mine.loc[mine["fold"] == fold].sort_values("time", kind="stable"),
                bands=_thin(_of(bands.loc[bands["fold"] == fold], keys).sort_values("time", kind="stable")),
                remark=_remark(_of(scores, keys), assessment.gap.baseline_name),
            )
        )
    return panels, len(found)


def fold_label(split: Split, fold: object) -> str:
    """What the fold held out, in words, from its label or its position."""
    labels = [made.label for made in split.folds]
    if str(fold) in labels:
        return str(fold)
    position = int(fold) if isinstance(fold, int | np.integer) else -1
    return labels[position] if 0 <= position < len(labels) else str(fold)


def _title(parts: Mapping[str, str], varying: list[str]) -> str:
    """The parts of a series' name that differ between panels; bare numbers get their kind in front."""
    chosen = [
        f"{key} {parts[key]}" if parts[key].replace(".", "").isdigit() else parts[key]
        for key in (varying or ["observable"])
    ]
    joined = " · ".join(chosen)
    return joined[:1].upper() + joined[1:]


def _remark(scores: pd.DataFrame, baseline: str) -> str:
    """How the twin did on the held-out readings of a panel."""
    if scores.empty or "crps" not in scores:
        return ""
    said = f"{len(scores)} held out · CRPS {number(scores['crps'].astype(float).mean(), 2)}"
    other = f"crps {baseline}"
    if other in scores and scores[other].notna().to_numpy().all():
        said += f", {forecaster(baseline)} {number(scores[other].astype(float).mean(), 2)}"
    return said


def _with_text_keys(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its series named by text, whatever the reader of a CSV made of numbers."""
    return table.assign(**{key: table[key].astype(str) for key in KEYS if key in table})


def _of(table: pd.DataFrame, keys: tuple[str, ...]) -> pd.DataFrame:
    """Rows of one series and observable."""
    same = np.ones(len(table), dtype=bool)
    for column, key in zip(KEYS, keys, strict=True):
        same &= (table[column] == key).to_numpy()
    return table.loc[same]


def _thin(bands: pd.DataFrame) -> pd.DataFrame:
    """At most so many points of a band as can be seen, the last one always among them."""
    if len(bands) <= _GRID:
        return bands
    return bands.iloc[np.unique(np.linspace(0, len(bands) - 1, _GRID).astype(int))]
