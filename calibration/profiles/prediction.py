"""Profile likelihoods of predictions: how far an observable at some time can move before the data object.

    PPL(z) = min over theta with f(theta) = z of  -2 log L(theta)

The constraint is replaced by a pull, w (f(theta) - target)^2 / 2, added to the objective. Where the sum has its minimum
the objective is minimal among all vectors with the same f, for any weight w: a lower one with the same f would lower
the sum. So every optimum is an exact point of the profile, at the f that it reached rather than at the target, and the
slope of the objective there is w (target - f).

References:
    Kreutz, Raue and Timmer, BMC Syst. Biol. 6:120 (2012), doi:10.1186/1752-0509-6-120: prediction and validation
    profiles. Kreutz, Raue, Kaschek and Timmer, FEBS J. 280:2564-2571 (2013), doi:10.1111/febs.12276: a review.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Bool, Float

from calibration.optimise.fit import Fit
from calibration.optimise.local import minimise
from calibration.optimise.objective import Evaluation, Look, Objective, without_readings
from calibration.problem import Problem
from calibration.profiles.curve import Curve
from calibration.profiles.elimination import along_prediction
from calibration.profiles.likelihood import ITERATIONS, warn_of_better
from calibration.profiles.reference import BETTER, Reference, check_level, find_reference, threshold_of
from calibration.profiles.walk import Asked, Lane, Point, Solved, pulling_weight, walk
from twin.errors import ProblemError, SimulationError, suggestion
from twin.precision import in_float64
from twin.progress import Progress, progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOLERANCE = 1e-6
"""Of the sum; tighter than for parameters, since the lag behind the target enters the slope."""


@dataclass(frozen=True, repr=False)
class PredictionProfiles:
    """Profile likelihoods of one observable at several times.

    Args:
        observable: What is predicted.
        unit: Its unit.
        series: (experiment, subject).
        times: Times, unit of the problem's measurements.
        curves: A curve per time; positions in the observable's unit.
        entries: Entries of the vectors along the curves.
        level: Confidence level.
        better: A vector with a lower objective that the walks came upon; None if the fit stood.
        seconds: Wall time.
    """

    observable: str
    unit: str
    series: tuple[str, str]
    times: tuple[float, ...]
    curves: tuple[Curve, ...]
    entries: tuple[str, ...]
    level: float
    better: Float[np.ndarray, " parameter"] | None
    seconds: float

    def table(self) -> pd.DataFrame:
        """One row per time: best prediction, interval (infinite where open), and why each side ended."""
        rows = [
            {
                "time": time,
                "prediction": curve.optimum,
                "lower": curve.interval[0],
                "upper": curve.interval[1],
                "lower_end": curve.ends[0],
                "upper_end": curve.ends[1],
            }
            for time, curve in zip(self.times, self.curves, strict=True)
        ]
        return pd.DataFrame(rows)

    def to_dataset(self) -> xr.Dataset:
        """Best prediction and interval over time."""
        table = self.table()
        attrs = {"units": self.unit}
        return xr.Dataset(
            {name: ("time", table[name].to_numpy(), attrs) for name in ("prediction", "lower", "upper")},
            {"time": list(self.times)},
            {"observable": self.observable, "level": self.level},
        )

    def plot(self) -> Figure:
        """The band over time, or the curve of a single time."""
        from calibration.profiles.figure import draw_predictions

        return draw_predictions(self)

    def __repr__(self) -> str:
        lines = [
            f"PredictionProfiles({self.observable!r} at {len(self.times)} times, {100 * self.level:g} % intervals)"
        ]
        for time, curve in zip(self.times, self.curves, strict=True):
            low, high = curve.interval
            lines.append(f"  {time:<8g} {curve.optimum:<10.4g} {low:.4g} to {high:.4g}")
        return "\n".join(lines)


@in_float64
def profile_prediction(
    problem: Problem,
    fit: Fit | Float[np.ndarray, " parameter"],
    observable: str,
    times: float | Sequence[float],
    *,
    experiment: str | None = None,
    subject: str | None = None,
    level: float = 0.95,
    with_prior: bool = False,
    steps: int = 60,
    quiet: bool = False,
) -> PredictionProfiles:
    """Profile the likelihood of predictions: confidence intervals that hold also where parameters are not determined.

    Args:
        problem: What was fitted.
        fit: Result of `calibration.fit`, or a vector at an optimum, estimation scale.
        observable: What is predicted, without noise: an observable with a noise model in the problem.
        times: When, in the time unit of the measurements; several are profiled side by side.
        experiment: In which experiment of the measurements; may be left out where there is one only.
        subject: For which subject of it; likewise.
        level: Confidence level of the intervals.
        with_prior: Whether the log-prior is added to the log-likelihood.
        steps: Most points on each side.
        quiet: Show no progress.

    Returns:
        Curves and intervals. A vector better than the fit is reported as by `profile`, but not optimised further.

    Raises:
        ProblemError: an unknown observable, experiment or subject, a choice left open, a time that is not finite, or a
            level outside (0, 1).
        SimulationError: the problem or the prediction cannot be integrated at the fit.

    Example:
        >>> calibration.profile_prediction(problem, fit, "virus", [2.0, 4.0, 6.0]).table()
    """
    begin = clock.perf_counter()
    check_level(level)
    moments = np.atleast_1d(np.asarray(times, dtype=float))
    series = _series(problem, observable, experiment, subject)
    if moments.ndim != 1 or not len(moments) or not np.isfinite(moments).all():
        raise ProblemError(f"the times are {times!r}", where="profile_prediction", expected="finite numbers")
    threshold = threshold_of(level)
    objective = Objective(problem, with_prior=with_prior)
    reference = find_reference(problem, objective, fit)
    with progress(f"profiling predictions of {problem.name}", 1000, quiet) as line:
        pulls = Pulls(problem, objective, reference, _table(observable, moments, series))
        walk(pulls.lanes, pulls.solve, threshold, steps, line)
    lowest = min((point for lane in pulls.lanes for point in lane.points), key=lambda point: point.value)
    better = lowest if lowest.value < reference.value - BETTER else None
    warn_of_better(problem, reference, better, with_prior or not problem.prior.precision.any())
    return PredictionProfiles(
        observable=observable,
        unit=problem.model.unit(observable),
        series=series,
        times=tuple(float(t) for t in moments),
        curves=pulls.curves(reference.value if better is None else better.value, threshold),
        entries=problem.names,
        level=level,
        better=None if better is None else better.theta,
        seconds=clock.perf_counter() - begin,
    )


class Pulls:
    """The walks of predictions, with the optimiser that they share.

    Args:
        problem: The problem.
        objective: Its objective.
        reference: The optimum.
        table: One row per prediction.
    """

    def __init__(self, problem: Problem, objective: Objective, reference: Reference, table: pd.DataFrame) -> None:
        self.problem, self.objective, self.reference = problem, objective, reference
        self.times = table["time"].to_numpy()
        predictor = problem.at(table).predictor

        @jax.jit
        def predict(thetas: Array) -> tuple[Array, Array, Array]:
            line = predictor.linearise(thetas)
            return line.prediction.value, line.d_value, line.prediction.ok

        self._predict = predict
        value, gradient, ok = self.predict(reference.theta[None])
        if not ok.all():
            raise SimulationError("the prediction cannot be integrated at the fit", where=problem.name)
        self.lanes: list[Lane] = []
        free = (reference.theta > problem.lower) & (reference.theta < problem.upper)
        for index in range(len(self.times)):
            tangent, curvature = along_prediction(reference.curvature, gradient[0, index], free)
            if not np.isfinite(curvature):
                raise ProblemError(
                    f"nothing that is estimated and off its bounds moves the prediction at time {self.times[index]:g}",
                    where="profile_prediction",
                    expected="a prediction that depends on the estimated parameters",
                )
            start = Point(float(value[0, index]), reference.value, 0.0, curvature, reference.theta, True)
            # Where the data say nothing, the first step must not leave all sense: it grows if the rise allows it.
            largest = max(abs(start.position), np.sqrt(threshold_of(0.95) / max(curvature, 1e-300)))
            self.lanes += [Lane(index, way, [start], tangent, way * np.inf, largest, pulls=True) for way in (-1, 1)]

    def predict(
        self, theta: Float[np.ndarray, "lane parameter"]
    ) -> tuple[Float[np.ndarray, "lane time"], Float[np.ndarray, "lane time parameter"], Bool[np.ndarray, "lane time"]]:
        """Predictions with gradients, in chunks of one size so that they compile once."""
        size, parts = self.objective.chunk_size(), []
        for start in range(0, len(theta), size):
            part = theta[start : start + size]
            padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            parts.append([np.asarray(x)[: len(part)] for x in self._predict(padded)])
        value, gradient, ok = (np.concatenate(x) for x in zip(*parts, strict=True))
        return value, gradient, ok

    def solve(self, asked: Asked) -> Solved:
        """Optimise all entries with the prediction pulled to its target."""
        lower, upper = self.problem.lower, self.problem.upper
        which, targets, weight = asked.which, asked.targets, pulling_weight(asked.steps)
        theta = np.clip(asked.guesses, lower, upper)
        pulled = _Pulled(self.objective, self.of, which, targets, weight)
        run = minimise(
            self.objective,
            theta,
            pulled.evaluation(theta, np.arange(len(which))),
            lower,
            upper,
            iterations=ITERATIONS,
            tolerance=TOLERANCE,
            line=Progress("", 1, quiet=True),
            own=pulled,
        )
        z, gradient, _ = self.of(run.theta, which)
        off = z - targets
        hessian = run.at.curvature - weight[:, None, None] * gradient[:, :, None] * gradient[:, None, :]
        free = (run.theta > lower) & (run.theta < upper)
        curvature = [along_prediction(hessian[k], gradient[k], free[k])[1] for k in range(len(which))]
        return Solved(
            position=z,
            value=run.at.value - 0.5 * weight * off**2,
            slope=-weight * off,
            curvature=np.where(np.isfinite(curvature), curvature, 0.0),
            theta=run.theta,
            converged=run.converged,
        )

    def of(self, theta: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The prediction that each vector is asked for, its gradient, and whether it could be integrated."""
        value, gradient, ok = self.predict(theta)
        rows = np.arange(len(theta))
        fine = ok[rows, which]
        return np.where(fine, value[rows, which], 0.0), np.where(fine[:, None], gradient[rows, which], 0.0), fine

    def curves(self, lowest: float, threshold: float) -> tuple[Curve, ...]:
        """Both sides of each prediction put together."""
        curves = []
        for index, moment in enumerate(self.times):
            down, up = self.lanes[2 * index], self.lanes[2 * index + 1]
            points = [*down.points[:0:-1], *up.points]
            curves.append(
                Curve(
                    name=f"time {moment:g}",
                    position=np.array([p.position for p in points]),
                    rise=2.0 * (np.array([p.value for p in points]) - lowest),
                    slope=2.0 * np.array([p.slope for p in points]),
                    theta=np.stack([p.theta for p in points]),
                    converged=np.array([p.converged for p in points]),
                    optimum=up.points[0].position,
                    ends=(down.end, up.end),
                    threshold=threshold,
                )
            )
        return tuple(curves)


