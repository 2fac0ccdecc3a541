"""`design`: which readings to take next for a budget."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import ArrayLike, Float

from calibration.experimental_design.asked import Asked, ask
from calibration.experimental_design.candidates import KEYS, Candidates, check_candidates
from calibration.experimental_design.criteria import LETTERS, Information
from calibration.experimental_design.exchange import SLACK, Search, round_down
from calibration.experimental_design.expected_gain import Gain, Pairs
from calibration.experimental_design.fisher_design import (
    Known,
    check_determined,
    criterion_of,
    deviations,
    known,
    refuse_too_few,
)
from calibration.experimental_design.relaxation import relax, top_sum
from calibration.experimental_design.result import Design
from calibration.experimental_design.vectors import one_vector, posterior_draws
from calibration.problem import Problem
from twin.errors import ProblemError, TwinWarning, suggestion
from twin.precision import in_float64
from twin.progress import progress

type CriterionName = Literal["D", "A", "E", "information gain"]

GAIN = "information gain"
DRAWS = 64
SEARCHED, ESTIMATED = 512, 2000
"""Draws for the search and for the estimate of an information gain."""
WIDE = 0.5
"""Nats between both estimates of a gain from which on more draws are asked for."""


@in_float64
def design(
    problem: Problem,
    candidates: Candidates | pd.DataFrame,
    budget: float,
    *,
    criterion: CriterionName = "D",
    theta: ArrayLike | None = None,
    posterior: xr.DataTree | ArrayLike | None = None,
    interest: Sequence[str] | pd.DataFrame | None = None,
    keep_existing: bool = True,
    repeats: int = 1,
    draws: int | None = None,
    restarts: int = 2,
    seed: int = 0,
    quiet: bool = False,
) -> Design:
    """Choose the readings that tell most.

    ====================  ============================================================================================
    ``D``                 smallest volume of the confidence region: the geometric mean of variances, whatever the units
    ``A``                 smallest mean variance; with one prediction or parameter of interest this is c-optimality
    ``E``                 smallest variance of the worst determined direction
    ``information gain``  largest expected Kullback-Leibler divergence from what is known before, not local
    ====================  ============================================================================================

    "D", "A" and "E" go by the Fisher information near a vector. It is a bound that many readings reach; with few, and
    far from linear, "information gain" says more, at the price of a Monte-Carlo error. Variances of "A" and "E" are
    those of the estimation scale (or of predictions), and so depend on it.

    Args:
        problem: The problem.
        candidates: What could be read: `calibration.candidates(...)`, or a table with the columns experiment, subject,
            observable, time [model time unit] and, optionally, cost (1), limit (detection limit; that of the problem's
            censored readings), noise and group (rows of one group are bought together).
        budget: What may be spent; the number of readings where costs are 1.
        criterion: "D", "A", "E" or "information gain".
        theta: The vector near which the design is to be good, estimation scale; default the nominal one. Take a fit's
            best.
        posterior: Draws over which the criterion is averaged instead: what `calibration.sample` returns, or vectors
            [draw, parameter]. For a gain it is what is known before; without it, the priors are.
        interest: Entries of the vector that matter, the others are nuisance; or a table (experiment, subject,
            observable, time) of predictions that matter. Default all entries of the problem.
        keep_existing: Whether the readings at hand count as known, in addition to the priors. For a gain they are in
            the posterior.
        repeats: How often a purchase can be made.
        draws: How many draws are used; default 64, or 2000 for a gain.
        restarts: Random designs from which exchanges begin, beside those built up greedily and by rounding.
        seed: Seed of the random designs, the draws and the simulated readings.
        quiet: Show no progress.

    Raises:
        ProblemError: unusable arguments; candidates that leave parameters undetermined even if all are read, with the
            combinations that nothing is known of; or a budget too small to determine everything.
        SimulationError: a candidate cannot be predicted.

    References:
        Atkinson, A. C., Donev, A. N. & Tobias, R. D. (2007). Optimum Experimental Designs, with SAS. Oxford.
        Chaloner, K. & Verdinelli, I. (1995). Bayesian experimental design: a review. Statistical Science 10, 273-304.

    Example:
        >>> offered = calibration.candidates(problem, np.arange(0.5, 7.5, 0.5))
        >>> found = calibration.design(problem, offered, budget=7, theta=calibration.fit(problem).best)
        >>> found.table()
        >>> found.plot().savefig("design.png")
    """
    _check(problem, budget, criterion, repeats, draws, restarts, seed, theta, posterior)
    of = check_candidates(problem, candidates)
    asked = ask(problem, of)
    if of.costs.min() > budget * (1 + SLACK):
        raise ProblemError(
            f"the budget is {budget:g}, and the cheapest purchase costs {of.costs.min():g}", where="design"
        )
    task = _Task(problem, of, asked, float(budget), keep_existing, repeats, restarts, seed, quiet)
    if criterion == GAIN:
        if interest is not None:
            raise ProblemError(
                "an information gain counts all parameters", where="interest", fix="leave it out, or take 'D'"
            )
        return task.by_gain(posterior, draws or ESTIMATED)
    if posterior is None:
        thetas, rng = one_vector(problem, theta), None
    else:
        thetas, rng = posterior_draws(problem, posterior, draws or DRAWS), np.random.default_rng([seed, 7])
    return task.by_information(known(problem, of, asked, thetas, interest, keep_existing, rng), criterion)


class _Task:
    """What `design` was asked for."""

    def __init__(
        self, problem: Problem, of: Candidates, asked: Asked, budget: float, kept: bool, repeats: int, restarts: int,
        seed: int, quiet: bool,
    ) -> None:  # fmt: skip
        self.problem, self.of, self.asked, self.budget, self.kept = problem, of, asked, budget, kept
        self.repeats, self.restarts, self.seed, self.quiet = repeats, restarts, seed, quiet
        self.rng = np.random.default_rng([seed, 11])

    def by_information(self, about: Known, letter: Literal["D", "A", "E"]) -> Design:
        check_determined(about, self.kept)
        rows = about.item_rows(self.of)
        information = Information(about.before(self.kept), rows, about.interest, letter, self.repeats)
        costs = self.of.costs
        relaxed = relax(information, costs, self.budget)
        search = Search(information, costs, self.budget)
        with progress(f"designing {self.problem.name}", 3 + self.restarts, self.quiet) as line:
            first = [round_down(relaxed.weights, costs, self.budget)]
            counts, _ = search.best(first, self.rng, self.restarts, line)
        bought, everything = _sum(rows, counts), _sum(rows, np.full(len(costs), float(self.repeats)))
        refuse_too_few(about, self.kept, bought, about.before(self.kept) + everything, self.budget)
        after = about.before(self.kept) + bought
        value = criterion_of(after, about.interest, letter)
        # The bound is that of transformed coordinates, in which the criterion differs by nothing, and of a ridge, which
        # only raises it.
        order, values = search.order(counts)
        return self._result(
            letter, about.labels, counts, value, relaxed.bound, float(np.exp(min(value - relaxed.bound, 0.0))),
            criterion_of(about.now, about.interest, letter), relaxed.weights, relaxed.slopes, order, values,
            _errors(deviations(about.now, about.interest), deviations(after, about.interest), about.labels),
            self._curve(
                np.median(about.rows.value, axis=0),
                deviations(about.now, about.rows.slope),
                deviations(after, about.rows.slope),
            ),
            len(about.thetas), None, (),
        )  # fmt: skip

    def by_gain(self, posterior: xr.DataTree | ArrayLike | None, count: int) -> Design:
        thetas = self._draws(posterior, count)
        few = np.linspace(0, len(thetas) - 1, min(SEARCHED, len(thetas))).round().astype(int)
        pairs = Pairs(self.asked, thetas[few], self.of.items, self.repeats, self.seed)
        costs = self.of.costs
        search = Search(pairs, costs, self.budget)
        with progress(f"designing {self.problem.name}", 2 + self.restarts, self.quiet) as line:
            counts, value = search.best([], self.rng, self.restarts, line)
        free = np.flatnonzero(counts < self.repeats)
        more = pairs.values_with(counts, free) - value if len(free) else np.zeros(0)
        added = top_sum(more, 1, costs[free], self.budget) * self.repeats if len(free) else 0.0
        order, values = search.order(counts)
        # With readings of their own: those that chose the design would flatter it.
        final = Pairs(self.asked, thetas, self.of.items, self.repeats, self.seed + 1)
        gain = final.estimate(counts)
        after, predicted_after, carried = final.spreads(counts)
        names = self.asked.problem.names
        own = self.asked.own
        predicted = final.predicted
        log = _remarks(gain, carried, self.problem.name)
        return self._result(
            GAIN, tuple(names[i] for i in own), counts, gain.lower, gain.lower + added,
            float(gain.lower / (gain.lower + added)) if gain.lower + added > 0 else 0.0, 0.0,
            np.full(len(costs), np.nan), np.full(len(costs), np.nan), order, values,
            _errors(final.thetas.std(axis=0, ddof=1)[own], after[own], tuple(names[i] for i in own)),
            self._curve(np.median(predicted, axis=0), predicted.std(axis=0, ddof=1), predicted_after),
            gain.draws, gain, log,
        )  # fmt: skip

    def _draws(self, posterior: xr.DataTree | ArrayLike | None, count: int) -> Float[np.ndarray, "draw parameter"]:
        rng = np.random.default_rng([self.seed, 7])
        if posterior is None:
            if self.kept:
                raise ProblemError(
                    "the readings at hand are to count, but there is no posterior",
                    where="design",
                    fix="give posterior=calibration.sample(problem), or keep_existing=False to begin from the priors",
                )
            return self.asked.problem.prior.draw(rng, count)
        if not self.kept:
            raise ProblemError(
                "the readings at hand are not to count, but a posterior has them in it",
                where="design",
                fix="leave the posterior out, or keep_existing=False",
            )
        return self.asked.complete(posterior_draws(self.problem, posterior, count), rng)

    def _curve(self, prediction: np.ndarray, now: np.ndarray, after: np.ndarray) -> pd.DataFrame:
        return self.of.table[list(KEYS)].assign(prediction=prediction, sd_now=now, sd_after=after)

    def _result(
        self, criterion, interest, counts, value, bound, efficiency, now, weights, slopes, order, values, errors, curve,
        draws, gain, log,
    ) -> Design:  # fmt: skip
        model = self.problem.model
        return Design(
            name=self.problem.name, criterion=criterion, interest=interest, candidates=self.of, counts=counts,
            budget=self.budget, value=value, bound=bound, efficiency=efficiency, now=now, weights=weights,
            slopes=slopes,
            order=pd.DataFrame({"purchase": order, "criterion": values}), standard_errors=errors, curve=curve,
            readings=self.problem.measurements.table, kept=self.kept, draws=draws, gain=gain,
            units={"time": str(model.time_unit or "")}
            | {name: str(model.unit(name) or "") for name in dict.fromkeys(self.of.table["observable"])},
            log=log,
        )  # fmt: skip


def _sum(rows: Float[np.ndarray, "draw item row parameter"], counts: np.ndarray) -> np.ndarray:
    """Information of some purchases."""
    flat = (rows * np.sqrt(counts)[:, None, None]).reshape(len(rows), -1, rows.shape[-1])
    return np.swapaxes(flat, 1, 2) @ flat


def _errors(now: np.ndarray, after: np.ndarray, labels: tuple[str, ...]) -> pd.DataFrame:
    ratio = np.where(np.isfinite(now), after / now, 0.0)
    index = pd.Index(labels, name="quantity")
    return pd.DataFrame({"now": now, "after": after, "ratio": ratio}, index=index)


def _remarks(gain: Gain, carried: float, name: str) -> tuple[str, ...]:
    remarks = []
    if gain.upper - gain.lower > WIDE:
        remarks.append(
            f"the gain of {name!r} is known only to lie between {gain.lower:.2f} and {gain.upper:.2f} nat: "
            "take more draws"
        )
        warnings.warn(remarks[0], TwinWarning, 4)
    if carried < 10:
        remarks.append(f"standard errors after the readings rest on {carried:.0f} draws each: they are rough")
    return tuple(remarks)


def _check(problem, budget, criterion, repeats, draws, restarts, seed, theta, posterior) -> None:
    where = "design"
    if not isinstance(problem, Problem):
        found = f"the problem is a {type(problem).__name__}"
        raise ProblemError(found, where=where, expected="a calibration.Problem")
    if criterion not in (*LETTERS, GAIN):
        raise ProblemError(
            f"the criterion is {criterion!r}", where=where, fix=suggestion(str(criterion), (*LETTERS, GAIN))
        )
    if isinstance(budget, bool) or not isinstance(budget, numbers.Real) or not (np.isfinite(budget) and budget > 0):
        raise ProblemError(f"the budget is {budget!r}", where=where, expected="a positive number")
    counts = (("repeats", repeats, 1), ("draws", draws, 2), ("restarts", restarts, 0), ("seed", seed, 0))
    for name, value, least in counts:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if value is not None and not (whole and value >= least):
            raise ProblemError(f"{name} is {value!r}", where=where, expected=f"a whole number of at least {least}")
    if theta is not None and (posterior is not None or criterion == GAIN):
        raise ProblemError(
            "a vector is given beside a posterior" if posterior is not None else "an information gain is not local",
            where="theta",
            fix="leave theta out",
        )
