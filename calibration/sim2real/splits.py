"""Which readings a twin may see and which are held out to judge it: by time, by subject, by experiment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool

from calibration.sim2real.scale import SERIES, require_columns
from twin.errors import ProblemError, suggestion

if TYPE_CHECKING:
    from twin.study import Study

MIN_TRAINING_TIMES = 3
KINDS = ("time", "subject", "experiment")


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the rows of a table.

    Args:
        label: What is held out, for people: "time > 5", "subjects 1, 4".
        train: Rows to calibrate on.
        test: Rows to judge on; never a training row. A row may be in neither.
    """

    label: str
    train: Bool[np.ndarray, "reading"]
    test: Bool[np.ndarray, "reading"]

    def __post_init__(self) -> None:
        if self.train.shape != self.test.shape:
            raise ProblemError(f"train has shape {self.train.shape}, test {self.test.shape}", where=self.label)
        if np.any(self.train & self.test):
            raise ProblemError("a row is both in training and in test", where=self.label)
        for part, mask in (("training", self.train), ("test", self.test)):
            if not mask.any():
                raise ProblemError(f"no row is left for {part}", where=f"split {self.label!r}")


@dataclass(frozen=True, eq=False)
class Split:
    """A named way of holding readings out: one or more folds over the same table.

    Args:
        name: "time", "subject" or "experiment".
        folds: The folds, in order.
        kept: Series whose readings all stayed in training because too few would have remained there.
        notes: What the reader of a report should know about the split.
    """

    name: str
    folds: tuple[Fold, ...]
    kept: int = 0
    notes: tuple[str, ...] = ()


def split_time(table: pd.DataFrame, fraction: float = 0.35) -> Split:
    """Hold out the last readings of every series.

    One cut in time serves the whole table: the last `fraction` of its distinct times is held out. A series
    (experiment, subject) that would keep fewer than three training times stays in training altogether
    and is counted; so does an observable that would keep fewer than three in the whole table.

    Args:
        table: Measurements.
        fraction: Share of the distinct times to hold out, between 0 and 1.

    Raises:
        MeasurementError: Not a measurements table.
        ProblemError: `fraction` outside (0, 1), or too few times to hold any out.
    """
    require_columns(table)
    if not 0.0 < fraction < 1.0:
        raise ProblemError(f"the share to hold out is {fraction}", expected="a number between 0 and 1")
    times = table["time"].to_numpy(dtype=float)
    distinct = np.unique(times)
    if len(distinct) <= MIN_TRAINING_TIMES:
        raise ProblemError(
            f"{len(distinct)} distinct times are too few to hold out the last ones",
            expected=f"more than {MIN_TRAINING_TIMES} distinct times",
            fix="hold out subjects or experiments instead",
        )
    held = max(1, round(fraction * len(distinct)))
    cut = distinct[max(len(distinct) - held, MIN_TRAINING_TIMES) - 1]
    test = times > cut
    kept, notes = 0, []
    for columns, what in ((list(SERIES), "series"), (["observable"], "observable")):
        for _, group in table.assign(row=np.arange(len(table))).groupby(columns, sort=True):
            rows = group["row"].to_numpy()
            if test[rows].any() and len(np.unique(times[rows][~test[rows]])) < MIN_TRAINING_TIMES:
                test[rows] = False
                kept += what == "series"
                notes += [f"observable {group['observable'].iloc[0]!r} stays in training"] * (what != "series")
    if not test.any():
        raise ProblemError(
            f"no series has {MIN_TRAINING_TIMES} times up to {cut:g} and readings after it",
            expected="at least one series that spans the cut",
            fix="hold out subjects or experiments instead",
        )
    if kept:
        notes.append(f"{kept} series with fewer than {MIN_TRAINING_TIMES} times up to the cut stay in training")
    fold = Fold(label=f"time > {cut:g}", train=~test, test=test)
    return Split(name="time", folds=(fold,), kept=kept, notes=tuple(notes))


def split_subject(table: pd.DataFrame, folds: int = 3) -> Split:
    """Hold out subjects, each exactly once.

    Subjects are sorted (numbers in names as numbers) and dealt to the folds in turn, so the division does not
    depend on row order or chance. With no more subjects than `folds` or three, each is held out alone. A
    subject seen in several experiments is held out of all of them at once.

    Args:
        table: Measurements.
        folds: Number of folds, at least 2.

    Raises:
        MeasurementError: Not a measurements table.
        ProblemError: Fewer than two subjects, or fewer than two folds.
    """
    require_columns(table)
    if folds < 2:
        raise ProblemError(f"{folds} folds asked for", expected="at least 2 folds")
    names = table["subject"].astype(str)
    subjects = sorted(names.unique(), key=_natural)
    if len(subjects) < 2:
        raise ProblemError(
            "the table has one subject only; none can be held out",
            expected="two subjects or more",
            fix="hold out the last times or an experiment instead",
        )
    count = len(subjects) if len(subjects) <= max(folds, 3) else folds
    made = []
    for first in range(count):
        held = subjects[first::count]
        test = names.isin(held).to_numpy()
        made.append(Fold(label=_listed("subject", held), train=~test, test=test))
    return Split(name="subject", folds=tuple(made))


def split_experiment(table: pd.DataFrame, held_out: Sequence[str]) -> Split:
    """Hold out whole experiments (doses, arms), all the named ones together.

    Args:
        table: Measurements.
        held_out: Names of the experiments to hold out.

    Raises:
        MeasurementError: Not a measurements table.
        ProblemError: No name, an unknown name, or no experiment left to train on.
    """
    require_columns(table)
    names = table["experiment"].astype(str)
    known = sorted(names.unique(), key=_natural)
    if isinstance(held_out, str):
        held_out = (held_out,)
    if not held_out:
        raise ProblemError(
            "no experiment is named to be held out", expected="one name or more", fix=suggestion("", known)
        )
    for name in held_out:
        if name not in known:
            raise ProblemError(f"the table has no experiment {name!r} to hold out", fix=suggestion(str(name), known))
    if set(held_out) == set(known):
        raise ProblemError(
            "every experiment is held out; none is left to train on",
            expected="at least one experiment that is not held out",
        )
    test = names.isin(list(held_out)).to_numpy()
    label = _listed("experiment", sorted(set(held_out), key=_natural))
    return Split(name="experiment", folds=(Fold(label=label, train=~test, test=test),))


def make_split(table: pd.DataFrame, kind: str, study: Study | None = None) -> Split:
    """The split called `kind`, with the study's choice of held-out experiments.

    Raises:
        MeasurementError: Not a measurements table.
        ProblemError: An unknown kind, one the study rules out, or one the data do not allow.
    """
    if kind not in KINDS:
        raise ProblemError(f"there is no split {kind!r}", fix=suggestion(kind, KINDS))
    if study is not None and kind not in study.splits:
        raise ProblemError(
            f"the study {study.name!r} does not offer the split {kind!r}",
            expected="one of " + ", ".join(study.splits),
        )
    if kind == "time":
        return split_time(table)
    if kind == "subject":
        return split_subject(table)
    return split_experiment(table, study.held_out_experiments if study is not None else ())


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts "2" before "10"."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part), "") if index % 2 else (1, 0, part) for index, part in enumerate(parts))


def _listed(what: str, names: Sequence[str]) -> str:
    """ "subjects 1, 4, 7"; long lists are cut and counted."""
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"{what}{'s' if len(names) > 1 else ''} {shown}"