class _Pulled:
    """The objective with every prediction pulled to its target.

    Args:
        objective: The objective.
        of: `Pulls.of`.
        which: The prediction of each lane.
        targets: Where it is pulled.
        weight: How strongly.
    """

    def __init__(self, objective: Objective, of: Callable, which: np.ndarray, targets: np.ndarray, weight: np.ndarray):
        self.objective, self.of = objective, of
        self.which, self.targets, self.weight = which, targets, weight

    def evaluation(self, thetas: np.ndarray, lanes: np.ndarray) -> Evaluation:
        """Objective and pull with derivatives."""
        at = self.objective(thetas)
        z, gradient, ok = self.of(thetas, self.which[lanes])
        off, w = z - self.targets[lanes], self.weight[lanes]
        fine = ok & np.isfinite(at.value)
        pulled = at.gradient + (w * off)[:, None] * gradient
        return Evaluation(
            np.where(fine, at.value + 0.5 * w * off**2, np.inf),
            at.nllh,
            pulled,
            at.curvature + w[:, None, None] * gradient[:, :, None] * gradient[:, None, :],
            # The pull bends as well, and steps know nothing of that: they are not bent.
            *without_readings(pulled),
        )

    def look(self, thetas: np.ndarray, lanes: np.ndarray) -> Look:
        """An evaluation, since the prediction comes with its gradient; those at the ends of steps are kept."""
        self._lanes, self._at_ends = lanes, self.evaluation(thetas, lanes)
        return Look(self._at_ends.value, self._at_ends.additive)

    def evaluate(self, _: np.ndarray, lanes: np.ndarray) -> Evaluation:
        """What the last look found."""
        rows = np.searchsorted(self._lanes, lanes)
        return Evaluation(*(x[rows] for x in self._at_ends))


