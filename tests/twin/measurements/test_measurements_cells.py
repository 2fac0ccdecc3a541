"""Cells: numbers, names, censoring, missing values, times, replicates, dose rows."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import MeasurementError
from twin.measurements import Measurements, read_measurements
from twin.measurements.cells import CellError, read_name, read_number


def read(write, model, rows, header="observable,time,value", **options):
    return read_measurements(write(header + "\n" + "\n".join(rows) + "\n"), model, **options)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_exactly(number):
    assert read_number(repr(number)) == number
    assert read_number(f" {number!r} ") == number
    assert read_number(number) == number
    assert read_number(np.float64(number)) == number


@given(st.text(max_size=12))
def test_any_text_is_a_number_a_missing_cell_or_refused(text):
    try:
        number = read_number(text)
    except CellError as error:
        assert error.expected
    else:
        assert math.isnan(number) or number == float(text)


@pytest.mark.parametrize("cell", [3, np.int64(3), np.float32(3), "3", "+3.", "3e0", "0.3E1", decimal.Decimal(3)])
def test_kinds_of_numbers(cell):
    assert read_number(cell) == 3.0


@pytest.mark.parametrize("cell", ["", " ", ".", "NA", "N/A", "nan", "NULL", "None", None, math.nan, pd.NA, pd.NaT])
def test_missing_numbers(cell):
    assert math.isnan(read_number(cell))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1_000", "'1_000' is not a number"),
        ("1,5", "'1,5' is not a number"),
        ("0x10", "'0x10' is not a number"),
        ("٣", "is not a number"),
        ("1 2", "'1 2' is not a number"),
        ("x" * 200, r"'x{57}\.\.\.' is not a number"),
        ("inf", "'inf' is infinite"),
        ("-Infinity", "'-Infinity' is infinite"),
        ("1e999", "'1e999' is infinite"),
        (math.inf, "'inf' is infinite"),
        (10**400, "is infinite"),
        (True, r"'True' \(bool\) is not a number"),
        (np.bool_(False), r"'False' \(bool\w*\) is not a number"),
        (1j, r"'1j' \(complex\) is not a number"),
        (pd.Timestamp("2020-01-01"), r"\(Timestamp\) is not a number"),
        (datetime.date(2020, 1, 1), r"\(date\) is not a number"),
        ([1.0], r"\(list\) is not a number"),
    ],
)
def test_what_is_no_number(cell, message):
    with pytest.raises(CellError, match=message):
        read_number(cell)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (3, "3"),
        (3.0, "3"),
        (3.5, "3.5"),
        (" a b ", "a b"),
        ("NA", "NA"),
        (None, ""),
        (math.nan, ""),
        (pd.NA, ""),
    ],
)
def test_names(cell, name):
    # "NA" is a name: sodium is measured, too.
    assert read_name(cell) == name


def test_faults_are_listed_ten_at_most(write, model):
    rows = ["virus,1,2"] + [f"virus,{time},x{time}" for time in range(14)]
    message = (
        r"data\.csv:3, column 'value': 'x0' is not a number "
        r"\(14 such lines: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 4 more\)"
    )
    with pytest.raises(MeasurementError, match=message):
        read(write, model, rows)


def test_rows_of_a_data_frame_are_named_by_its_index():
    table = pd.DataFrame({"time": [1, 2], "value": [1, "x"]}, index=["first", "second"])
    with pytest.raises(MeasurementError, match=r"lab, row 'second', column 'value': 'x' is not a number"):
        Measurements.from_table(table, observable="virus", source="lab")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("virus,1,abc", r":3, column 'value': 'abc' is not a number"),
        ("virus,abc,1", r":3, column 'time': 'abc' is not a number"),
        ('virus,1,"1,5"', r":3, column 'value': '1,5' is not a number\n.*\n.*write a decimal point: 1\.5"),
        ("virus,1,ND", r":3, column 'value': 'ND' is not a number\n.*\n.*write '<' and the limit"),
        ("virus,1,inf", r":3, column 'value': 'inf' is infinite"),
        ("virus,-inf,1", r":3, column 'time': '-inf' is infinite"),
        ("virus,1,", r":3, column 'value': the value is missing"),
        ("virus,1,NaN", r":3, column 'value': the value is missing\n.*\n.*missing='drop'"),
        ("virus,,1", r":3, column 'time': the time is missing"),
        ("virus,NaN,1", r":3, column 'time': the time is missing"),
        ("virus,-0.5,1", r":3, column 'time': the time is negative, -0\.5\n.*\n.*allow_negative_time=True"),
        (" ,1,1", r":3, column 'observable': the cell is empty"),
        ("virus,1,<LOD", r":3, column 'value': the reading is below a detection limit that is not given"),
        ("virus,1,>", r":3, column 'value': '>' is not a number"),
        ("virus,1,>x", r":3, column 'value': 'x' is not a number"),
        ("virus,1,<", r":3, column 'value': '<' is not a number"),
        ("virus,1,<x", r":3, column 'value': 'x' is not a number"),
    ],
)
def test_bad_cells(write, model, row, message):
    with pytest.raises(MeasurementError, match=r"data\.csv" + message):
        read(write, model, ["drug,0,1", row])


@pytest.mark.parametrize("column", ["subject", "experiment"])
def test_empty_names(write, model, column):
    with pytest.raises(MeasurementError, match=rf"data\.csv:3, column '{column}': the cell is empty"):
        read(write, model, ["a,drug,0,1", ",drug,1,2"], header=f"{column},observable,time,value")


def test_missing_values_are_dropped_on_request_and_counted(write, model):
    readings = read(write, model, ["virus,1,2", "virus,,", "drug,3,NA", "drug,4,5"], missing="drop")
    assert readings.table["time"].tolist() == [1.0, 4.0]
    assert readings.dropped == 2
    assert "2 without value left out" in repr(readings)
    with pytest.raises(MeasurementError, match="there are no readings: every value is missing"):
        read(write, model, ["virus,1,", "drug,1,NA"], missing="drop")
    with pytest.raises(MeasurementError, match=r"data\.csv:3, column 'time': the time is missing"):
        read(write, model, ["virus,1,", "drug,,1"], missing="drop")


def test_empty_cells_of_wide_tables_follow_the_same_rule(write, model):
    path = write("day,virus,drug\n0,1,\n1,2,3\n2,,4\n")
    with pytest.raises(
        MeasurementError, match=r"data\.csv:2, column 'drug': the value is missing \(2 such lines: 2, 4\)"
    ):
        read_measurements(path, model)
    assert len(read_measurements(path, model, missing="drop")) == 4


@pytest.mark.parametrize(("option", "value"), [("missing", "skip"), ("replicates", "yes")])
def test_unknown_options(write, model, option, value):
    with pytest.raises(MeasurementError, match=f"{option} is '{value}'"):
        read(write, model, ["virus,1,2"], **{option: value})


def test_negative_times_on_request(write, model):
    assert read(write, model, ["virus,-1,2"], allow_negative_time=True).table["time"].tolist() == [-1.0]
    assert read(write, model, ["virus,-0.0,2"]).table["time"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("0", "the noise is 0"),
        ("-1", "the noise is -1"),
        ("inf", "'inf' is infinite"),
        ("big", "'big' is not a number"),
    ],
)
def test_noise_must_be_positive(write, model, cell, message):
    with pytest.raises(MeasurementError, match=rf"data\.csv:3, column 'sd': {message}"):
        read(write, model, ["virus,1,2,1", f"virus,2,2,{cell}"], header="observable,time,value,sd")


def test_noise_may_be_missing(write, model):
    readings = read(write, model, ["virus,1,2,0.5", "virus,2,3,"], header="observable,time,value,sd")
    assert readings.table["noise"].fillna(-1).tolist() == [0.5, -1.0]


@pytest.mark.parametrize("word", ["1", "left", "LEFT", "true", "True", "yes", "1.0"])
def test_left_censoring(word):
    table = pd.DataFrame({"time": [1], "value": [2], "cens": [float(word) if word == "1.0" else word]})
    assert Measurements.from_table(table, observable="v").table["censoring"].tolist() == ["left"]


@pytest.mark.parametrize("word", ["0", "", "false", "no", "none", False, 0, 0.0, None, math.nan])
def test_no_censoring(word):
    table = pd.DataFrame({"time": [1], "value": [2], "cens": pd.Series([word], dtype=object)})
    assert Measurements.from_table(table, observable="v").table["censoring"].tolist() == [""]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("between", "'between' is not a censoring word"),
        ("2", "'2' is not a censoring word"),
    ],
)
def test_other_censoring_words(write, model, word, message):
    with pytest.raises(MeasurementError, match=rf"data\.csv:3, column 'cens': {message}"):
        read(write, model, ["virus,1,2,0", f"virus,2,2,{word}"], header="observable,time,value,cens")


def test_replicates_that_differ_stand(write, model):
    rows = ["virus,1,2", "virus,1,2.5", "drug,1,2"]
    assert len(read(write, model, rows)) == 3
    with pytest.raises(
        MeasurementError,
        match=r"data\.csv:3, column 'value': a reading of 'virus' .* stands at .*data\.csv:2 already",
    ):
        read(write, model, rows, replicates="error")


def test_equal_replicates_are_suspicious(write, model):
    rows = ["virus,1,2", "virus,1,3", "virus,1,2.0", "virus,1,2", "virus,2,2"]
    message = (
        r"data\.csv:4, column 'value': the value 2 of 'virus' .* at time 1 stands at .*:2 already "
        r"\(2 such lines: 4, 5\)"
    )
    with pytest.raises(MeasurementError, match=message):
        read(write, model, rows)
    assert len(read(write, model, rows, replicates="identical")) == 5


def test_equal_readings_of_other_series_are_no_replicates(write, model):
    rows = ["a,1,virus,1,2", "a,2,virus,1,2", "b,1,virus,1,2", "b,1,drug,1,2", "b,1,drug,2,2"]
    assert len(read(write, model, rows, header="arm,id,observable,time,value", replicates="error")) == 5


def test_censored_replicates_are_equal_by_nature(write, model):
    rows = ["virus,1,<5", "virus,1,<5"]
    assert len(read(write, model, rows)) == 2
    with pytest.raises(MeasurementError, match=r"data\.csv:3.*a reading of 'virus'"):
        read(write, model, rows, replicates="error")


@pytest.mark.parametrize("column", ["evid", "MDV"])
def test_dose_rows_are_refused(write, model, column):
    header = f"observable,time,value,{column}"
    assert len(read(write, model, ["drug,0,1,0", "drug,1,2,."], header=header)) == 2
    message = rf"data\.csv:2, column '{column}': the row is a dose or another event.*2, 3\)[\s\S]*twin\.Experiment"
    with pytest.raises(MeasurementError, match=message):
        read(write, model, ["drug,0,0,1", "drug,1,0,4", "drug,2,3,0"], header=header)


def test_from_table_takes_only_data_frames():
    with pytest.raises(MeasurementError, match=r"table: the table is a str[\s\S]*read_measurements"):
        Measurements.from_table("data.csv")
    with pytest.raises(MeasurementError, match="table: there are no readings, only a header"):
        Measurements.from_table(pd.DataFrame({"time": [], "value": []}), observable="v")
    with pytest.raises(MeasurementError, match="table: two columns are named 'time'"):
        Measurements.from_table(pd.DataFrame([[1, 2, 3]], columns=["time", "time", "value"]), observable="v")


def test_nullable_categorical_and_integer_columns():
    table = pd.DataFrame(
        {
            "id": pd.Categorical(["b", "a"]),
            "time": pd.array([1, 2], dtype="Int64"),
            "value": pd.array([1.5, 2.5], dtype="Float64"),
            "sd": pd.array([0.5, None], dtype="Float64"),
            "cens": pd.array([True, False], dtype="boolean"),
        }
    )
    readings = Measurements.from_table(table, observable="v", varying_limits=True)
    assert readings.series == [("default", "b"), ("default", "a")]
    assert readings.table["noise"].fillna(-1).tolist() == [0.5, -1.0]
    assert readings.table["censoring"].tolist() == ["left", ""]
