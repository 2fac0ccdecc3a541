"""The verdict: what the gap says, in one label and plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

from calibration.sim2real.gap import Gap

Label = Literal["better", "no better", "worse", "undefined"]
Calibration = Literal["about right", "too narrow", "too wide", "not judged"]

NAMES = {
    "mean": "the training mean",
    "persistence": "persistence",
    "spline": "a spline",
    "gaussian process": "a Gaussian process",
}
NOMINAL = 0.9


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


def judge(gap: Gap, coverage_90: float | None = None) -> Verdict:
    """Turn a gap, and the coverage of the 90 % intervals, into a verdict.

    Args:
        gap: Result of `measure_gap`.
        coverage_90: Mean of the ``coverage_90`` column of the same readings.
    """
    label = _label(gap)
    calibration, remark = judge_coverage(coverage_90, gap.readings)
    return Verdict(label=label, sentence=_sentence(gap, label), calibration=calibration, remark=remark)


def judge_coverage(coverage: float | None, readings: int) -> tuple[Calibration, str]:
    """Compare the coverage of 90 % intervals with their promise, by a Wilson 95 % interval.

    The readings of a series hang together, so the test is too eager to find a fault; the sentence gives the
    counts.
    """
    if coverage is None or readings < 1:
        return "not judged", ""
    inside = min(round(coverage * readings), readings)
    interval = binomtest(inside, readings).proportion_ci(0.95, method="wilson")
    counts = f"{inside} of {readings} held-out readings ({100 * coverage:.0f} %) lie in the 90 % intervals"
    if interval.high < NOMINAL:
        return "too narrow", f"Its uncertainty is too narrow: only {counts}."
    if interval.low > NOMINAL:
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
