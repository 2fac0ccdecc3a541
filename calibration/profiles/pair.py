"""The profile likelihood over the plane of two parameters, on a grid."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from calibration.optimise.fit import Fit
from calibration.optimise.local import minimise
from calibration.optimise.objective import Objective
from calibration.problem import Problem
from calibration.profiles.elimination import along_entry
from calibration.profiles.likelihood import ITERATIONS, TOLERANCE, Walks, check_names, warn_of_better
from calibration.profiles.reference import BETTER, Reference, check_level, find_reference, threshold_of
from calibration.profiles.walk import Point, walk
from twin.errors import ProblemError
from twin.precision import in_float64
from twin.progress import Progress, progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from twin.study import Scale

SWEEPS = 8
"""Most rounds in which cells start anew from a neighbour's optimum."""
UNDERCUT = 1e-3


@dataclass(frozen=True, repr=False)
class PairProfile:
    """-2 log L over two parameters, all others optimised; estimation scale.

    Args:
        names: The two entries.
        entries: All entries of the vector.
        scales: Estimation scales of the two.
        a: Grid of the first.
        b: Grid of the second.
        rise: Rise of -2 log L above the optimum; NaN where the integration failed.
        theta: Vector in every cell.
        optimum: Where the fit lies.
        level: Confidence level of the region.
        threshold: Rise at its edge: the quantile of the chi-squared distribution with two degrees of freedom.
        better: A vector with a lower objective than the fit's, from which rises count then; None if the fit stood.
        seconds: Wall time.
    """

    names: tuple[str, str]
    entries: tuple[str, ...]
    scales: tuple[Scale, Scale]
    a: Float[np.ndarray, " a"]
    b: Float[np.ndarray, " b"]
    rise: Float[np.ndarray, "a b"]
    theta: Float[np.ndarray, "a b parameter"]
    optimum: tuple[float, float]
    level: float
    threshold: float
    better: Float[np.ndarray, " parameter"] | None
    seconds: float

    def to_dataset(self) -> xr.Dataset:
        """The grid with its vectors, estimation scale."""
        first, second = self.names
        return xr.Dataset(
            {"rise": ((first, second), self.rise), "theta": ((first, second, "entry"), self.theta)},
            {first: self.a, second: self.b, "entry": list(self.entries)},
            {"level": self.level, "threshold": self.threshold},
        )

    def table(self) -> pd.DataFrame:
        """One row per cell: both values (estimation scale), rise, and whether it lies in the region."""
        a, b = np.meshgrid(self.a, self.b, indexing="ij")
        rise = self.rise.ravel()
        columns = {self.names[0]: a.ravel(), self.names[1]: b.ravel(), "rise": rise}
        return pd.DataFrame({**columns, "inside": rise <= self.threshold})

    def plot(self) -> Figure:
        """The plane as filled contours, with the edge of the confidence region."""
        from calibration.profiles.figure import draw_pair

        return draw_pair(self)

    def __repr__(self) -> str:
        share = float(np.mean(self.rise <= self.threshold))
        return (
            f"PairProfile({self.names[0]} x {self.names[1]}: {len(self.a)} x {len(self.b)} cells, "
            f"{100 * share:.0f} % of them in the {100 * self.level:g} % region)"
        )


