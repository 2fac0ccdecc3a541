"""Multi-start fitting: many starts, one batched program, the best optimum and how often it was found."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from calibration.optimise.checkpoint import Checkpoint, Progressed
from calibration.optimise.hops import hopped
from calibration.optimise.lanes import CONVERGED, HOPPED, OUTCOMES, Rules, State, iterate
from calibration.optimise.lbfgs import Memories, first_memories, memory_step
from calibration.optimise.objective import Evaluation, FitObjective, GradientObjective, Objective
from calibration.optimise.plateaus import walked
from calibration.optimise.polish import polish, tighter
from calibration.optimise.result import Fit
from calibration.optimise.starts import draw_starts, given_starts, strictly_inside
from calibration.optimise.trust_region import Same, TrustRegions, first_regions, region_step
from calibration.problem import Problem
from twin.errors import ProblemError, SimulationError, TwinWarning, suggestion
from twin.precision import in_float64
from twin.progress import Progress, progress

__all__ = ["Fit", "fit"]

METHODS = ("auto", "fisher", "l-bfgs")
REDRAWS = 10
MOST_BY_SENSITIVITIES = 150
"""Entries of the vector up to which "auto" takes Fisher scoring."""

KINDS: dict[str, type[State]] = {"fisher": TrustRegions, "l-bfgs": Memories}


@in_float64
def fit(
    problem: Problem,
    starts: int = 100,
    seed: int = 0,
    *,
    method: str = "auto",
    sampling: str | np.ndarray = "latin-hypercube",
    iterations: int = 1000,
    tolerance: float = 1e-4,
    retire: bool = True,
    hop: bool = True,
    inner: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    extend: Fit | None = None,
    quiet: bool = False,
) -> Fit:
    """Maximise the posterior density of a problem from many starting points.

    Ctrl-C ends the fit with what it has. For the same arguments the result is the same, also after interruptions with
    a `checkpoint`.

    Args:
        problem: What to fit.
        starts: Number of starting points; with `extend`, of all together.
        seed: Seed of the starting points.
        method: "fisher" (trust regions with the Fisher information), "l-bfgs" (gradients alone), or "auto": the latter
            for more than 150 estimated numbers.
        sampling: "latin-hypercube", "sobol" or "prior" (independent draws), all through the priors; or the starting
            vectors themselves, [start, parameter] on the estimation scale, and `starts` does not count.
        iterations: Most evaluations per start, before those near the best one are polished.
        tolerance: Decrease of the objective below which a start has converged.
        retire: End starts early that have no prospect of reaching the best one.
        hop: Look for better optima from the best one, and from those that several starts share, by putting parameters
            elsewhere ("fisher" alone).
        inner: Optimise scalings, offsets and noise scales inside, for every vector of the other parameters.
        checkpoint: A file that is kept up to date, from which the same call goes on after an interruption.
        extend: An earlier fit of this problem, to which starts are added.
        quiet: Show no progress.

    Raises:
        ProblemError: an argument does not fit, the problem has nothing to optimise inside, or the checkpoint is that of
            another fit.
        SimulationError: no starting point could be integrated.

    Example:
        >>> result = calibration.fit(problem, starts=100, seed=0)
        >>> result.best, result.hits
    """
    begin = time.perf_counter()
    name = _method(method, problem)
    have = _known(problem, starts, extend)
    objective = _objective(problem, name, inner)
    given = None if isinstance(sampling, str) else given_starts(problem, objective, sampling)
    settings = {"method": name, "seed": seed, "iterations": iterations, "tolerance": tolerance, "retire": retire}
    settings |= {"hop": hop, "inner": inner, "sampling": sampling if isinstance(sampling, str) else "given"}
    count = starts - have if given is None else len(given)
    rules = Rules(objective.lower, objective.upper, iterations, tolerance, retire, _best_of(extend))

    def draw(attempt: int, rows: np.ndarray) -> np.ndarray:
        if given is not None and attempt == 0:
            return given
        design = sampling if isinstance(sampling, str) else "latin-hypercube"
        return draw_starts(objective.prior, design, count, seed + 7919 * attempt, have)[rows]

    kept = Checkpoint(checkpoint, problem, settings | {"starts": count, "have": have}, KINDS[name], rules.best, given)
    with progress(f"fitting {problem.name}", iterations, quiet) as line:
        now = kept.read() or _begin(problem, objective, name, draw, count, kept, given is None)
        now = _run(objective, name, now, rules, hop, kept, line)
    found = _collected(problem, objective, name, now, settings)
    seconds = now.seconds + time.perf_counter() - begin - now.counted
    found = found if extend is None else _joined(found, extend)
    return _with(found, seconds=seconds + (0.0 if extend is None else extend.seconds))


def _method(method: str, problem: Problem) -> str:
    if method not in METHODS:
        raise ProblemError(f"the method is {method!r}", where="fit", fix=suggestion(str(method), METHODS))
    if method != "auto":
        return method
    return "fisher" if len(problem.names) <= MOST_BY_SENSITIVITIES else "l-bfgs"


def _known(problem: Problem, starts: int, extend: Fit | None) -> int:
    """How many starts there are already."""
    if starts < 1:
        raise ProblemError(f"starts is {starts}", where="fit", expected="at least 1")
    if extend is None:
        return 0
    if extend.names != problem.names:
        raise ProblemError("the fit to extend is one of another problem: their entries differ", where="fit")
    if len(extend.objective) >= starts:
        raise ProblemError(
            f"the fit to extend has {len(extend.objective)} starts already",
            where="fit",
            expected="more in `starts`, the number of all together",
        )
    return len(extend.objective)


def _best_of(extend: Fit | None) -> float:
    return np.inf if extend is None else float(extend.objective[0])


def _objective(problem: Problem, method: str, inner: bool) -> FitObjective:
    if inner:
        if method != "fisher":
            raise ProblemError(
                f"the method is {method!r}", where="fit", expected='"fisher" where parameters are optimised inside'
            )
        from calibration.inner import InnerObjective

        return InnerObjective(problem)
    return Objective(problem) if method == "fisher" else GradientObjective(problem)


def _begin(
    problem: Problem,
    objective: FitObjective,
    method: str,
    draw: Callable[[int, np.ndarray], np.ndarray],
    count: int,
    kept: Checkpoint,
    redraws: bool,
) -> Progressed:
    """The state at the starting points; those that cannot be integrated are drawn anew, a bounded number of times."""
    start = time.perf_counter()
    theta = strictly_inside(draw(0, np.arange(count)), objective.lower, objective.upper)
    at = Evaluation(*(np.array(x) for x in objective(theta)))
    redrawn = 0
    for attempt in range(1, (REDRAWS if redraws else 0) + 1):
        bad = np.flatnonzero(~np.isfinite(at.value))
        if not len(bad):
            break
        redrawn += len(bad)
        theta[bad] = strictly_inside(draw(attempt, bad), objective.lower, objective.upper)
        for old, new in zip(at, objective(theta[bad]), strict=True):
            old[bad] = new
    if not np.isfinite(at.value).any():
        raise SimulationError(
            f"none of {count} starting points could be integrated, nor any of {redrawn} redrawn ones",
            where=problem.name,
            fix="narrow the bounds or the priors, or raise max_steps",
        )
    state = first_regions(theta, at) if method == "fisher" else first_memories(theta, at)
    took = time.perf_counter() - start
    now = Progressed(state, theta.copy(), redrawn, took, took)
    kept.write(now, force=True)
    return now


def _run(
    objective: FitObjective, method: str, now: Progressed, rules: Rules, hop: bool, kept: Checkpoint, line: Progress
) -> Progressed:
    """Iterate until no start goes on or the user stops; the state of the last whole iteration or round counts."""
    start, earlier, iterated, done = time.perf_counter(), now, now, 0
    regions = partial(region_step, Same(objective))  # type: ignore[arg-type]
    step = regions if method == "fisher" else partial(memory_step, objective)
    try:
        settled = np.zeros(len(now.state.value), dtype=bool)
        begun: State | None = now.state
        while begun is not None:
            for running, state in iterate(lambda part: step(part, rules), begun, rules):  # type: ignore[arg-type]
                spent = time.perf_counter() - start
                now = Progressed(
                    state, earlier.starts, earlier.redrawn, earlier.seconds + spent, earlier.counted + spent
                )
                kept.write(now, force=not running)
                iterated, done = now, int(state.evaluations.max())
                line.update(done, f"{running} of {len(state.value)} starts running, best {state.value.min():.4g}")
            if method != "fisher":
                break
            best = f"best {now.state.value.min():.4g}"
            line.update(done, f"looking beyond plateaus, {best}")
            # A fit that is resumed looks again from where others have not got on, and gets on as little.
            begun = walked(objective, now.state, rules, settled)  # type: ignore[arg-type]
            if begun is None and hop:
                part = line.part(done, f"hopping to other optima, {best}")
                begun = hopped(objective, now.state, rules, part)  # type: ignore[arg-type]
                if begun is not None:
                    settled &= begun.value == now.state.value
        if method == "fisher":
            fine = tighter(rules)
            for state in polish(lambda part: regions(part, fine), now.state, rules):  # type: ignore[arg-type]
                spent = time.perf_counter() - start
                now = replace(now, state=state, seconds=earlier.seconds + spent, counted=earlier.counted + spent)
                line.update(done, f"polishing, best {state.value.min():.4g}")
    except KeyboardInterrupt:
        # Not what was polished: polishing begins anew, so that the result is that of a fit without interruption.
        kept.write(iterated, force=True)
        warnings.warn("the fit was interrupted: what follows is what it had found", TwinWarning, stacklevel=4)
    return now


def _collected(
    problem: Problem,
    objective: FitObjective,
    method: str,
    now: Progressed,
    settings: dict[str, Any],
) -> Fit:
    """The result, best start first."""
    state = now.state
    theta, value, nllh = state.theta.copy(), state.value.copy(), state.nllh.copy()
    converged, evaluations = np.isin(state.status, (CONVERGED, HOPPED)), state.evaluations.copy()
    order = np.argsort(value, kind="stable")
    whole = objective.complete(theta[order])
    at = Objective(problem)(whole[:1]) if method != "fisher" or len(objective.names) < len(problem.names) else None
    curvature = objective(theta[order][:1]).curvature if at is None else at.curvature
    on_bound = (whole[0] <= problem.lower) | (whole[0] >= problem.upper)
    began = np.full(whole.shape, np.nan)
    began[:, [problem.names.index(name) for name in objective.names]] = now.starts[order]
    return Fit(
        names=problem.names,
        theta=whole,
        objective=value[order],
        nllh=nllh[order],
        starts=began,
        converged=converged[order],
        redrawn=now.redrawn,
        failed=int(np.sum(~np.isfinite(value))),
        at_bound=tuple(name for name, here in zip(problem.names, on_bound, strict=True) if here),
        seconds=now.seconds,
        curvature=np.asarray(curvature[0]),
        evaluations=evaluations[order],
        outcome=tuple(OUTCOMES[status] for status in state.status[order]),
        lower=np.asarray(problem.lower),
        upper=np.asarray(problem.upper),
        settings=settings,
    )


def _joined(found: Fit, earlier: Fit) -> Fit:
    """Both fits as one, best start first."""
    both = (earlier, found)
    value = np.concatenate([one.objective for one in both])
    order = np.argsort(value, kind="stable")
    better = found if found.objective[0] < earlier.objective[0] else earlier
    outcome = [label for one in both for label in (one.outcome or ("converged",) * len(one.objective))]
    spent = [np.zeros(len(one.objective), dtype=int) if one.evaluations is None else one.evaluations for one in both]
    return _with(
        found,
        **{
            name: np.concatenate([getattr(one, name) for one in both])[order]
            for name in ("theta", "objective", "nllh", "starts", "converged")
        },
        redrawn=earlier.redrawn + found.redrawn,
        failed=earlier.failed + found.failed,
        at_bound=better.at_bound,
        curvature=better.curvature,
        evaluations=np.concatenate(spent)[order],
        outcome=tuple(outcome[index] for index in order),
        settings={**found.settings, "extends": earlier.settings},
    )


def _with(found: Fit, **changes) -> Fit:
    return replace(found, **changes)
