"""What a step of Rodas5P costs at the very least, and how fast the device could do it: the floor of a run time.

Counted are the operations that the mathematics asks for, each as one (a division and an exponential too), with the
sparsity of the Jacobian exploited; and the memory traffic of a step that reads what it starts from once, writes what
it ends with once and keeps everything between in registers. A program that does nothing else, at the peak rates of the
data sheet, takes

    steps * max(operations / rate, bytes / bandwidth)

for one trajectory. No program reaches it: control of the step size, samples, lanes that wait for others and everything
spilled to memory are on top. How far a run is from it says how much there is to gain at most.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sympy as sp

import twin
from twin.errors import SimulationError, TwinWarning

STAGES = 8
"""Stages of Rodas5P."""
TERMS = 17 + 28
"""Products in the sums of its stages: coefficients of A and of C that are not zero."""
AROUND = 10
"""Operations per state for the right-hand sides' scaling by 1/h, the error norm and the new state."""
CONTROL = 4
"""Numbers per lane that steer it: time, step, segment and status."""


@dataclass(frozen=True)
class StepCost:
    """Work of one step of one trajectory.

    Attributes:
        operations: In float64.
        bytes: Read and written.
    """

    operations: int
    bytes: int


@dataclass(frozen=True)
class Peak:
    """Rates of a device by its data sheet.

    Attributes:
        operations: Float64 operations per second, vector units (not tensor cores).
        bandwidth: Bytes per second.
        source: Where they stand.
    """

    operations: float
    bandwidth: float
    source: str


_H100 = "NVIDIA H100 Tensor Core GPU data sheet"
_A100 = "NVIDIA A100 Tensor Core GPU data sheet, June 2021"
PEAKS = {
    "H100 PCIe": Peak(26e12, 2.0e12, _H100 + ", 2022: PCIe"),
    "H100 NVL": Peak(30e12, 3.9e12, _H100 + ": NVL"),
    "H100": Peak(34e12, 3.35e12, _H100 + ": SXM"),
    "H200 NVL": Peak(30e12, 4.8e12, "NVIDIA H200 Tensor Core GPU data sheet: NVL"),
    "H200": Peak(34e12, 4.8e12, "NVIDIA H200 Tensor Core GPU data sheet: SXM"),
    "A100-SXM4-80GB": Peak(9.7e12, 2.039e12, _A100),
    "A100 80GB": Peak(9.7e12, 1.935e12, _A100),
    "A100": Peak(9.7e12, 1.555e12, "NVIDIA A100 Tensor Core GPU Architecture, 2020, table 1: 40 GB"),
    # The data sheet has float32 only; Ada computes float64 at 1/64 of that rate.
    "L4": Peak(30.3e12 / 64, 300e9, "NVIDIA L4 data sheet, 2023; NVIDIA Ada GPU Architecture, 2022: 1/64 of float32"),
}
"""By what the name of the device contains; the first that fits counts."""


def peak_of(device_kind: str) -> Peak | None:
    """Rates of a device by its name as JAX gives it; None if the table lacks it (every CPU)."""
    words = set(device_kind.replace("-", " ").split())
    fitting = (peak for name, peak in PEAKS.items() if set(name.replace("-", " ").split()) <= words)
    return next(fitting, None)


def step_cost(model: twin.Model) -> StepCost:
    """Least work of a step of Rodas5P for a model."""
    states = [model.symbol(name) for name in model.state_names]
    size, slopes = len(states), list(model.rhs)
    jacobian = {(i, j): slope.diff(state) for i, slope in enumerate(slopes) for j, state in enumerate(states)}
    jacobian = {place: entry for place, entry in jacobian.items() if entry != 0}
    field = operations_of(slopes)
    once = operations_of([*slopes, *jacobian.values()])
    factorise, solve = elimination_operations(size, jacobian)
    operations = once + (STAGES - 1) * field + factorise + STAGES * solve + size * (2 * TERMS + AROUND)
    return StepCost(operations, 8 * (2 * size + len(model.parameter_names) + 2 * CONTROL))


def operations_of(expressions: Iterable[sp.Expr]) -> int:
    """Operations that evaluate formulas, what they share computed once."""
    shared, left = sp.cse(list(expressions))
    return int(sum(sp.count_ops(part) for part in (*(formula for _, formula in shared), *left)))


def elimination_operations(size: int, pattern: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Operations of an LU factorisation without pivoting, and of one solve with its factors.

    Pivots come in Markowitz's order: the one that fills in least comes first.
    """
    filled = {*pattern, *((i, i) for i in range(size))}
    left, factorise, entries = set(range(size)), 0, 0
    while left:
        below = {k: [i for i in left if i != k and (i, k) in filled] for k in left}
        right = {k: [j for j in left if j != k and (k, j) in filled] for k in left}
        best = min(left, key=lambda k: (len(below[k]) * len(right[k]), k))
        filled |= {(i, j) for i in below[best] for j in right[best]}
        factorise += 1 + len(below[best]) + 2 * len(below[best]) * len(right[best])
        entries += len(below[best]) + len(right[best])
        left.remove(best)
    return factorise, 2 * entries + size


def floor_seconds(cost: StepCost, steps: float, trajectories: int, peak: Peak) -> float:
    """Seconds that a device would need at its peak rates."""
    return trajectories * steps * max(cost.operations / peak.operations, cost.bytes / peak.bandwidth)


def median_steps(finished: Callable[[int], float], most: int, exactness: float = 0.05) -> float:
    """Attempts at a step that half of the trajectories need, found by halving an interval.

    Args:
        finished: The share of trajectories that end within a number of attempts.
        most: Attempts within which at least half end.
        exactness: Relative.
    """
    low, high = 1.0, float(most)
    while high > (1 + exactness) * low and high - low > 1:
        middle = round((low * high) ** 0.5)
        low, high = (low, middle) if finished(middle) >= 0.5 else (middle, high)
    return high


def share_finished(simulate: Callable[[int], object], draws: int) -> Callable[[int], float]:
    """For `median_steps`: the share of draws that `simulate`, given a limit of steps, does not report as failed."""

    def share(limit: int) -> float:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TwinWarning)
                return 1.0 - simulate(limit).attrs["failed"] / draws  # type: ignore[attr-defined]
        except SimulationError:
            return 0.0

    return share
