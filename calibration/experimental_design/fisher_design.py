"""Designs by Fisher information: what is known, what each purchase adds, and whether it can determine everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.experimental_design.asked import Asked, ask
from calibration.experimental_design.candidates import KEYS, Candidates, check_candidates
from calibration.experimental_design.criteria import Letter, covariance_of, value_of
from calibration.experimental_design.reading_rows import ReadingRows, information_of_readings, reading_rows
from calibration.information.fisher import RANK_PER_RTOL
from calibration.information.spectrum import spectrum
from calibration.information.wording import in_words, logarithmic_rates
from calibration.problem import Problem
from twin.errors import ProblemError, suggestion

LEAST = 1e-8
"""A design determines everything if every direction has at least this share of the information of all candidates."""


@dataclass(frozen=True)
class Known:
    """What the criteria need.

    Args:
        asked: The candidates.
        thetas: Vectors of `asked.problem`.
        rows: What candidates would say.
        prior: Precision of the priors.
        existing: Information of the readings at hand, or of their schedule.
        interest: Rows K of what is of interest.
        labels: Its names.
    """

    asked: Asked
    thetas: Float[np.ndarray, "draw parameter"]
    rows: ReadingRows
    prior: Float[np.ndarray, " parameter"]
    existing: Float[np.ndarray, "draw parameter parameter"]
    interest: Float[np.ndarray, "draw k parameter"]
    labels: tuple[str, ...]

    @property
    def now(self) -> Float[np.ndarray, "draw parameter parameter"]:
        """Priors and readings at hand."""
        return np.diag(self.prior) + self.existing

    def before(self, kept: bool) -> Float[np.ndarray, "draw parameter parameter"]:
        """What counts before anything is bought."""
        return self.now if kept else np.broadcast_to(np.diag(self.prior), self.existing.shape)

    def item_rows(self, of: Candidates) -> Float[np.ndarray, "draw item row parameter"]:
        """Rows of each purchase; those of many readings replaced by as few with the same information."""
        rows, items = self.rows.rows, of.items
        draws, size = len(rows), rows.shape[-1]
        parts = []
        for item in range(items.max() + 1):
            flat = rows[:, items == item].reshape(draws, -1, size)
            parts.append(np.linalg.qr(flat, mode="r") if flat.shape[1] > size else flat)
        longest = max(part.shape[1] for part in parts)
        padded = np.zeros((draws, len(parts), longest, size))
        for item, part in enumerate(parts):
            padded[:, item, : part.shape[1]] = part
        # Noise scales of known size leave rows of zeros.
        used = np.any(padded != 0, axis=(0, 1, 3))
        return padded[:, :, used] if used.any() else padded[:, :, :1]


def known(
    problem: Problem,
    of: Candidates,
    asked: Asked,
    thetas: Float[np.ndarray, "draw entry"],
    interest: Sequence[str] | pd.DataFrame | None,
    kept: bool,
    rng: np.random.Generator | None,
) -> Known:
    """Linearise candidates, readings at hand and what is of interest.

    Readings at hand that count have the information that they have; as a schedule to compare with, the one that is
    expected of them, as of the candidates.

    Raises:
        ProblemError: something of interest is unknown.
        SimulationError: a vector that cannot be integrated.
    """
    whole = asked.complete(thetas, rng)
    rows = reading_rows(asked.problem, whole, asked.limit)
    existing = np.zeros((len(thetas), whole.shape[1], whole.shape[1]))
    own = information_of_readings(problem, thetas) if kept else _expected_of_readings(problem, thetas)
    existing[np.ix_(np.arange(len(thetas)), asked.own, asked.own)] = own
    rates, labels = _interest(problem, of, asked, whole, interest)
    return Known(asked, whole, rows, asked.problem.prior.precision, existing, rates, labels)


def _expected_of_readings(problem: Problem, thetas: np.ndarray) -> np.ndarray:
    table = problem.measurements.table[[*KEYS, "noise"]]
    schedule = ask(problem, check_candidates(problem, Candidates(table)))
    flat = reading_rows(schedule.problem, thetas, schedule.limit).rows.reshape(len(thetas), -1, thetas.shape[1])
    return np.swapaxes(flat, 1, 2) @ flat


def _interest(
    problem: Problem, of: Candidates, asked: Asked, whole: np.ndarray, interest: Sequence[str] | pd.DataFrame | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    names = asked.problem.names
    if isinstance(interest, pd.DataFrame):
        table = interest[[name for name in interest.columns if name in KEYS]]
        wanted = check_candidates(problem, Candidates(table, of.experiments, of.noise))
        other = ask(problem, wanted)
        if missing := [name for name in other.problem.names if name not in names]:
            raise ProblemError(f"a prediction depends on {missing[0]!r}, which no candidate is about", where="interest")
        units = {asked.problem.model.unit(name) for name in wanted.table["observable"]}
        if len(units) > 1:
            raise ProblemError(
                f"predictions have the units {', '.join(map(str, units))}",
                where="interest",
                expected="predictions of one unit, whose variances can be compared",
            )
        place = np.array([names.index(name) for name in other.problem.names])
        slope = reading_rows(other.problem, whole[:, place], np.full(len(wanted), np.nan)).slope
        rates = np.zeros((*slope.shape[:2], len(names)))
        rates[:, :, place] = slope
        labels = [
            f"{row.observable} at {float(row.time):g} ({row.experiment}, {row.subject})"
            for row in wanted.table.itertuples(index=False)
        ]
        return rates, tuple(labels)
    if isinstance(interest, str):
        raise ProblemError(f"interest is {interest!r}", where="design", expected="a sequence of names")
    chosen = tuple(problem.names if interest is None else interest)
    for name in chosen:
        if name not in names:
            raise ProblemError(f"there is no entry {name!r}", where="interest", fix=suggestion(str(name), names))
    if not chosen or len(set(chosen)) < len(chosen):
        raise ProblemError("nothing, or something twice, is of interest", where="interest", expected="names of entries")
    unit = np.eye(len(names))[[names.index(name) for name in chosen]]
    return np.tile(unit, (len(whole), 1, 1)), chosen


def check_determined(about: Known, kept: bool) -> None:
    """Refuse candidates that leave something undetermined even if all of them were read.

    Raises:
        ProblemError: with the combinations of parameters that nothing is known of.
    """
    problem = about.asked.problem
    tolerance = RANK_PER_RTOL * problem.tolerance.rtol
    lost: list[np.ndarray] = []
    for before, rows in zip(about.before(kept), about.rows.rows, strict=True):
        values, vectors = np.linalg.eigh(before)
        root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        # Rounding in a product leaves 1e-16 of its largest entry, which is 1e-8 in its root.
        root = root[values > 1e-14 * max(values[-1], 0.0)]
        found = spectrum(
            np.concatenate([rows.reshape(-1, rows.shape[-1]), root]), problem.upper - problem.lower, tolerance
        )
        if found.undetermined.any():
            lost.append(found.null)
    if lost:
        scales = [entry.scale for entry in problem.parameters.entries]
        rates = logarithmic_rates(about.thetas[0], problem.lower, scales)
        words = ", ".join(in_words(vector, problem.names, rates) for vector in lost[0][:4])
        many = f" at {len(lost)} of {len(about.thetas)} vectors" if len(about.thetas) > 1 else ""
        raise ProblemError(
            f"all candidates together{' with the readings at hand' * kept} do not determine {words}{many}",
            where="design",
            expected="candidates and priors that determine every parameter; no criterion is finite otherwise",
            fix="fix a parameter, give it an informative prior, or offer other observables, times or experiments",
        )


def refuse_too_few(about: Known, kept: bool, bought: np.ndarray, everything: np.ndarray, budget: float) -> None:
    """Refuse a design that leaves a direction undetermined.

    Raises:
        ProblemError: the budget is too small.
    """
    factor = np.linalg.cholesky(everything)
    half = np.linalg.solve(factor, about.before(kept) + bought)
    least = np.linalg.eigvalsh(np.linalg.solve(factor, np.swapaxes(half, 1, 2)))[:, 0].min()
    if least < LEAST and len(about.labels) < len(about.asked.problem.names):
        raise ProblemError(
            f"the best design for {', '.join(about.labels[:3])} leaves other parameters undetermined",
            where="design",
            expected="a design that determines everything, however little some of it is of interest",
            fix="keep the readings at hand (keep_existing=True), give informative priors, or let more be of interest",
        )
    if least < LEAST:
        raise ProblemError(
            f"a budget of {budget:g} buys too few readings to determine {len(about.asked.problem.names)} parameters",
            where="design",
            expected="at least as many readings as parameters without informative priors",
            fix="raise the budget, keep the readings at hand (keep_existing=True), or give informative priors",
        )


def deviations(information: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Standard errors of linear functions, medians over draws; infinite where one is not determined.

    Args:
        information: [draw, parameter, parameter].
        rates: Rows of the functions [draw, function, parameter].
    """
    found = []
    for matrix, rows in zip(information, rates, strict=True):
        size = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
        scaled = matrix / np.outer(size, size)
        values, vectors = np.linalg.eigh(scaled)
        known_of = values > 1e-10
        along = (rows / size) @ vectors
        variance = np.sum(along[:, known_of] ** 2 / values[known_of], axis=1)
        length = np.linalg.norm(along, axis=1)
        lost = np.linalg.norm(along[:, ~known_of], axis=1) > 1e-6 * np.maximum(length, np.finfo(float).tiny)
        found.append(np.where(lost, np.inf, np.sqrt(variance)))
    return np.median(found, axis=0)


def criterion_of(information: np.ndarray, interest: np.ndarray, letter: Letter) -> float:
    """The criterion of an information, -inf where it does not determine what is of interest."""
    if not np.isfinite(deviations(information, interest)).all():
        return -np.inf
    return float(value_of(covariance_of(information, interest), letter))
