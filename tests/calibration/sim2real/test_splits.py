"""Splits: what is held out, what never may be, and what cannot be split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.sim2real.splits import Fold, Split, make_split, split_experiment, split_subject, split_time
from twin.errors import MeasurementError, ProblemError

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Tables of a few series with ragged times, in any row order."""
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from("ABC"), st.integers(1, 5), st.sampled_from(["x", "y"]), st.integers(0, 12)),
            min_size=1,
            max_size=60,
        )
    )
    table = pd.DataFrame(rows, columns=["experiment", "subject", "observable", "time"])
    return table.assign(subject=table["subject"].astype(str), time=table["time"] * 0.5, value=1.0, censoring="")


def check(table: pd.DataFrame, split: Split) -> None:
    """What holds of every split."""
    for fold in split.folds:
        assert fold.train.shape == fold.test.shape == (len(table),)
        assert fold.train.dtype == fold.test.dtype == bool
        assert not np.any(fold.train & fold.test)
        assert fold.train.any() and fold.test.any() and fold.label


@QUICK
@given(tables(), st.floats(0.05, 0.95))
def test_time_split_keeps_the_past_of_every_series_it_tests(table: pd.DataFrame, fraction: float) -> None:
    try:
        split = split_time(table, fraction)
    except ProblemError:
        return
    check(table, split)
    (fold,) = split.folds
    assert np.all(fold.train | fold.test)
    tested = table.loc[fold.test]
    for keys, rows in tested.groupby(["experiment", "subject"]):
        same = (table["experiment"] == keys[0]) & (table["subject"] == keys[1])
        past = table.loc[same & fold.train]
        assert past.loc[past["time"] < rows["time"].min(), "time"].nunique() >= 3
    assert tested["time"].min() > table.loc[fold.train & (table["time"] < tested["time"].min()), "time"].max()


@QUICK
@given(tables(), st.integers(2, 4))
def test_every_subject_is_held_out_once_whatever_the_row_order(table: pd.DataFrame, folds: int) -> None:
    try:
        split = split_subject(table, folds)
    except ProblemError:
        assert table["subject"].nunique() == 1
        return
    check(table, split)
    assert np.all(sum(fold.test.astype(int) for fold in split.folds) == 1)
    for fold in split.folds:
        assert not set(table.loc[fold.train, "subject"]) & set(table.loc[fold.test, "subject"])
    shuffled = table.sample(frac=1.0, random_state=1)
    again = split_subject(shuffled, folds)
    assert [f.label for f in again.folds] == [f.label for f in split.folds]


@QUICK
@given(tables(), st.sets(st.sampled_from("ABC"), min_size=1, max_size=2))
def test_held_out_experiments_are_not_trained_on(table: pd.DataFrame, names: set[str]) -> None:
    known = set(table["experiment"])
    if not names <= known or names == known:
        with pytest.raises(ProblemError, match="experiment"):
            split_experiment(table, sorted(names))
        return
    split = split_experiment(table, sorted(names))
    check(table, split)
    assert set(table.loc[split.folds[0].test, "experiment"]) == names


def test_about_a_third_of_the_times_is_held_out(table_of) -> None:
    fold = split_time(table_of(subjects=3)).folds[0]
    assert 0.30 <= fold.test.mean() <= 0.40
    assert fold.label == "time > 6.5"


def test_short_series_stays_in_training_and_is_counted(table_of) -> None:
    long = table_of(subjects=2)
    short = table_of(times=np.array([0.0, 9.0, 10.0])).assign(subject="short")
    table = pd.concat([long, short], ignore_index=True)
    split = split_time(table)
    assert split.kept == 1
    assert not split.folds[0].test[table["subject"] == "short"].any()
    assert "1 series" in split.notes[0]


def test_subjects_are_dealt_in_natural_order_and_few_are_held_out_alone(table_of) -> None:
    labels = [fold.label for fold in split_subject(table_of(subjects=10)).folds]
    assert labels == ["subjects 1, 4, 7, 10", "subjects 2, 5, 8", "subjects 3, 6, 9"]
    assert [f.label for f in split_subject(table_of(subjects=3), folds=2).folds] == [
        "subject 1",
        "subject 2",
        "subject 3",
    ]


def test_what_cannot_be_split_is_refused(table_of) -> None:
    table = table_of(experiments=("low", "high"))
    with pytest.raises(ProblemError, match="one subject only"):
        split_subject(table)
    with pytest.raises(ProblemError, match="every experiment is held out"):
        split_experiment(table, ["low", "high"])
    with pytest.raises(ProblemError, match="did you mean 'high'"):
        split_experiment(table, ["hgih"])
    with pytest.raises(ProblemError, match="no experiment is named"):
        make_split(table, "experiment")
    with pytest.raises(ProblemError, match="too few to hold out"):
        split_time(table_of(times=np.array([0.0, 1.0, 2.0])))
    with pytest.raises(ProblemError, match="between 0 and 1"):
        split_time(table, fraction=1.0)
    with pytest.raises(ProblemError, match="at least 2 folds"):
        split_subject(table_of(subjects=3), folds=1)
    with pytest.raises(ProblemError, match="did you mean 'subject'"):
        make_split(table, "subjects")
    with pytest.raises(MeasurementError, match="no column 'subject'"):
        make_split(table.drop(columns="subject"), "time")
    with pytest.raises(MeasurementError, match="no rows"):
        split_time(table.iloc[:0])
    with pytest.raises(ProblemError, match="both in training and in test"):
        Fold("bad", np.array([True]), np.array([True]))


def test_the_study_decides_which_splits_and_experiments(table_of) -> None:
    @dataclass
    class Offer:
        name: str = "s"
        splits: tuple[str, ...] = ("experiment",)
        held_out_experiments: tuple[str, ...] = ("high",)

    table = table_of(experiments=("low", "high"))
    split = make_split(table, "experiment", Offer())  # type: ignore[arg-type]
    assert split.folds[0].label == "experiment high"
    with pytest.raises(ProblemError, match="does not offer the split 'time'"):
        make_split(table, "time", Offer())  # type: ignore[arg-type]
