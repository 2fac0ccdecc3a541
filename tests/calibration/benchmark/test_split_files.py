"""Fixed splits: every library study has them, they agree with rules and data, and changed data are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.benchmark.split_files import identities, make_splits, read_split, split_text, write_splits
from twin import library
from twin.errors import LibraryError, ProblemError
from twin.library import Dataset

CASES = [(name, kind) for name in library.list_studies() for kind in library.study(name).splits]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A dataset in a package of its own, whose files can be damaged."""
    package = tmp_path / "lab"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    source = library.dataset("theophylline")
    (package / "theophylline.csv").write_text(source.path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    dataset = Dataset.from_csv("theophylline", "lab", "theophylline.csv")
    monkeypatch.setattr(library, "dataset", lambda name: dataset)
    write_splits([library.study("theophylline")])
    yield package
    import sys

    sys.modules.pop("lab", None)


@pytest.mark.parametrize(("study", "kind"), CASES)
def test_the_committed_files_are_what_the_rules_make(study: str, kind: str) -> None:
    description = library.study(study)
    dataset = library.dataset(description.dataset)
    made, fixed = make_splits(description)[kind], read_split(dataset, kind)
    assert (fixed.name, fixed.kept, fixed.notes) == (made.name, made.kept, made.notes)
    assert [fold.label for fold in fixed.folds] == [fold.label for fold in made.folds]
    for one, other in zip(fixed.folds, made.folds, strict=True):
        np.testing.assert_array_equal(one.train, other.train)
        np.testing.assert_array_equal(one.test, other.test)
    assert dataset.split_path(kind).read_text(encoding="utf-8") == split_text(dataset, made)


@pytest.mark.parametrize("study", [name for name, kind in CASES if kind == "time"])
def test_held_out_time_is_the_last_third_or_so(study: str) -> None:
    dataset = library.dataset(library.study(study).dataset)
    table, test = dataset.load(), read_split(dataset, "time").folds[0].test
    times = table["time"].to_numpy()
    distinct = np.unique(times)
    # 35 % of the distinct times, rounded to whole times.
    assert abs(len(np.unique(times[test])) - 0.35 * len(distinct)) <= 0.5 + 1e-9
    # A series that would keep fewer than three times stays in training as a whole.
    for _, rows in table.groupby(["experiment", "subject", "observable"]).indices.items():
        if test[rows].any():
            assert times[rows][~test[rows]].max(initial=-np.inf) < times[test].min()


def test_the_treatment_arms_are_predicted_from_placebo_alone() -> None:
    dataset = library.dataset("influenza_hayden1996")
    (fold,) = read_split(dataset, "experiment").folds
    table = dataset.load()
    assert set(table.loc[fold.train, "experiment"]) == {"placebo"}
    assert set(table.loc[fold.test, "experiment"]) == {"early", "delayed"}


def test_repeated_readings_are_told_apart(copied: Path) -> None:
    table = library.dataset("theophylline").load()
    twice = table.iloc[[0, 1, 0]]
    assert [identity[-1] for identity in identities(twice)] == [1, 1, 2]


def test_a_split_does_not_depend_on_the_order_of_its_file(copied: Path) -> None:
    path = copied / "splits" / "theophylline_time.csv"
    before = read_split(library.dataset("theophylline"), "time")
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("experiment,")) + 1
    path.write_text("\n".join([*lines[:first], *reversed(lines[first:])]) + "\n", encoding="utf-8")
    after = read_split(library.dataset("theophylline"), "time")
    np.testing.assert_array_equal(before.folds[0].test, after.folds[0].test)


def test_changed_data_are_refused_until_the_splits_are_made_again(copied: Path) -> None:
    data = copied / "theophylline.csv"
    text = data.read_text(encoding="utf-8")
    dataset = library.dataset("theophylline")
    data.write_text(text.replace("# doubt:", "# doubt: Also,", 1), encoding="utf-8")
    read_split(dataset, "time")  # a remark is no reading
    data.write_text(text.replace(",0.74,", ",0.75,", 1), encoding="utf-8")
    with pytest.raises(ProblemError, match="the data have changed since the split was made"):
        read_split(dataset, "time")
    assert len(write_splits([library.study("theophylline")])) == 2
    read_split(dataset, "time")
    assert write_splits([library.study("theophylline")]) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# format: 1", "# format: 9", "the file says format 9"),
        ("# split: time", "# split: dose", "the file says split dose"),
        ("# dataset: theophylline", "# dataset: aspirin", "the file says dataset aspirin"),
        ("oral_4.02,1,concentration,0.25,1,train\n", "", "the readings differ, first in"),
        ("concentration,0.25,1,train", "concentration,0.25,1,maybe", "a cell says 'maybe'"),
        ("concentration,0.25,1,train", "concentration,early,1,train", "a time or replicate is no number"),
        ("replicate,fold 1", "number,fold 1", "the columns are"),
        ("# kept: 0", "# kept: many", "the number of series kept is 'many'"),
    ],
)
def test_damaged_files_are_refused(copied: Path, old: str, new: str, said: str) -> None:
    path = copied / "splits" / "theophylline_time.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProblemError, match=said):
        read_split(library.dataset("theophylline"), "time")


def test_a_missing_file_says_how_to_make_it(copied: Path) -> None:
    with pytest.raises(LibraryError, match="--write-splits"):
        read_split(library.dataset("theophylline"), "experiment")


def test_two_studies_of_one_dataset_must_agree(copied: Path) -> None:
    study = replace(library.study("theophylline"), splits=("experiment",), held_out_experiments=("oral_4",))
    rival = replace(study, name="rival", held_out_experiments=("oral_5.3",))
    with pytest.raises(ProblemError, match="'rival' wants another split 'experiment'"):
        write_splits([study, rival])