def _series(problem: Problem, observable: str, experiment: str | None, subject: str | None) -> tuple[str, str]:
    if observable not in problem.noise:
        raise ProblemError(
            f"{observable!r} is no measured observable of the problem",
            where="profile_prediction",
            fix=suggestion(str(observable), problem.noise),
        )
    series = list(problem.measurements.series)
    for what, given, place in (("experiment", experiment, 0), ("subject", subject, 1)):
        known = list(dict.fromkeys(each[place] for each in series))
        if given is None and len(known) > 1:
            raise ProblemError(
                f"there are {len(known)} {what}s to choose from",
                where="profile_prediction",
                fix=f"give {what}=..., for instance {known[0]!r}",
            )
        if given is not None and given not in known:
            raise ProblemError(
                f"there is no {what} {given!r}", where="profile_prediction", fix=suggestion(str(given), known)
            )
        series = [each for each in series if given is None or each[place] == given]
    if not series:
        raise ProblemError(f"the subject {subject!r} takes no part in {experiment!r}", where="profile_prediction")
    return series[0]


def _table(observable: str, times: np.ndarray, series: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "experiment": series[0],
            "subject": series[1],
            "observable": observable,
            "time": times,
            "value": 1.0,  # not read
            "noise": np.nan,
            "censoring": "",
        }
    )
