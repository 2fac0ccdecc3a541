"""The search for a treatment: first designs all over, then by gradient or by expected improvement, then the doubts."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
from jaxtyping import Float

from twin.errors import ScenarioError
from twin.model.identity import digest
from twin.progress import progress as progress_line
from twin.scenario.journal import Journal
from twin.scenario.optimise.bayesian import improve
from twin.scenario.optimise.gradient import descend
from twin.scenario.optimise.optimum import Optimum, collected
from twin.scenario.optimise.record import Record
from twin.scenario.optimise.treatment import Treatment
from twin.scenario.optimise.trial import Trial, Tried
from twin.simulation import check_count

METHODS = ("auto", "gradient", "bayesian")
RESAMPLED_STARTS, RESAMPLED_EVALUATIONS = 2, 12
"""Descents in each bootstrap sample, from the best designs that lie apart, and most evaluations of each."""
POLISH, POLISH_DESIGNS = (0.03, 0.01, 0.003), 16
"""Widths, in units of the cube, at which so many neighbours of the best design are tried after the descents."""

type Point = Float[np.ndarray, " factor"]


def search(
    treatment: Treatment,
    out: Path | None = None,
    *,
    method: str = "auto",
    first: int = 32,
    starts: int = 5,
    designs: int = 96,
    resamples: int = 40,
    seed: int = 0,
    progress: bool = True,
) -> Optimum:
    """Find the best treatment, and how sure that is.

    Args:
        treatment: What is sought.
        out: Folder in which everything tried is kept, so that a search that was killed goes on; None for memory only.
        method: "gradient" (exact derivatives, from several starts), "bayesian" (Gaussian processes and expected
            improvement; also for shares of responders and times of peaks), or "auto": by gradient where it has sense.
        first: Designs all over the bounds, a power of 2; the arms of the scenario are tried, too.
        starts: Descents of the gradient method.
        designs: Designs that the Bayesian method tries in all.
        resamples: Bootstrap samples of the patients in which the best design is sought again; 0 for none.
        seed: Of first designs, candidates and bootstrap.
        progress: Show progress on standard error.

    Returns:
        The optimum.

    Raises:
        ScenarioError: A method that there is not, or that does not fit the goal; no design gives a finite goal; the
            folder belongs to something else.
        StoreError: The folder cannot be written.

    References:
        Efron and Tibshirani 1993, doi:10.1007/978-1-4899-4541-9 (bootstrap intervals by percentiles).
    """
    if method not in METHODS:
        raise ScenarioError(f"it is {method!r}", where="method", expected=", ".join(METHODS))
    if method == "gradient" and not treatment.has_slopes:
        found = "goal or limits are shares, or times of peaks, which change by jumps"
        raise ScenarioError(found, where="method", fix="take bayesian, or a quantile of the endpoint itself")
    check_count(first, "first")
    check_count(starts, "starts")
    check_count(designs, "designs")
    by_gradient = method == "gradient" or (method == "auto" and treatment.has_slopes)
    options = [by_gradient, first, starts if by_gradient else designs, resamples, seed]
    with nullcontext() if out is None else _locked(out):
        record = Record(out, digest({"treatment": treatment.fingerprint, "options": options}), treatment.scenario.name)
        runner = _Search(treatment, record, int(seed), progress)
        runner.begin(first)
        if by_gradient:
            runner.descend_from(starts)
        else:
            runner.improve_to(designs)
        resampled = runner.resampled(int(resamples), by_gradient)
        name = "gradient" if by_gradient else "bayesian"
        return collected(treatment, name, runner.trial, runner.tried, runner.how, runner.best_index, resampled)


def _locked(out: Path):
    out.mkdir(parents=True, exist_ok=True)
    return Journal(out).lock()


class _Search:
    """A search under way."""

    def __init__(self, treatment: Treatment, record: Record, seed: int, shown: bool) -> None:
        self.treatment, self.record, self.seed, self.shown = treatment, record, seed, shown
        self.trial = Trial(treatment, 0, min(treatment.patients, treatment.scenario.cohort.size))
        self.limits = tuple(treatment.limits.values())
        factors, measures = len(treatment.factors), len(treatment.formulated)
        self.points: Float[np.ndarray, "design factor"] = np.zeros((0, factors))
        self.tried = (np.zeros((0, factors)), Tried(np.zeros((0, measures)), np.zeros(0, dtype=int)))
        self.how: list[str] = []
        self.spread = np.ones(measures)

    def begin(self, count: int) -> None:
        """Designs all over, and the scenario's arms."""
        from scipy.stats import qmc

        if count & (count - 1):
            raise ScenarioError(f"it is {count}", where="first", expected="a power of 2, for which points are balanced")
        factors = len(self.treatment.factors)
        sequence = qmc.Sobol(factors, scramble=True, rng=np.random.default_rng(self.seed))
        points = sequence.random_base2(count.bit_length() - 1)
        arms = [self.treatment.units(levels) for levels in self.treatment.regimens.values()]
        arms = [unit for unit in arms if ((unit >= 0) & (unit <= 1)).all()]
        with progress_line("first designs", len(points) + len(arms), quiet=not self.shown) as line:
            self._try(points, "first")
            line.update(len(points))
            if arms:
                self._try(np.stack(arms), "arm")
        goals = self.tried[1].measures[:, 0]
        if not np.isfinite(goals).any():
            self._refuse(goals)
        finite = self.tried[1].measures[np.isfinite(self.tried[1].measures).all(axis=1)]
        deviation = finite.std(axis=0) if len(finite) > 1 else np.ones(len(self.spread))
        self.spread = np.where(deviation > 0, deviation, np.maximum(np.abs(finite).max(axis=0, initial=0.0), 1e-300))
        self.spread = np.where(self.spread > 1e-290, self.spread, 1.0)

    def _refuse(self, goals: np.ndarray) -> None:
        failed = int(self.tried[1].failed.min())
        if np.isinf(goals).any():
            found = "the goal is infinite in every design: an endpoint is never reached by some patients"
            fix = "give first_crossing a value `otherwise`, or take a median or another quantile"
        else:
            found = (
                f"no design gives a number; integrations fail for {failed} of {self.trial.patients} patients or more"
            )
            fix = "loosen the tolerances, allow more steps, or narrow the cohort"
        raise ScenarioError(found, where="minimise", fix=fix)

    def _try(self, points: Float[np.ndarray, "design factor"], how: str) -> Float[np.ndarray, "design measure"]:
        """Measures of points of the unit cube; only what is not in the record is computed."""
        designs = self.treatment.levels(points)
        asked = [["measures", design.tolist()] for design in designs]
        missing = [index for index, key in enumerate(asked) if self.record.get(key) is None]
        if missing:
            found = self.trial.measures(designs[missing])
            for index, row, failed in zip(missing, found.measures, found.failed, strict=True):
                self.record.put(asked[index], [row.tolist(), int(failed)])
        answers = [self.record.get(key) for key in asked]
        measures = np.array([row for row, _ in answers], dtype=float)
        self._add(points, measures, np.array([failed for _, failed in answers]), how)
        return measures

    def _add(self, points: np.ndarray, measures: np.ndarray, failed: np.ndarray, how: str) -> None:
        levels, before = self.tried
        self.points = np.concatenate([self.points, points])
        self.tried = (
            np.concatenate([levels, self.treatment.levels(points)]),
            Tried(np.concatenate([before.measures, measures]), np.concatenate([before.failed, failed])),
        )
        self.how += [how] * len(points)

    def _sloped(self, unit: Point, sample: int, chosen: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        design = self.treatment.levels(unit)
        asked = ["slopes", sample, design.tolist()]
        if (answer := self.record.get(asked)) is None:
            measures, slopes = self.trial.slopes(design, chosen)
            answer = [measures.tolist(), slopes.tolist()]
            self.record.put(asked, answer)
        measures, slopes = (np.array(part, dtype=float) for part in answer)
        return measures, slopes * self.treatment.slopes(unit)

    def _order(self, measures: Float[np.ndarray, "design measure"]) -> np.ndarray:
        """Designs from the best to the worst: those within the limits, by the goal; then by how far they miss them."""
        missed = np.zeros(len(measures))
        for row, limit in enumerate(self.limits, start=1):
            excess = [0.0 if limit.keeps(x) else limit.excess(x) / self.spread[row] for x in measures[:, row]]
            missed = np.maximum(missed, excess)
        goal = self.treatment.sign * measures[:, 0]
        lost = ~np.isfinite(measures).all(axis=1)
        return np.lexsort((goal, missed, lost))

    def descend_from(self, starts: int) -> None:
        """From the best designs downhill; then among neighbours of the best, in case a descent stopped at a kink."""
        chosen = self._apart(starts)
        with progress_line("descents", len(chosen), quiet=not self.shown) as line:
            for number, start in enumerate(chosen, start=1):
                self._descend(start)
                line.update(number)
        self._descend(self.best)
        self._look_around()

    def _look_around(self) -> None:
        """Designs ever closer to the best one: a quantile has kinks, where a descent may stop too early."""
        rng = np.random.default_rng([self.seed, 2])
        for width in POLISH:
            steps = width * rng.standard_normal((POLISH_DESIGNS, self.points.shape[1]))
            self._try(np.clip(self.best + steps, 0.0, 1.0), "neighbour")

    def _apart(self, count: int) -> list[Point]:
        """The best points that lie apart from each other."""
        chosen: list[Point] = []
        for index in self._order(self.tried[1].measures):
            apart = all(np.abs(self.points[index] - other).max() > 0.1 for other in chosen)
            if apart and np.isfinite(self.tried[1].measures[index]).all():
                chosen.append(self.points[index])
            if len(chosen) == count:
                break
        return chosen

    def _descend(self, start: Point) -> None:
        visited: list[Point] = []
        measured: list[np.ndarray] = []

        def sloped(unit: Point):
            measures, slopes = self._sloped(unit, -1, None)
            visited.append(unit)
            measured.append(measures)
            return measures, slopes

        descend(start, sloped, self.treatment.sign, self.limits, self.spread)
        if visited:
            # All of a descent, not its end only: at a kink of a quantile the end may miss a limit by a little.
            self._add(np.stack(visited), np.stack(measured), np.zeros(len(visited), dtype=int), "descent")

    @property
    def best(self) -> Point:
        """The best point that was tried."""
        return self.points[self.best_index]

    @property
    def best_index(self) -> int:
        """Which of the designs that were tried is best."""
        return int(self._order(self.tried[1].measures)[0])

    def improve_to(self, most: int) -> None:
        """By expected improvement, until so many designs were tried or nothing more is expected."""
        with progress_line("designs", most, quiet=not self.shown) as line:
            improve(
                self.points,
                self.tried[1].measures,
                lambda points: self._try(points, "improvement"),
                self.treatment.sign,
                self.limits,
                most,
                self.seed,
                line.update,
            )

    def resampled(self, count: int, by_gradient: bool) -> Float[np.ndarray, "sample factor"]:
        """Best designs in bootstrap samples of the patients."""
        rng = np.random.default_rng([self.seed, 1])
        chosen = rng.integers(self.trial.patients, size=(count, self.trial.patients))
        if not count or not np.isfinite(self.tried[1].measures[self.best_index]).all():
            return np.zeros((0, len(self.treatment.factors)))
        if not by_gradient:
            return self._best_of_tried(chosen)
        starts, found = self._apart(RESAMPLED_STARTS), []
        with progress_line("bootstrap samples", count, quiet=not self.shown) as line:
            for sample, patients in enumerate(chosen):
                found.append(self._best_in(sample, patients, starts))
                line.update(sample + 1)
        return self.treatment.levels(np.stack(found))

    def _best_in(self, sample: int, patients: np.ndarray, starts: list[Point]) -> Point:
        """The best point in one bootstrap sample, from the best ones of all patients on."""
        visited: list[Point] = []
        measured: list[np.ndarray] = []

        def sloped(unit: Point):
            measures, slopes = self._sloped(unit, sample, patients)
            visited.append(unit)
            measured.append(measures)
            return measures, slopes

        for start in starts:
            descend(start, sloped, self.treatment.sign, self.limits, self.spread, most=RESAMPLED_EVALUATIONS)
        return visited[self._order(np.stack(measured))[0]]

    def _best_of_tried(self, chosen: np.ndarray) -> Float[np.ndarray, "sample factor"]:
        """Without derivatives: the best of all designs that were tried."""
        levels = self.tried[0]
        asked = ["groups", len(levels), chosen.shape[0]]
        if self.record.get(asked) is None:
            self.record.put(asked, self.trial.of_groups(levels, chosen).tolist())
        measures = np.array(self.record.get(asked), dtype=float)
        return np.stack([levels[self._order(measures[:, sample])[0]] for sample in range(len(chosen))])
