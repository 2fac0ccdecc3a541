"""Fisher scoring with Levenberg-Marquardt damping inside bounds, all starts side by side.

Every iteration evaluates the trial points of all running starts in one batched call, with gradient and curvature, so
that an accepted trial needs no second evaluation. At a bound, components whose gradient points outward are held (an
active set); the damped system is solved for the others.

References:
    Levenberg, Q. Appl. Math. 2:164-168 (1944); Marquardt, SIAM J. Appl. Math. 11:431-441 (1963); damping update of
    Nielsen, IMM-REP-1999-05, Technical University of Denmark (1999).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.optimise.objective import Evaluation
from twin.progress import Progress

LARGEST_DAMPING = 1e12
TRUSTED_DAMPING = 1.0
PATIENCE = 20
"""A start stops after this many steps in a row that gain less than the tolerance, converged or not."""

type Extra = Callable[[Evaluation, np.ndarray, np.ndarray], Evaluation]
"""From an evaluation, its vectors and the starts that they belong to, to the evaluation with a further term."""


@dataclass
class Run:
    """Where all starts stand.

    Args:
        theta: Best point of each start so far.
        at: Evaluation there.
        iterations: Evaluations used by each start.
        converged: Whether each start met the tolerance.
    """

    theta: Float[np.ndarray, "start parameter"]
    at: Evaluation
    iterations: Int[np.ndarray, " start"]
    converged: Bool[np.ndarray, " start"]


def minimise(
    evaluate: Callable[[np.ndarray], Evaluation],
    theta: Float[np.ndarray, "start parameter"],
    at: Evaluation,
    lower: Float[np.ndarray, " parameter"],
    upper: Float[np.ndarray, " parameter"],
    *,
    iterations: int,
    tolerance: float,
    line: Progress,
    fixed: Bool[np.ndarray, "start parameter"] | None = None,
    extra: Extra | None = None,
) -> Run:
    """Minimise from every start.

    Args:
        evaluate: Objective with derivatives for many vectors.
        theta: Starts, inside the bounds.
        at: Evaluation at the starts.
        lower: Lower bounds.
        upper: Upper bounds.
        iterations: Most evaluations per start.
        tolerance: A start has converged when a step of little damping lowers the objective by less, or when no step
            lowers it and the last one of little damping promised less.
        line: Progress to update.
        fixed: Entries that each start keeps as they are; default none.
        extra: Adds to every evaluation a term that differs between starts; `at` has it already.
    """
    starts = len(theta)
    fixed = np.zeros(theta.shape, dtype=bool) if fixed is None else fixed
    promised, idle = np.full(starts, np.inf), np.zeros(starts, dtype=int)
    damping, growth = np.full(starts, 1e-2), np.full(starts, 2.0)
    run = Run(theta.copy(), at, np.ones(starts, dtype=int), np.zeros(starts, dtype=bool))
    running = np.isfinite(at.value)
    for iteration in range(iterations):
        active = np.flatnonzero(running)
        if not len(active):
            break
        trial, predicted = _steps(run, active, damping, lower, upper, fixed[active])
        # A heavily damped step promises little anywhere: it says nothing about convergence.
        trusted = damping[active] <= TRUSTED_DAMPING
        promised[active] = np.where(trusted, predicted, promised[active])
        new = evaluate(trial) if extra is None else extra(evaluate(trial), trial, active)
        gain = run.at.value[active] - new.value
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(predicted > 0, gain / predicted, np.where(gain >= 0, 1.0, -1.0))
        better = np.isfinite(new.value) & (gain >= 0) & np.isfinite(ratio)
        _accept(run, active, better, trial, new)
        shrink = np.maximum(1 / 3, 1 - (2 * np.clip(ratio, 0, 2) - 1) ** 3)
        damping[active] = np.where(better, damping[active] * shrink, damping[active] * growth[active])
        growth[active] = np.where(better, 2.0, 2 * growth[active])
        damping[active] = np.maximum(damping[active], 1e-12)
        run.iterations[active] += 1
        small = trusted & ((better & (gain < tolerance) & (ratio > 0.25)) | (predicted < 1e-3 * tolerance))
        idle[active] = np.where(better & (gain >= tolerance), 0, idle[active] + 1)
        stuck = (damping[active] >= LARGEST_DAMPING) | (idle[active] >= PATIENCE)
        run.converged[active] |= small | (stuck & (promised[active] < tolerance))
        running[active] = ~small & ~stuck
        line.update(iteration + 1, f"{int(running.sum())} of {starts} starts running, best {run.at.value.min():.4g}")
    return run


def _steps(
    run: Run, active: np.ndarray, damping: np.ndarray, lower: np.ndarray, upper: np.ndarray, fixed: np.ndarray
) -> tuple[Float[np.ndarray, "active parameter"], Float[np.ndarray, " active"]]:
    """Damped steps inside the bounds, and the decrease that the quadratic model predicts for them."""
    theta, gradient, curvature = run.theta[active], run.at.gradient[active], run.at.curvature[active]
    held = ((theta <= lower) & (gradient > 0)) | ((theta >= upper) & (gradient < 0))
    free = ~(held | fixed)
    diagonal = np.einsum("spp->sp", curvature)
    scale = np.maximum(diagonal, 1e-8 * np.maximum(diagonal.max(axis=1, keepdims=True), 1e-8))
    damped = damping[active, None] * scale
    moved = np.zeros_like(theta)
    # A step that leaves the bounds is not merely cut off: the rest of it would go where the whole step wanted it to.
    # Those that leave are put on their bound and the rest is solved for anew; each round puts at least one there.
    for _ in range(theta.shape[1] + 1):
        both = free[:, :, None] & free[:, None, :]
        matrix = np.where(both, curvature, 0.0)
        np.einsum("spp->sp", matrix)[...] += np.where(free, damped, 1.0)
        slope = gradient + np.einsum("spq,sq->sp", curvature, np.where(free, 0.0, moved))
        step = -np.linalg.solve(matrix, np.where(free, slope, 0.0)[..., None])[..., 0]
        moved = np.where(free, step, moved)
        leaves = free & ((theta + moved < lower) | (theta + moved > upper))
        if not leaves.any():
            break
        moved = np.where(leaves, np.clip(theta + moved, lower, upper) - theta, moved)
        free &= ~leaves
    trial = np.clip(theta + moved, lower, upper)
    moved = trial - theta
    predicted = -np.einsum("sp,sp->s", gradient, moved)
    predicted -= 0.5 * np.einsum("sp,spq,sq->s", moved, curvature, moved)
    return trial, predicted


def _accept(run: Run, active: np.ndarray, better: np.ndarray, trial: np.ndarray, new: Evaluation) -> None:
    run.theta[active[better]] = trial[better]
    for old, fresh in zip(run.at, new, strict=True):
        old[active[better]] = fresh[better]
