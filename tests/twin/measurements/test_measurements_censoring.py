"""Readings above a limit and between two limits: how they are written, and which tables are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import twin
from twin.errors import MeasurementError
from twin.measurements import Measurements

HEADER = "observable,time,value,cens,upper"


def read(write, model, rows, header=HEADER, **options):
    path = write("\n".join([header, *rows]) + "\n")
    return twin.read_measurements(path, model, value_units={"virus": "TCID50/ml", "drug": "mg/l"}, **options)


def test_the_three_kinds_in_one_table(write, model) -> None:
    rows = [
        "virus,0,>900,,",
        "virus,1,900,-1,",
        "virus,2,900,right,",
        "virus,3,<5,,",
        "virus,4,10,interval,20",
        "virus,5,7,,",
    ]
    readings = read(write, model, rows)
    table = readings.table
    assert list(table["censoring"]) == ["right", "right", "right", "left", "interval", ""]
    assert list(table["value"]) == [900.0, 900.0, 900.0, 5.0, 10.0, 7.0]
    np.testing.assert_array_equal(table["upper"], [np.nan, np.nan, np.nan, np.nan, 20.0, np.nan])
    assert "1 below detection, 3 above a limit, 1 in intervals" in repr(readings)
    assert readings.for_model(model) == readings


def test_limits_are_converted_with_the_values(write, model) -> None:
    path = write("observable,hours,value [ug/l],censoring,upper limit\ndrug,24,500,interval,2000\n")
    table = twin.read_measurements(path, model).table
    assert table[["time", "value", "upper"]].to_numpy().tolist() == [[1.0, 0.5, 2.0]]


def test_a_column_of_upper_limits_means_nothing_without_intervals(write, model) -> None:
    """As that of confidence intervals, which earlier versions ignored, too."""
    readings = read(write, model, ["virus,0,5,,9", "virus,1,4,left,"])
    assert list(readings.table.columns) == list(twin.measurements.COLUMNS)


def test_hashes_know_upper_limits_but_not_an_empty_column(write, model) -> None:
    one, other = (read(write, model, ["virus,0,5,interval,9", f"virus,1,4,interval,{x}"]) for x in (8, 9))
    assert one.sha256 != other.sha256
    plain = read(write, model, ["virus,0,5,,", "virus,1,4,interval,8"])
    assert plain.subset(np.array([True, False])).sha256 == read(write, model, ["virus,0,5,,"]).sha256


def test_wide_tables_name_the_column(write, model) -> None:
    path = write("time,virus,drug,kind,top\n0,1,2,interval,3\n")
    columns = {"censoring": {"virus": "kind"}, "upper": {"virus": "top"}}
    table = twin.read_measurements(path, model, columns=columns).table
    assert list(table["censoring"]) == ["interval", ""]
    np.testing.assert_array_equal(table["upper"], [3.0, np.nan])


def test_a_detection_limit_leaves_other_kinds_alone(write, model) -> None:
    table = read(write, model, ["virus,0,3,,", "virus,1,2,interval,9", "virus,2,99,right,"], detection_limit=4).table
    assert list(table["censoring"]) == ["left", "interval", "right"]
    assert list(table["value"]) == [4.0, 2.0, 99.0]


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("virus,1,5,interval,", "upper", r"the interval has no upper limit"),
        ("virus,1,5,interval,NaN", "upper", r"the interval has no upper limit\n.*\n.*as right"),
        ("virus,1,5,interval,4", "upper", r"the interval from 5 to 4 is empty"),
        ("virus,1,5,interval,5", "upper", r"the interval from 5 to 5 is empty"),
        ("virus,1,5,interval,inf", "upper", r"'inf' is infinite"),
        ("virus,1,5,interval,x", "upper", r"'x' is not a number"),
        ("virus,1,,interval,4", "value", r"the interval has no lower limit\n.*\n.*as left"),
        ("virus,1,5,left,9", "upper", r"the upper limit 9 stands beside a reading that is not interval-censored"),
        ("virus,1,,right,", "value", r"the reading is above a limit that is not given"),
        ("virus,1,>5,left,", "value", r"the cell says 'right', the censoring column 'left'"),
        ("virus,1,<5,interval,9", "value", r"the cell says 'left', the censoring column 'interval'"),
        ("virus,1,5,between,9", "cens", r"'between' is not a censoring word"),
    ],
)
def test_bad_limits_name_file_line_and_column(write, model, row, column, message) -> None:
    with pytest.raises(MeasurementError, match=rf"data\.csv:3, column '{column}': {message}"):
        read(write, model, ["virus,0,1,interval,2", row])


def test_an_interval_without_the_column(write, model) -> None:
    with pytest.raises(MeasurementError, match=r"data\.csv:2, column 'cens': the interval has no upper limit"):
        read(write, model, ["virus,1,5,interval"], header="observable,time,value,cens")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["virus,0,9,right,", "virus,1,8,right,"], r":3.*the upper limit of 'virus' is 8 here and 9 at .*data\.csv:2"),
        (["virus,0,9,right,", "virus,1,10,,"], r":3.*10 is above the upper limit of 'virus', 9, but is not marked"),
    ],
)
def test_upper_limits_of_one_observable_agree(write, model, rows, message) -> None:
    with pytest.raises(MeasurementError, match=r"data\.csv" + message):
        read(write, model, rows)
    assert len(read(write, model, rows, varying_limits=True)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"censoring": "interval"}, "row 0, column 'censoring': interval cannot stand here\n.*'upper'"),
        ({"censoring": "interval", "upper": np.nan}, "row 0, column 'upper': nan cannot stand here"),
        ({"censoring": "interval", "upper": 1.0}, "row 0, column 'upper': 1.0 cannot stand here\n.*above the lower"),
        ({"censoring": "left", "upper": 3.0}, "row 0, column 'upper': 3.0 cannot stand here"),
        ({"censoring": "interval", "upper": 3}, "column 'upper': the type is int64"),
    ],
)
def test_the_constructor_takes_only_the_schema(change, message) -> None:
    cells = {"experiment": "e", "subject": "1", "observable": "y", "time": 0.0, "value": 1.0, "noise": np.nan}
    with pytest.raises(MeasurementError, match=message):
        Measurements(pd.DataFrame([{**cells, **change}]))