@in_float64
def profile_pair(
    problem: Problem,
    fit: Fit | Float[np.ndarray, " parameter"],
    names: tuple[str, str],
    *,
    level: float = 0.95,
    points: int = 21,
    with_prior: bool = False,
    quiet: bool = False,
) -> PairProfile:
    """Profile the likelihood over two parameters at once.

    The grid reaches as far as each parameter's own profile does at the threshold of two degrees of freedom, which the
    region cannot leave, or to the bounds. Every cell starts from the tangent at the optimum; then cells whose neighbour
    offers a lower start are optimised again, until none is.

    Args:
        problem: What was fitted.
        fit: Result of `calibration.fit`, or a vector at an optimum, estimation scale.
        names: The two entries.
        level: Confidence level of the joint region.
        points: Points along each axis.
        with_prior: Whether the log-prior is added to the log-likelihood.
        quiet: Show no progress.

    Raises:
        ProblemError: unknown names, one name twice, fewer than 3 points, or a level outside (0, 1).

    Example:
        >>> calibration.profile_pair(problem, fit, ("beta", "p")).plot().savefig("pair.png")
    """
    begin = time.perf_counter()
    check_level(level)
    indices = check_names(problem, names)
    if len(indices) != 2:
        raise ProblemError(f"{len(indices)} names are given", where="profile_pair", expected="two")
    if points < 3:
        raise ProblemError(f"points is {points}", where="profile_pair", expected="at least 3")
    threshold = threshold_of(level, freedom=2)
    objective = Objective(problem, with_prior=with_prior)
    reference = find_reference(problem, objective, fit)
    with progress(f"profiling {names[0]} x {names[1]}", SWEEPS + 1, quiet) as line:
        walks = Walks(problem, objective, reference, indices)
        walk(walks.lanes, walks.solve, threshold, 60, Progress("", 1, quiet=True))
        reached = [[lane.points[-1].position for lane in walks.lanes[2 * k : 2 * k + 2]] for k in (0, 1)]
        axes = [np.linspace(*ends, points) for ends in reached]
        theta, value = _fill(problem, objective, reference, indices, axes, line)
    cell = np.unravel_index(int(np.argmin(value)), value.shape)
    lowest = Point(np.nan, float(value[cell]), 0.0, 0.0, theta[cell], True)
    better = lowest if lowest.value < reference.value - BETTER else None
    warn_of_better(problem, reference, better, with_prior or not problem.prior.precision.any())
    rise = 2.0 * (value - min(reference.value, lowest.value))
    return PairProfile(
        names=(problem.names[indices[0]], problem.names[indices[1]]),
        entries=problem.names,
        scales=tuple(problem.parameters.entries[i].scale for i in indices),
        a=axes[0],
        b=axes[1],
        rise=np.where(np.isfinite(rise), rise, np.nan),
        theta=theta,
        optimum=(float(reference.theta[indices[0]]), float(reference.theta[indices[1]])),
        level=level,
        threshold=threshold,
        better=None if better is None else better.theta,
        seconds=time.perf_counter() - begin,
    )


def _fill(
    problem: Problem,
    objective: Objective,
    reference: Reference,
    indices: list[int],
    axes: list[np.ndarray],
    line: Progress,
) -> tuple[Float[np.ndarray, "a b parameter"], Float[np.ndarray, "a b"]]:
    """Optima of all cells."""
    a, b = np.meshgrid(*axes, indexing="ij")
    cells = np.stack([a.ravel(), b.ravel()], axis=1)
    free = (reference.theta > problem.lower) & (reference.theta < problem.upper)
    theta = np.repeat(reference.theta[None], len(cells), axis=0)
    for place, index in enumerate(indices):
        # The partner is held, too: it must not follow.
        held = free & (np.arange(len(free)) != indices[1 - place])
        tangent, _ = along_entry(reference.curvature, index, held)
        theta += (cells[:, place] - reference.theta[index])[:, None] * tangent
    value = np.full(len(cells), np.inf)

    def optimise(rows: np.ndarray, guesses: np.ndarray) -> None:
        start = np.clip(guesses, problem.lower, problem.upper)
        start[:, indices] = cells[rows]
        fixed = np.zeros(start.shape, dtype=bool)
        fixed[:, indices] = True
        quiet = Progress("", 1, quiet=True)
        run = minimise(
            objective, start, objective(start), problem.lower, problem.upper,
            iterations=ITERATIONS, tolerance=TOLERANCE, line=quiet, fixed=fixed,
        )  # fmt: skip
        lower = run.at.value < value[rows]
        theta[rows[lower]], value[rows[lower]] = run.theta[lower], run.at.value[lower]

    optimise(np.arange(len(cells)), theta.copy())
    shape = a.shape
    for sweep in range(SWEEPS):
        line.update(sweep + 1)
        rows, guesses = _neighbours(objective, theta, value, cells, indices, shape)
        if not len(rows):
            break
        optimise(rows, guesses)
    return theta.reshape(*shape, -1), value.reshape(shape)


def _neighbours(
    objective: Objective,
    theta: np.ndarray,
    value: np.ndarray,
    cells: np.ndarray,
    indices: list[int],
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Cells for which the optimum of a neighbour, moved into the cell, is already lower, with that start."""
    number = np.arange(len(cells)).reshape(shape)
    best_value, best_start = value.copy(), theta.copy()
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
        other = np.roll(number, shift, axis=axis)
        edge = np.zeros(shape, dtype=bool)
        edge[(slice(None),) * axis + ((0 if shift == 1 else -1),)] = True
        rows, sources = number[~edge], other[~edge]
        rows, sources = rows[np.isfinite(value[sources])], sources[np.isfinite(value[sources])]
        start = theta[sources]
        start[:, indices] = cells[rows]
        found = objective(start).value if len(rows) else np.zeros(0)
        lower = found < best_value[rows] - UNDERCUT
        best_value[rows[lower]], best_start[rows[lower]] = found[lower], start[lower]
    changed = np.flatnonzero(best_value < value)
    return changed, best_start[changed]
