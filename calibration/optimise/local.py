"""Local optimisation of many vectors at once, each with entries of its own that are held, or a surface of its own.

The steps are those of a fit along the bounds (`trust_region`); a held entry has neither slope nor curvature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.optimise.along_bounds import promised, steps_along_bounds
from calibration.optimise.lanes import CONVERGED, RUNNING, Rules
from calibration.optimise.objective import Evaluation, Look, RegionObjective
from calibration.optimise.trust_region import LAST_RADIUS, Same, Surface, TrustRegions, first_regions, region_step
from twin.progress import Progress


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
    objective: RegionObjective,
    theta: Float[np.ndarray, "start parameter"],
    at: Evaluation,
    lower: Float[np.ndarray, " parameter"],
    upper: Float[np.ndarray, " parameter"],
    *,
    iterations: int,
    tolerance: float,
    line: Progress,
    fixed: Bool[np.ndarray, "start parameter"] | None = None,
    own: Surface | None = None,
) -> Run:
    """Minimise from every start.

    Args:
        objective: The objective.
        theta: Starts, inside the bounds.
        at: Evaluation at the starts.
        lower: Lower bounds.
        upper: Upper bounds.
        iterations: Most evaluations per start.
        tolerance: A start has converged when a step on which the radius has no say gains, or promises, less, or when no
            step gains more and one of the usual length promises less.
        line: Progress to update.
        fixed: Entries that each start keeps as they are; default none.
        own: What each start minimises, if not the objective; `at` is an evaluation of it.
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
    surface = _Held(Same(objective) if own is None else own, held)
    for iteration in range(iterations - 1):
        active = np.flatnonzero(state.status == RUNNING)
        if not len(active):
            break
        before = state.rows(active)
        surface.begin(active)
        after = region_step(surface, before, rules)
        better = after.value < before.value
        if surface.evaluated is not None:
            starts, at_ends = surface.evaluated
            for old, fresh in zip(whole, at_ends, strict=True):
                old[active[starts[better[starts]]]] = fresh[better[starts]]
        state = state.with_rows(active, after)
        running = int(np.sum(state.status == RUNNING))
        line.update(iteration + 1, f"{running} of {len(theta)} starts running, best {state.value.min():.4g}")
    return Run(state.theta, whole, state.evaluations, _converged(state, rules))


class _Held:
    """The surface on which each start holds entries of its own; those that still run are numbered anew.

    Args:
        surface: What the starts minimise.
        held: Entries that each start keeps as they are.

    Attributes:
        evaluated: Starts whose steps were evaluated in this iteration, with what pulls at held entries, if any was.
    """

    def __init__(self, surface: Surface, held: np.ndarray) -> None:
        self.surface, self.held = surface, held
        self.evaluated: tuple[np.ndarray, Evaluation] | None = None

    def begin(self, active: Int[np.ndarray, " start"]) -> None:
        """A new iteration, of these starts."""
        self._active, self.evaluated = active, None

    def look(self, thetas: np.ndarray, starts: np.ndarray) -> Look:
        return self.surface.look(thetas, self._active[starts])

    def evaluate(self, thetas: np.ndarray, starts: np.ndarray) -> Evaluation:
        at = self.surface.evaluate(thetas, self._active[starts])
        self.evaluated = starts, at
        return _without(at, self.held[self._active[starts]])


def _without(at: Evaluation, held: np.ndarray) -> Evaluation:
    """The evaluation in which nothing pulls at held entries."""
    curvature = np.where(held[:, :, None] | held[:, None, :], 0.0, at.curvature)
    np.einsum("spp->sp", curvature)[...] += held
    slopes = np.where(held[:, None, :], np.float32(0.0), at.slopes)
    return at._replace(gradient=np.where(held, 0.0, at.gradient), curvature=curvature, slopes=slopes)


def _converged(state: TrustRegions, rules: Rules) -> Bool[np.ndarray, " start"]:
    """Those that ended by the tolerance, and those whose flat directions kept them from a step without a radius."""
    radius = np.full(len(state.value), LAST_RADIUS)
    step = steps_along_bounds(state.theta, state.gradient, state.curvature, radius, rules.lower, rules.upper)
    flat = promised(step.moved, state.gradient, state.curvature) < rules.tolerance
    return np.isfinite(state.value) & ((state.status == CONVERGED) | ((state.status != RUNNING) & flat))
