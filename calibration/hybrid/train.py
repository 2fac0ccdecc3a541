"""Train a learned term beside its mechanism, with a penalty that is chosen on held-out readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calibration.hybrid.problem import hybrid_problem, share_likelihood
from calibration.hybrid.result import Hybrid
from calibration.hybrid.term import NeuralTerm
from calibration.optimise import Fit, fit
from calibration.predict import predict_draws
from calibration.problem import Problem
from calibration.sim2real.assay import assay_limits
from calibration.sim2real.scores import score_readings
from calibration.sim2real.splits import Fold, Split, split_subject, split_time
from twin.errors import ProblemError, TwinError
from twin.progress import progress

WIDTHS = (0.1, 0.3, 1.0, 3.0)
REPLICATES = 400
"""Readings drawn around the best fit for its CRPS."""

Held = Literal["experiment", "subject", "time"]


def train_hybrid(
    problem: Problem,
    term: NeuralTerm,
    *,
    widths: Sequence[float] = WIDTHS,
    held_out: Held | Split = "experiment",
    folds: int = 3,
    starts: int = 8,
    seed: int = 0,
    quiet: bool = False,
) -> Hybrid:
    """Fit a mechanism with a learned term; how strongly its size is penalised is chosen on held-out readings.

    Each width of the prior is fitted from several starts to the training readings of each fold, through the same
    solver and sensitivities as any problem, and the held-out readings are scored by the CRPS of the best fit with its
    noise. The width with the least mean score is fitted to all readings. Readings on which the result is to be judged
    must not be among those given.

    Args:
        problem: The problem of the mechanism alone, with the readings to train on.
        term: The learned term.
        widths: Widths to choose from [unit of the term]: how large the term may be expected to be.
        held_out: What the choice holds out: experiments dealt to the folds, subjects likewise, the last times, or a
            split of one's own.
        folds: Number of folds, for experiments and subjects.
        starts: Starts of each fit, drawn from the priors.
        seed: Seed of starts and draws.
        quiet: Show no progress.

    Raises:
        ProblemError: no width, one that is not positive, or readings that cannot be held out so.
        SimulationError: nothing could be fitted.

    Example:
        >>> found = train_hybrid(problem, term, widths=(0.3, 1.0, 3.0))
        >>> found.choice, found.size()
        >>> calibration.assess(found.problem, split="experiment")
    """
    if not len(widths) or len(set(widths)) != len(widths):
        raise ProblemError(f"the widths are {list(widths)}", where="train_hybrid", expected="distinct positive numbers")
    split = held_out if isinstance(held_out, Split) else _split(problem.measurements.table, held_out, folds)
    with_term = {width: hybrid_problem(problem, term, width) for width in widths}
    table = {}
    with progress("choosing the penalty", len(split.folds), quiet) as line:
        for index, fold in enumerate(split.folds):
            # All widths of a fold have one likelihood, which is compiled once.
            trained = {width: each.with_rows(fold.train) for width, each in with_term.items()}
            first = trained[widths[0]]
            scores = {0.0: _score(problem, problem.with_rows(fold.train), fold, starts, seed)}
            for width, each in trained.items():
                share_likelihood(first, each)
                scores[float(width)] = _score(with_term[width], each, fold, starts, seed)
            table[fold.label] = scores
            line.update(index + 1, fold.label)
    choice = pd.DataFrame(table).rename_axis("width").sort_index()
    mean = choice.mean(axis=1)
    error = choice.std(axis=1, ddof=1) / np.sqrt(choice.shape[1])
    choice.insert(0, "crps", mean)
    choice.insert(1, "error", error)
    width = float(mean.drop(0.0).idxmin())
    return Hybrid(
        mechanism=problem,
        problem=with_term[width],
        term=term,
        width=width,
        choice=choice,
        fit=fit(with_term[width], starts=starts, seed=seed, quiet=quiet),
        mechanism_fit=fit(problem, starts=starts, seed=seed, quiet=quiet),
    )


def _score(problem: Problem, train: Problem, fold: Fold, starts: int, seed: int) -> float:
    """Mean CRPS of the fold's held-out readings by the best fit to its training readings."""
    found = fit(train, starts=starts, seed=seed, quiet=True)
    return held_out_crps(problem, found, fold, seed)


def held_out_crps(problem: Problem, found: Fit, fold: Fold, seed: int = 0) -> float:
    """Mean CRPS, on the score scales, of a fold's held-out readings by a fit's best vector with its noise.

    Infinite where they cannot be integrated: such a fit is not to be chosen.
    """
    table = problem.measurements.table
    drawn = predict_draws(problem.with_rows(fold.test), found.best[None], seed=seed, replicates=REPLICATES)
    if not drawn.ok.all():
        return float("inf")
    rows = table.loc[fold.test]
    limits = assay_limits(table)[fold.test]
    try:
        scores = score_readings(rows, drawn.reading, scale=problem.score_scale, limits=limits, seed=seed)
    except TwinError as error:
        raise ProblemError(f"held-out readings cannot be scored: {error}", where=fold.label) from error
    return float(scores["crps"].mean())


def _split(table: pd.DataFrame, held_out: str, folds: int) -> Split:
    if held_out == "time":
        return split_time(table)
    if held_out == "subject":
        return split_subject(table, folds)
    if held_out != "experiment":
        raise ProblemError(
            f"held_out is {held_out!r}", where="train_hybrid", expected='"experiment", "subject", "time" or a Split'
        )
    if folds < 2:
        raise ProblemError(f"{folds} folds asked for", where="train_hybrid", expected="at least 2")
    names = table["experiment"].astype(str)
    known = list(dict.fromkeys(names))
    if len(known) < 2:
        raise ProblemError(
            "there is one experiment only; none can be held out",
            where="train_hybrid",
            fix='held_out="time" or "subject"',
        )
    made = []
    for first in range(min(folds, len(known))):
        held = known[first :: min(folds, len(known))]
        test = names.isin(held).to_numpy()
        made.append(Fold("without " + ", ".join(held), ~test, test))
    return Split("experiment", tuple(made))
