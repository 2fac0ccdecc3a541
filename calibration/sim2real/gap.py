"""The gap: how far a twin is from held-out reality, between the noise floor (0) and the best baseline (1).

    gap = (S_twin - S_floor) / (S_baseline - S_floor),     S the mean held-out CRPS on the score scale.

0 is as good as the measurement noise allows, 1 no better than the best curve through the points, above 1
worse.

The interval is a percentile bootstrap of the ratio. Whole series (experiment, subject) are resampled when
there are at least three; otherwise blocks of neighbouring held-out readings. The baseline is the one that is
best on all readings in every resample: to choose anew would compare the twin with a composite that nobody can
fit. In a resample where the baseline is no worse than the floor the ratio means nothing; such a resample
counts as plus infinity if the twin is worse than the baseline there and minus infinity if it is better. That
keeps "gap < 1" and "twin better than baseline" the same statement in every resample, and the interval is
honestly unbounded if it happens often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from calibration.sim2real.scale import SERIES
from twin.errors import ProblemError

MIN_CLUSTERS = 3
CLUSTERED = "series"
BLOCKED = "blocks of readings"


@dataclass(frozen=True)
class Gap:
    """The headline number with what it is made of.

    Args:
        value: The gap; NaN where it is undefined.
        low: Lower end of its bootstrap interval; may be minus infinity, NaN where the gap is undefined.
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
        resampled: What was resampled: "series" or "blocks of readings".
        clusters: How many of those there are.
        readings: Number of held-out readings.
        unbounded: Share of resamples in which the baseline was no worse than the floor.
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
    resampled: str
    clusters: int
    readings: int
    unbounded: float
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether the baseline is worse than the noise floor, so that the ratio means something."""
        return not self.reason


def measure_gap(
    scores: pd.DataFrame,
    baselines: Mapping[str, Float[np.ndarray, "reading"]],
    floor: Float[np.ndarray, "reading"],
    *,
    left_out: Mapping[str, str] | None = None,
    resamples: int = 4000,
    level: float = 0.95,
    seed: int = 0,
) -> Gap:
    """Measure the gap over held-out readings; those of all folds may be stacked.

    Args:
        scores: The twin's scores, with columns experiment, subject, observable, time and crps
            (`score_readings`).
        baselines: CRPS of each baseline on the same rows, by name. One with NaN is left out.
        floor: Expected CRPS of the noise for the same rows (`Floor.score`).
        left_out: Reasons for baselines that are undefined and not among `baselines`.
        resamples: Bootstrap resamples.
        level: Level of the interval.
        seed: Seed of the bootstrap.

    Raises:
        ProblemError: No readings, no usable baseline, wrong lengths or scores that are not finite.
    """
    twin, floor = scores["crps"].to_numpy(dtype=float), np.asarray(floor, dtype=float)
    usable, reasons = _checked(twin, baselines, floor, left_out or {})
    means = {name: float(values.mean()) for name, values in usable.items()}
    best = min(means, key=lambda name: means[name])
    counts, resampled, clusters = resample_counts(scores, resamples, np.random.default_rng(seed))
    weights = counts / counts.sum(axis=1, keepdims=True)
    above, span = weights @ (twin - floor), weights @ (usable[best] - floor)
    difference = weights @ (twin - usable[best])
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    difference_low, difference_high = np.quantile(difference, tails)
    numerator, denominator = float((twin - floor).mean()), float((usable[best] - floor).mean())
    reason, value, low, high = "", math.nan, math.nan, math.nan
    if denominator <= 0.0:
        reason = (
            f"the {best} baseline scores {means[best]:.3g}, no worse than the noise floor of "
            f"{float(floor.mean()):.3g}: these readings leave no room between noise and a curve"
        )
    else:
        value = numerator / denominator
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(span > 0.0, above / span, np.where(difference >= 0.0, np.inf, -np.inf))
        # Quantiles that are elements of the sample: interpolation would mix infinities into NaN.
        low = float(np.quantile(ratios, tails[0], method="lower"))
        high = float(np.quantile(ratios, tails[1], method="higher"))
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
        difference=float((twin - usable[best]).mean()),
        difference_low=float(difference_low),
        difference_high=float(difference_high),
        resampled=resampled,
        clusters=clusters,
        readings=len(twin),
        unbounded=float(np.mean(span <= 0.0)),
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


def resample_counts(
    rows: pd.DataFrame, resamples: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "resample reading"], str, int]:
    """How often each reading occurs in each bootstrap resample.

    Series are drawn with replacement when there are three or more. Otherwise the readings of each series and
    observable, in time order, are drawn in circular blocks of length ceil(n^(1/3)) (Politis, Romano 1992, in
    LePage, Billard, Exploring the Limits of Bootstrap, pp. 263-270; the rate is that of Hall, Horowitz, Jing
    1995, doi:10.1093/biomet/82.3.561).

    Args:
        rows: Table with columns experiment, subject, observable, time.
        resamples: Number of resamples.
        rng: Generator; consumed.

    Returns:
        The counts, what was resampled, and how many units of it there are.
    """
    series = rows.groupby(list(SERIES), sort=True).ngroup().to_numpy()
    clusters = int(series.max()) + 1
    if clusters >= MIN_CLUSTERS:
        drawn = rng.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=resamples)
        return drawn[:, series], CLUSTERED, clusters
    counts = np.zeros((resamples, len(rows)), dtype=np.int64)
    blocks = 0
    numbered = rows.reset_index(drop=True).sort_values("time", kind="stable")
    for _, group in numbered.groupby([*SERIES, "observable"], sort=True):
        where = group.index.to_numpy()
        n = len(where)
        length = math.ceil(n ** (1.0 / 3.0) - 1e-9)
        needed = math.ceil(n / length)
        starts = rng.integers(n, size=(resamples, needed))
        positions = (starts[:, :, None] + np.arange(length)).reshape(resamples, -1)[:, :n] % n
        np.add.at(counts, (np.arange(resamples)[:, None], where[positions]), 1)
        blocks += needed
    return counts, BLOCKED, blocks
