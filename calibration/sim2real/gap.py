"""The gap: how far a twin is from held-out reality, between the noise floor (0) and the best baseline (1).

    gap = (S_twin - S_floor) / (S_baseline - S_floor),     S the mean held-out CRPS on the score scale.

0 is as good as the measurement noise allows, 1 no better than the best curve through the points, above 1
worse.

The interval is Fieller's (`ratio_interval`), from series (experiment, subject) where there are at least three,
otherwise from blocks of neighbouring held-out readings. The baseline is the one that is best on all readings: to
choose anew for every series would compare the twin with a composite that nobody can fit. "gap < 1" and "twin better
than baseline" are the same statement. Where the readings cannot tell the baseline from the noise floor the interval
has no end on one side or on both, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.sim2real.ratio_interval import mean_interval, ratio_interval, scatter_of_means
from twin.errors import ProblemError


@dataclass(frozen=True)
class Gap:
    """The headline number with what it is made of.

    Args:
        value: The gap; NaN where it is undefined.
        low: Lower end of its interval; may be minus infinity, NaN where the gap is undefined.
        high: Upper end; may be infinity.
        level: Level of the intervals.
        twin: Mean CRPS of the twin.
        floor: Expected mean CRPS of the measurement noise.
        baseline: Mean CRPS of the best baseline.
        baseline_name: Which baseline that is.
        baselines: Mean CRPS of every baseline that is defined on all the readings.
        left_out: Reason by name of the baselines that are not.
        difference: `twin` minus `baseline`, defined always; below 0 the twin is better.
        difference_low: Lower end of its interval.
        difference_high: Upper end.
        unit: What was taken for independent: "series" or "blocks of readings".
        units: How many of those there are.
        readings: Number of held-out readings.
        reason: Why the gap is undefined; empty if it is defined.
    """

    value: float
    low: float
    high: float
    level: float
    twin: float
    floor: float
    baseline: float
    baseline_name: str
    baselines: dict[str, float]
    left_out: dict[str, str]
    difference: float
    difference_low: float
    difference_high: float
    unit: str
    units: int
    readings: int
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether the baseline is worse than the noise floor, so that the ratio means something."""
        return not self.reason

    @property
    def bounded(self) -> bool:
        """Whether both ends of the interval are finite; not so where the baseline may be as good as the floor."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def measure_gap(
    scores: pd.DataFrame,
    baselines: Mapping[str, Float[np.ndarray, "reading"]],
    floor: Float[np.ndarray, "reading"],
    *,
    left_out: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> Gap:
    """Measure the gap over held-out readings; those of all folds may be stacked.

    Args:
        scores: The twin's scores, with columns experiment, subject, observable, time and crps
            (`score_readings`).
        baselines: CRPS of each baseline on the same rows, by name. One with NaN is left out.
        floor: Expected CRPS of the noise for the same rows (`Floor.score`).
        left_out: Reasons for baselines that are undefined and not among `baselines`.
        level: Level of the interval.

    Raises:
        ProblemError: No readings, no usable baseline, wrong lengths or scores that are not finite.
    """
    twin, floor = scores["crps"].to_numpy(dtype=float), np.asarray(floor, dtype=float)
    usable, reasons = _checked(twin, baselines, floor, left_out or {})
    means = {name: float(values.mean()) for name, values in usable.items()}
    best = min(means, key=lambda name: means[name])
    scatter = scatter_of_means(scores, np.stack([twin - floor, usable[best] - floor], axis=1))
    numerator, denominator = float((twin - floor).mean()), float((usable[best] - floor).mean())
    reason, value, low, high = "", math.nan, math.nan, math.nan
    if denominator <= 0.0:
        reason = (
            f"the {best} baseline scores {means[best]:.3g}, no worse than the noise floor of "
            f"{float(floor.mean()):.3g}: these readings leave no room between noise and a curve"
        )
    else:
        value = numerator / denominator
        low, high = ratio_interval(np.array([numerator, denominator]), scatter, level)
    contrast = np.array([1.0, -1.0])
    difference = float((twin - usable[best]).mean())
    difference_low, difference_high = mean_interval(
        difference, float(contrast @ scatter.covariance @ contrast), scatter.freedom, level
    )
    return Gap(
        value=value,
        low=low,
        high=high,
        level=level,
        twin=float(twin.mean()),
        floor=float(floor.mean()),
        baseline=means[best],
        baseline_name=best,
        baselines=means,
        left_out=reasons,
        difference=difference,
        difference_low=difference_low,
        difference_high=difference_high,
        unit=scatter.unit,
        units=scatter.units,
        readings=len(twin),
        reason=reason,
    )


def _checked(
    twin: Float[np.ndarray, "reading"],
    baselines: Mapping[str, Float[np.ndarray, "reading"]],
    floor: Float[np.ndarray, "reading"],
    left_out: Mapping[str, str],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The usable baselines and the reasons for the others; refuses what no gap can be measured from."""
    if not len(twin):
        raise ProblemError("there are no held-out readings to measure the gap on")
    for name, values in (("twin", twin), ("floor", floor), *baselines.items()):
        if np.shape(values) != twin.shape:
            raise ProblemError(f"{name!r} has {np.size(values)} scores for {len(twin)} readings")
    if not (np.all(np.isfinite(twin)) and np.all(np.isfinite(floor))):
        raise ProblemError("the scores of the twin or the floor are not finite")
    usable = {name: np.asarray(v, dtype=float) for name, v in baselines.items() if np.all(np.isfinite(v))}
    reasons = dict(left_out) | {name: "no score for some readings" for name in baselines if name not in usable}
    if not usable:
        raise ProblemError(
            "no baseline is defined on the held-out readings",
            where="; ".join(f"{name}: {why}" for name, why in reasons.items()) or None,
            expected="at least one of them",
        )
    return usable, reasons
