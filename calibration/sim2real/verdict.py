"""The verdict: what the gap says, in one label and plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

from calibration.sim2real.gap import Gap
from calibration.sim2real.replicates import tails

Label = Literal["better", "no better", "worse", "undefined"]
Calibration = Literal["about right", "too narrow", "too wide", "not judged"]

NAMES = {
    "mean": "the training mean",
    "persistence": "persistence",
    "spline": "a spline",
    "gaussian process": "a Gaussian process",
}
NOMINAL = 0.9
EACH_TAIL = 0.025
"""Probability of being called too narrow, and of being called too wide, where neither is so."""


@dataclass(frozen=True)
class Verdict:
    """What the held-out readings say about a twin.

    Args:
        label: "better" or "worse" than the best baseline if the interval of the gap excludes 1, "no better"
            if it does not, "undefined" where the baseline is no worse than the noise floor.
        sentence: The same in plain English, with the winning baseline, the numbers and their basis.
        calibration: Whether the 90 % intervals hold what they promise.
        remark: A sentence on that.
    """

    label: Label
    sentence: str
    calibration: Calibration
    remark: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.remark}".strip()


def judge(
    gap: Gap, coverage_90: float | None = None, replicates: Float[np.ndarray, " replicate"] | None = None
) -> Verdict:
    """Turn a gap, and the coverage of the 90 % intervals, into a verdict.

    Args:
        gap: Result of `measure_gap`.
        coverage_90: Mean of the ``coverage_90`` column of the same readings.
        replicates: What it would be for readings that the twin itself made (`replicated_coverage`).
    """
    label = _label(gap)
    calibration, remark = judge_coverage(coverage_90, gap.readings, replicates)
    return Verdict(label=label, sentence=_sentence(gap, label), calibration=calibration, remark=remark)


def judge_coverage(
    coverage: float | None, readings: int, replicates: Float[np.ndarray, " replicate"] | None = None
) -> tuple[Calibration, str]:
    """Compare the coverage of 90 % intervals with their promise.

    Given replicates, too narrow or too wide is a coverage beyond what 97.5 % of them have, so that a twin that is right
    is called either in at most 5 % of cases. Without, a Wilson 95 % interval takes readings for independent; those of a
    series are not, and it finds fault too often (``docs/benchmark.md``).
    """
    if coverage is None or readings < 1:
        return "not judged", ""
    inside = min(round(coverage * readings), readings)
    whole = abs(coverage * readings - inside) < 1e-6
    # A reading at a detection limit may lie inside in part: a rounded number would not fit its percentage.
    counts = f"{inside if whole else format(coverage * readings, '.1f')} of {readings} held-out readings"
    counts += (
        f" ({100 * coverage:.0f} %{'' if whole else '; those at a limit count in part'}) lie in the 90 % intervals"
    )
    if replicates is None:
        interval = binomtest(inside, readings).proportion_ci(0.95, method="wilson")
        narrow, wide = interval.high < NOMINAL, interval.low > NOMINAL
    else:
        low, high = tails(coverage, replicates)
        narrow, wide = low < EACH_TAIL, high < EACH_TAIL
        if narrow:
            counts += f", where replicates of its own have {100 * float(np.median(replicates)):.0f} %"
    if narrow:
        return "too narrow", f"Its uncertainty is too narrow: only {counts}."
    if wide:
        return "too wide", f"Its uncertainty is too wide: {counts}."
    few = ", though so few readings could hardly show a fault" if readings < 10 else ""
    return "about right", f"Its uncertainty is about right: {counts}{few}."


def _label(gap: Gap) -> Label:
    """The label by the interval of the gap."""
    if not gap.defined:
        return "undefined"
    if gap.high < 1.0:
        return "better"
    return "worse" if gap.low > 1.0 else "no better"


def _sentence(gap: Gap, label: Label) -> str:
    """The verdict with its numbers."""
    baseline = NAMES.get(gap.baseline_name, f"the {gap.baseline_name} baseline")
    if label == "undefined":
        side = "neither better nor worse than"
        if gap.difference_low > 0.0:
            side = "worse than"
        elif gap.difference_high < 0.0:
            side = "better than"
        return f"The gap is undefined: {gap.reason}. The twin ({gap.twin:.3g}) is {side} {baseline} there."
    basis = f"{gap.units} {gap.unit}"
    interval = f"{100 * gap.level:.0f} % interval {_end(gap.low)} to {_end(gap.high)}"
    numbers = f"(gap {gap.value:.2f}, {interval}, from {basis})"
    if label == "better":
        noise = "; as good as the measurement noise allows" if gap.low <= 0.0 else ""
        sentence = f"Better than any curve through the points{noise} {numbers}; the best of them was {baseline}."
    elif label == "worse":
        sentence = f"Worse than {baseline} {numbers}."
    else:
        sentence = f"No better than {baseline} {numbers}: the interval includes 1."
    if not gap.bounded:
        sentence += f" So few readings cannot tell {baseline} from the noise floor, so the interval is unbounded."
    return sentence


def _end(value: float) -> str:
    """An end of the interval in words."""
    if value in (float("inf"), float("-inf")):
        return "unbounded"
    return f"{value:.2f}"
