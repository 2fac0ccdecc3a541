"""Readings that could be taken: a table with costs, detection limits and what is bought together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import ArrayLike, Float, Int

from calibration.problem import Problem
from twin.errors import ProblemError, suggestion
from twin.experiment import Experiment
from twin.study import Noise

type Unit = Literal["reading", "time", "series", "experiment"]

KEYS = ("experiment", "subject", "observable", "time")
OPTIONAL = {"cost": 1.0, "limit": np.nan, "noise": np.nan, "group": ""}
_TOGETHER = {
    "reading": (),
    "time": ("experiment", "subject", "time"),
    "series": ("experiment", "subject"),
    "experiment": ("experiment",),
}


@dataclass(frozen=True)
class Candidates:
    """Readings that could be taken.

    Args:
        table: Columns experiment, subject, observable, time [model time unit], cost, limit (detection limit, NaN for
            none), noise (standard deviation where the noise model takes it from the table, NaN otherwise) and group
            (rows of one group are bought together; "" for a row of its own).
        experiments: Experiments that the problem does not know, by name.
        noise: Noise models of observables that the problem has no readings of.
    """

    table: pd.DataFrame
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    noise: Mapping[str, Noise] = field(default_factory=dict)

    @property
    def items(self) -> Int[np.ndarray, " reading"]:
        """Which purchase each row belongs to; purchases are numbered in the order of the table."""
        group = self.table["group"].to_numpy(dtype=object)
        keys = [f"\0{row}" if label == "" else str(label) for row, label in enumerate(group)]
        return pd.factorize(np.array(keys, dtype=object))[0]

    @property
    def costs(self) -> Float[np.ndarray, " item"]:
        """Cost of each purchase: the sum over its rows."""
        return np.bincount(self.items, weights=self.table["cost"].to_numpy())

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        cost = self.costs
        each = f"{cost.min():g}" if np.ptp(cost) == 0 else f"{cost.min():g} to {cost.max():g}"
        return f"Candidates({len(self.table)} readings in {len(cost)} purchases of cost {each})"


def candidates(
    problem: Problem,
    times: ArrayLike,
    observables: Sequence[str] | None = None,
    *,
    series: Sequence[tuple[str, str]] | None = None,
    together: Unit = "reading",
    cost: float = 1.0,
    limit: Mapping[str, float] | None = None,
    experiments: Mapping[str, Experiment] | None = None,
    subject: str | None = None,
    noise: Mapping[str, Noise] | None = None,
) -> Candidates:
    """Every observable at every time in every series.

    Args:
        problem: The problem.
        times: Times at which one could read [model time unit].
        observables: What could be read; default what the problem's readings are of.
        series: (experiment, subject) pairs; default those of the problem, or with `experiments` only the new ones.
        together: What is bought at once: a "reading", all of a subject at a "time", a "series", or an "experiment".
        cost: Cost of a reading.
        limit: Detection limits by observable; default those of the problem's censored readings (the highest).
        experiments: New experiments by name: other doses, phases or perturbations.
        subject: Who takes part in the new experiments; default the problem's subject if there is one only, or a new
            one if no parameter belongs to a subject.
        noise: Noise models of observables that the problem has no readings of.

    Raises:
        ProblemError: no times, or something unknown.

    Example:
        >>> each_half_day = calibration.candidates(problem, np.arange(0.5, 7.5, 0.5))
    """
    at = np.atleast_1d(np.asarray(times, dtype=float))
    if at.ndim != 1 or not len(at) or not np.isfinite(at).all():
        raise ProblemError(f"the times are {times!r:.80}", where="candidates", expected="a sequence of finite numbers")
    if together not in _TOGETHER:
        raise ProblemError(f"together is {together!r}", where="candidates", fix=suggestion(str(together), _TOGETHER))
    new, extra = dict(experiments or {}), dict(noise or {})
    of = tuple(observables or problem.measurements.observables)
    if series is None:
        who = _subject(problem, subject) if new else ""
        pairs = [(name, who) for name in new] or list(problem.all_series)
    else:
        pairs = [(str(name), str(who)) for name, who in series]
    rows = [(*pair, name, float(t)) for pair in pairs for t in np.unique(at) for name in of]
    table = pd.DataFrame(rows, columns=list(KEYS)).assign(cost=float(cost))
    if limit is not None:
        table["limit"] = table["observable"].map(dict(limit)).astype(float)
    if columns := list(_TOGETHER[together]):
        table["group"] = table[columns].astype(str).agg(", ".join, axis=1)
    return check_candidates(problem, Candidates(table, new, extra))


def check_candidates(problem: Problem, given: Candidates | pd.DataFrame) -> Candidates:
    """Complete a table of candidates with the default columns, and check it.

    Raises:
        ProblemError: a column, an experiment, a subject or an observable is missing or unknown, or a number unusable.
    """
    of = given if isinstance(given, Candidates) else Candidates(given)
    if not isinstance(of.table, pd.DataFrame) or not len(of.table):
        raise ProblemError(
            "there are no candidates", where="design", expected="a table with a row per possible reading"
        )
    table = of.table.reset_index(drop=True)
    for name in KEYS:
        if name not in table.columns:
            raise ProblemError(
                f"there is no column {name!r}", where="candidates", expected=", ".join((*KEYS, *OPTIONAL))
            )
    if unknown := [str(name) for name in table.columns if name not in KEYS and name not in OPTIONAL]:
        raise ProblemError(
            f"there is a column {unknown[0]!r}", where="candidates", fix=suggestion(unknown[0], (*KEYS, *OPTIONAL))
        )
    table = table.assign(**{name: table[name].astype(str) for name in KEYS[:3]})
    if "limit" not in table.columns:
        table["limit"] = table["observable"].map(_limits(problem)).astype(float)
    for name, default in OPTIONAL.items():
        table[name] = table[name] if name in table.columns else default
    table["group"] = table["group"].fillna("").astype(str)
    _check_numbers(table)
    _check_names(problem, of, table)
    return Candidates(table[[*KEYS, *OPTIONAL]], dict(of.experiments), dict(of.noise))


def _check_numbers(table: pd.DataFrame) -> None:
    for name in ("time", "cost", "limit", "noise"):
        try:
            table[name] = table[name].astype(float)
        except (TypeError, ValueError) as error:
            raise ProblemError(f"not every {name} is a number", where="candidates") from error
    for name, fine, what in (
        ("time", np.isfinite(table["time"]), "a finite number"),
        ("cost", np.isfinite(table["cost"]) & (table["cost"] > 0), "a positive number"),
        ("noise", table["noise"].isna() | (table["noise"] > 0), "a positive number, or none"),
    ):
        if not np.all(good := np.asarray(fine)):
            row = int(np.argmin(good))
            found = f"the {name} of row {row} is {table[name].to_numpy()[row]}"
            raise ProblemError(found, where="candidates", expected=what)


def _check_names(problem: Problem, of: Candidates, table: pd.DataFrame) -> None:
    known = {**problem.experiments, **of.experiments}
    for name in of.experiments:
        if name in problem.experiments:
            raise ProblemError(
                f"the problem has an experiment {name!r} already",
                where="candidates",
                fix="give the new one another name",
            )
    for name in dict.fromkeys(map(str, table["experiment"])):
        if name not in known:
            raise ProblemError(
                f"the experiment {name!r} is not described", where="candidates", fix=suggestion(name, known)
            )
        first = float(np.min(table["time"].to_numpy()[table["experiment"].to_numpy() == name]))
        if first < float(known[name].t0):
            raise ProblemError(
                f"a reading at {first:g} is earlier than the start of its experiment at {known[name].t0:g}",
                where=f"candidates, experiment {name!r}",
            )
    for name in dict.fromkeys(table["observable"]):
        if name not in problem.model.observable_names:
            raise ProblemError(
                f"{name!r} is no observable of {problem.model.name!r}",
                where="candidates",
                fix=suggestion(name, problem.model.observable_names),
            )
        if name not in problem.noise and name not in of.noise:
            raise ProblemError(
                f"{name!r} has no noise model, since the problem has no readings of it",
                where="candidates",
                fix=f"give noise={{{name!r}: twin.Noise(...)}} to calibration.candidates",
            )


def _subject(problem: Problem, subject: str | None) -> str:
    if subject is not None:
        return str(subject)
    subjects = list(dict.fromkeys(who for _, who in problem.all_series))
    if len(subjects) == 1:
        return subjects[0]
    if any(estimate.per == "subject" for estimate in problem.estimates):
        raise ProblemError(
            f"some parameters belong to a subject, and there are {len(subjects)}",
            where="candidates",
            fix=f"say who takes part in the new experiments: subject={subjects[0]!r}, or a new name",
        )
    return "new"


def _limits(problem: Problem) -> dict[str, float]:
    table = problem.measurements.table
    censored = table[table["censoring"] == "left"]
    return {str(name): float(value) for name, value in censored.groupby("observable")["value"].max().items()}
