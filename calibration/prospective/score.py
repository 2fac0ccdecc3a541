"""Open the readings and score what was frozen before; no model runs here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from calibration.noise import NOISE_MODELS
from calibration.noise.censoring import kinds_of, log_density_of, upper_of
from calibration.optimise.archive import write_whole
from calibration.prospective.frozen import KEYS, Frozen
from calibration.sim2real.assay import assay_limits
from calibration.sim2real.floor import expected_crps
from calibration.sim2real.gap import Gap, measure_gap
from calibration.sim2real.replicates import replicated_coverage
from calibration.sim2real.scale import limits_on_score_scale
from calibration.sim2real.scores import score_readings
from calibration.sim2real.verdict import Verdict, judge
from twin.errors import MeasurementError
from twin.measurements import Measurements
from twin.precision import float64

SAME_TIME = 1e-9
"""Relative difference up to which two times are one: unit conversion rounds."""


@dataclass(frozen=True)
class Reads:
    """What the reader of a table needs to know of the model, from the frozen file alone."""

    time_unit: str
    units: Mapping[str, str]

    @property
    def observable_names(self) -> tuple[str, ...]:
        return tuple(self.units)

    def unit(self, name: str, /) -> str:
        return self.units[name]


@dataclass(frozen=True)
class ProspectiveScore:
    """How frozen predictions fared.

    Args:
        gap: The gap with its interval.
        verdict: The gap in words.
        scores: A row per reading: keys, value, crps, coverage, pit, elpd, floor, and ``crps <baseline>``.
        unread: Predicted rows that nobody read.
        record: When what was frozen and opened, with both hashes, and the headline numbers; JSON's types.
    """

    gap: Gap
    verdict: Verdict
    scores: pd.DataFrame
    unread: pd.DataFrame
    record: Mapping[str, Any]

    def save(self, folder: str | Path) -> list[Path]:
        """Write scores.csv and score.json into a folder that is there, and return their paths."""
        table, record = Path(folder) / "scores.csv", Path(folder) / "score.json"
        write_whole(table, lambda part: self.scores.to_csv(part, index=False))
        text = json.dumps(self.record, indent=1, ensure_ascii=False)
        write_whole(record, lambda part: part.write_text(text, encoding="utf-8"))
        return [table, record]

    def __str__(self) -> str:
        missing = f"\n{len(self.unread)} predicted readings were not made." if len(self.unread) else ""
        return (
            f"Frozen {self.record['frozen_at']}, opened {self.record['opened_at']}, "
            f"{len(self.scores)} readings.\n{self.verdict}{missing}"
        )


def reads(frozen: Frozen) -> Reads:
    """What readings of frozen predictions are: observables and units."""
    return Reads(frozen.about["time_unit"], frozen.about["units"])


def score(frozen: Frozen, measurements: Measurements | pd.DataFrame, *, seed: int = 0) -> ProspectiveScore:
    """Score frozen predictions against the readings that were made since.

    Every reading must have been predicted: same experiment, subject, observable and time. Replicates take the
    predictions of their row of the design in turn, or share them if the design names the row once.

    Args:
        frozen: The predictions (`Frozen.load` checks the hash).
        measurements: The readings.
        seed: Seed of the randomised PIT and of the bootstrap.

    Raises:
        MeasurementError: a reading was not predicted, or the table cannot be read.

    Example:
        >>> print(calibration.score(calibration.Frozen.load("titres.nc"), "titres.csv"))
    """
    known = reads(frozen)
    if isinstance(measurements, pd.DataFrame):
        measurements = Measurements.from_table(measurements, known)
    else:
        measurements = measurements.for_model(known)
    table = measurements.table
    rows = _predicted_row(frozen.design, table, measurements.source)
    found = assay_limits(table)
    limits = replace(found, lower=np.maximum(frozen.limit[rows], found.lower))
    scale = frozen.about["score_scale"]
    scores = score_readings(
        table,
        frozen.reading[:, rows],
        scale=scale,
        limits=limits,
        log_likelihood=_log_likelihood(frozen, table, rows),
        seed=seed,
    )
    crps = {}
    for name, draws in frozen.baselines.items():
        scored = score_readings(table, draws[:, rows], scale=scale, limits=limits, on_score_scale=True, seed=seed)
        crps[name] = scored["crps"].to_numpy()
        scores[f"crps {name}"] = crps[name]
    limit = limits_on_score_scale(table, scale, limits)
    scores["floor"] = expected_crps(
        frozen.sigma[rows], scores["reading"].to_numpy(), limit, table["observable"].to_numpy()
    )
    gap = measure_gap(scores, crps, scores["floor"].to_numpy(), left_out=frozen.about["undefined baselines"])
    replicates = replicated_coverage(table, frozen.reading[:, rows], 0.9, scale=scale, limits=limits)
    verdict = judge(gap, float(scores["coverage_90"].mean()), replicates)
    unread = frozen.design.drop(index=np.unique(rows))
    return ProspectiveScore(gap, verdict, scores, unread, _record(frozen, measurements, gap, verdict, scores, unread))


def _predicted_row(design: pd.DataFrame, table: pd.DataFrame, source: str) -> Int[np.ndarray, " reading"]:
    """The row of the design that each reading belongs to."""
    places: dict[tuple[str, str, str], list[int]] = {}
    for row, key in enumerate(design[list(KEYS[:-1])].itertuples(index=False, name=None)):
        places.setdefault(key, []).append(row)
    times = design["time"].to_numpy(dtype=float)
    used: dict[tuple[str, str, str, float], int] = {}
    found = np.empty(len(table), dtype=int)
    for index, (*names, time) in enumerate(table[list(KEYS)].itertuples(index=False, name=None)):
        key = (str(names[0]), str(names[1]), str(names[2]))
        near = [r for r in places.get(key, []) if abs(times[r] - time) <= SAME_TIME * max(1.0, abs(time))]
        if not near:
            raise MeasurementError(
                f"experiment {key[0]!r}, subject {key[1]!r}, {key[2]} at time {time:g} was not predicted",
                where=f"{source}, reading {index + 1}",
                expected="readings of the design that was frozen",
                fix="leave the reading out, or freeze a design that holds it before it is made",
            )
        nth = used.get((*key, time), 0)
        used[*key, time] = nth + 1
        found[index] = near[min(nth, len(near) - 1)]
    return found


def _log_likelihood(
    frozen: Frozen, table: pd.DataFrame, rows: Int[np.ndarray, " reading"]
) -> Float[np.ndarray, "draw reading"]:
    """Log density of each reading under each draw; log probability of what is known of it where it is censored."""
    value, scale = frozen.value[:, rows], frozen.scale[:, rows]
    y, upper, kind = table["value"].to_numpy(dtype=float), upper_of(table), kinds_of(table)
    found = np.empty_like(value)
    with float64():
        for name, where in table.groupby("observable").indices.items():
            noise = NOISE_MODELS[frozen.about["noise"][name]["family"]](frozen.about["noise"][name]["df"])
            known = (jnp.asarray(part[where]) for part in (y, upper, kind))
            predicted = jnp.asarray(value[:, where]), jnp.asarray(scale[:, where])
            found[:, where] = np.asarray(log_density_of(noise, *known, *predicted, set(kind[where])))
    return found


def _record(
    frozen: Frozen,
    measurements: Measurements,
    gap: Gap,
    verdict: Verdict,
    scores: pd.DataFrame,
    unread: pd.DataFrame,
) -> dict[str, Any]:
    def number(value: float) -> float | str:
        return float(value) if np.isfinite(value) else str(value)

    return {
        "predictions_sha256": frozen.sha256,
        "frozen_at": frozen.about["frozen_at"],
        "question": frozen.about["question"],
        "problem": frozen.about["problem"],
        "opened_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "readings": {"source": Path(measurements.source).name, "sha256": measurements.sha256, "count": len(scores)},
        "not_read": len(unread),
        "gap": [number(x) for x in (gap.value, gap.low, gap.high)],
        "crps": {"twin": gap.twin, "floor": gap.floor, **gap.baselines},
        "coverage_50": float(scores["coverage_50"].mean()),
        "coverage_90": float(scores["coverage_90"].mean()),
        "elpd": number(float(scores["elpd"].sum())),
        "verdict": str(verdict),
    }
