"""Local optimisation of many vectors at once, each with entries of its own that are held, or a term of its own.

The steps are those of a fit along the bounds (`trust_region`); a held entry has neither slope nor curvature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.optimise.along_bounds import promised, steps_along_bounds
from calibration.optimise.lanes import CONVERGED, RUNNING, Rules
from calibration.optimise.objective import Evaluation
from calibration.optimise.trust_region import LAST_RADIUS, TrustRegions, first_regions, region_step
from twin.progress import Progress

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
        tolerance: A start has converged when a step on which the radius has no say gains, or promises, less, or when no
            step gains more and one of the usual length promises less.
        line: Progress to update.
        fixed: Entries that each start keeps as they are; default none.
        extra: Adds to every evaluation a term that differs between starts; `at` has it already.
    """
    held = np.zeros(theta.shape, dtype=bool) if fixed is None else fixed
    rules = Rules(lower, upper, iterations, tolerance, retire=False)
    whole = Evaluation(*(np.array(x) for x in at))
    state = first_regions(theta, _without(whole, held))
    state = replace(
        state,
        inside=np.zeros(len(theta), dtype=bool),
        # Not finite where the integration fails: such starts do not run, but share the arrays.
        gradient=np.nan_to_num(state.gradient),
        curvature=np.nan_to_num(state.curvature),
    )
    for iteration in range(iterations - 1):
        active = np.flatnonzero(state.status == RUNNING)
        if not len(active):
            break
        seen: list[Evaluation] = []

        def trial(x: np.ndarray, active: np.ndarray = active, seen: list[Evaluation] = seen) -> Evaluation:
            new = evaluate(x) if extra is None else extra(evaluate(x), x, active)
            seen.append(new)
            return _without(new, held[active])

        before = state.rows(active)
        after = region_step(trial, before, rules)
        better = after.value < before.value
        for old, fresh in zip(whole, seen[0], strict=True):
            old[active[better]] = fresh[better]
        state = state.with_rows(active, after)
        running = int(np.sum(state.status == RUNNING))
        line.update(iteration + 1, f"{running} of {len(theta)} starts running, best {state.value.min():.4g}")
    return Run(state.theta, whole, state.evaluations, _converged(state, rules))


def _without(at: Evaluation, held: np.ndarray) -> Evaluation:
    """The evaluation in which nothing pulls at held entries."""
    curvature = np.where(held[:, :, None] | held[:, None, :], 0.0, at.curvature)
    np.einsum("spp->sp", curvature)[...] += held
    return at._replace(gradient=np.where(held, 0.0, at.gradient), curvature=curvature)


def _converged(state: TrustRegions, rules: Rules) -> Bool[np.ndarray, " start"]:
    """Those that ended by the tolerance, and those whose flat directions kept them from a step without a radius."""
    radius = np.full(len(state.value), LAST_RADIUS)
    step = steps_along_bounds(state.theta, state.gradient, state.curvature, radius, rules.lower, rules.upper)
    flat = promised(step.moved, state.gradient, state.curvature) < rules.tolerance
    return np.isfinite(state.value) & ((state.status == CONVERGED) | ((state.status != RUNNING) & flat))
