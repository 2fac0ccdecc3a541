"""Splits as files beside the data: which readings train and which test, fixed, and bound to the data by a hash.

A file is a CSV table under a header ``# key: text``. A row is a reading, named by what it is and not by where it stands
(experiment, subject, observable, time, and a number for repeated readings); a column ``fold N`` says "train", "test" or
nothing for each fold. The hash is that of the readings (`Measurements.sha256`), so that a remark added to the header of
a dataset does not make its splits stale, and a changed number does.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calibration.sim2real.splits import Fold, Split, make_split
from twin.errors import LibraryError, ProblemError
from twin.measurements import Measurements

if TYPE_CHECKING:
    from calibration.problem import Problem
    from twin.library import Dataset
    from twin.study import Study

FORMAT = "1"
IDENTITY = ("experiment", "subject", "observable", "time", "replicate")
FIX = "if the new data are right, make the splits again: twin benchmark --write-splits"


def identities(table: pd.DataFrame) -> list[tuple[str, str, str, float, int]]:
    """The stable identity of every reading: experiment, subject, observable, time, number among its replicates."""
    keys = ["experiment", "subject", "observable", "time"]
    replicate = table.groupby(keys, sort=False).cumcount() + 1
    columns = [table[name].astype(str) for name in keys[:3]]
    return list(zip(*columns, table["time"].astype(float), replicate.astype(int), strict=True))


def split_text(dataset: Dataset, split: Split) -> str:
    """A split as the text of its file; the same split of the same data gives the same text.

    Args:
        dataset: The dataset.
        split: A split of its readings, in the order of the file.
    """
    table = dataset.load()
    rows = pd.DataFrame(identities(table), columns=list(IDENTITY))
    rows["time"] = [repr(time) for time in rows["time"]]
    head = [
        f"format: {FORMAT}",
        f"dataset: {dataset.name}",
        f"split: {split.name}",
        f"readings: {len(table)}",
        f"sha256: {_readings_of(dataset).sha256}",
        f"kept: {split.kept}",
        *(f"note: {note}" for note in split.notes),
    ]
    for number, fold in enumerate(split.folds, start=1):
        head.append(f"fold {number}: {fold.label}")
        rows[f"fold {number}"] = np.where(fold.test, "test", np.where(fold.train, "train", ""))
    body = io.StringIO()
    rows.to_csv(body, index=False, lineterminator="\n")
    return "".join(f"# {line}\n" for line in head) + body.getvalue()


def read_split(dataset: Dataset, kind: str) -> Split:
    """The fixed split of a dataset, its masks in the order of the dataset's readings.

    Raises:
        LibraryError: There is no such file.
        ProblemError: The file is damaged, or the data are no longer those that it was made for.
    """
    path = dataset.split_path(kind)
    if not path.is_file():
        raise LibraryError(
            f"there is no fixed split {kind!r} of the dataset {dataset.name!r}",
            where=str(path),
            fix="make it with twin benchmark --write-splits",
        )
    text, where = path.read_text(encoding="utf-8"), f"split file {path.name}"
    head = [line[1:].strip().partition(":") for line in text.splitlines() if line.startswith("#")]
    fields = {key.strip(): value.strip() for key, _, value in head}
    _expect(fields, "format", FORMAT, where)
    _expect(fields, "dataset", dataset.name, where)
    _expect(fields, "split", kind, where)
    _expect(fields, "sha256", _readings_of(dataset).sha256, where)
    return _parsed(dataset, kind, text, fields, tuple(v.strip() for k, _, v in head if k == "note"), where)


def fixed_split(problem: Problem, kind: str) -> Split:
    """The fixed split of the dataset of a problem made from a study of the library.

    Raises:
        LibraryError: There is no such file, or no such dataset.
        ProblemError: File, data and problem do not agree.
    """
    from twin import library

    if problem.study is None:
        raise ProblemError("the problem comes from no study", where=problem.name, fix="give the split itself")
    dataset = library.dataset(problem.study.dataset)
    split = read_split(dataset, kind)
    table, source = problem.measurements.table, dataset.load()
    names = ["experiment", "subject", "observable"]
    # Times are left out: a problem may count them in another unit.
    if len(table) != len(source) or not (table[names].astype(str) == source[names].astype(str)).all(axis=None):
        raise ProblemError(
            f"the readings are not those of the dataset {dataset.name!r}, or stand in another order",
            where=problem.name,
            expected="a problem made from the study alone",
        )
    return split


def make_splits(study: Study) -> dict[str, Split]:
    """The splits that a study offers, made from the readings of its dataset by the rules of `make_split`."""
    from twin import library

    table = _readings_of(library.dataset(study.dataset)).table
    return {kind: make_split(table, kind, study) for kind in study.splits}


def write_splits(studies: Sequence[Study]) -> list[Path]:
    """Write the split files of some studies beside their datasets; files that are right already stay untouched.

    Returns:
        The files that were written.

    Raises:
        ProblemError: Two studies of one dataset hold different experiments out.
        LibraryError: The package is not installed as plain files.
    """
    from twin import library

    texts: dict[Path, str] = {}
    for study in studies:
        dataset = library.dataset(study.dataset)
        for kind, split in make_splits(study).items():
            path = dataset.split_path(kind)
            if not isinstance(path, Path):
                raise LibraryError("the package is not installed as plain files", where=str(path))
            text = split_text(dataset, split)
            if texts.setdefault(path, text) != text:
                raise ProblemError(
                    f"the study {study.name!r} wants another split {kind!r} than another study of the same data",
                    where=f"dataset {dataset.name!r}",
                    fix="let both hold the same experiments out",
                )
    changed = [path for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
    return changed


def _readings_of(dataset: Dataset) -> Measurements:
    return Measurements.from_table(
        dataset.load(), time_unit=dataset.time_unit, value_units=dataset.units, source=dataset.name
    )


def _expect(fields: dict[str, str], key: str, value: str, where: str) -> None:
    if fields.get(key) != value:
        what = "the data have changed since the split was made: " if key == "sha256" else ""
        raise ProblemError(
            f"{what}the file says {key} {fields.get(key, 'nothing')}",
            where=where,
            expected=value,
            fix=FIX,
        )


def _parsed(
    dataset: Dataset, kind: str, text: str, fields: dict[str, str], notes: tuple[str, ...], where: str
) -> Split:
    """The masks, put into the order of the dataset by the identity of each reading."""
    rows = pd.read_csv(io.StringIO(text), comment="#", dtype=str, keep_default_na=False)
    folds = [name for name in rows.columns if name.startswith("fold ")]
    if tuple(rows.columns[: len(IDENTITY)]) != IDENTITY or not folds:
        raise ProblemError(f"the columns are {', '.join(rows.columns)}", where=where, fix=FIX)
    try:
        named = zip(
            rows["experiment"], rows["subject"], rows["observable"], rows["time"], rows["replicate"], strict=True
        )
        listed = [(e, s, o, float(t), int(r)) for e, s, o, t, r in named]
    except ValueError as error:
        raise ProblemError(f"a time or replicate is no number ({error})", where=where, fix=FIX) from error
    place = {identity: index for index, identity in enumerate(listed)}
    wanted = identities(dataset.load())
    if len(place) != len(listed) or set(place) != set(wanted):
        odd = sorted(set(place) ^ set(wanted)) or ["a reading is listed twice"]
        raise ProblemError(
            f"the readings differ, first in {odd[0]}", where=where, expected="those of the data", fix=FIX
        )
    order = [place[identity] for identity in wanted]
    made = []
    for name in folds:
        cells = rows[name].to_numpy()[order]
        if odd := set(cells) - {"train", "test", ""}:
            raise ProblemError(
                f"a cell says {min(odd)!r}", where=f"{where}, column {name!r}", expected="train, test or nothing"
            )
        made.append(Fold(fields.get(name, name), cells == "train", cells == "test"))
    kept = fields.get("kept", "0")
    if not kept.isdecimal():
        raise ProblemError(f"the number of series kept is {kept!r}", where=where, fix=FIX)
    return Split(name=kind, folds=tuple(made), kept=int(kept), notes=notes)
