"""Detection limits: declared, written in cells, or beside a mark."""

from __future__ import annotations

import math

import pytest

from twin.errors import MeasurementError
from twin.measurements import read_measurements

HEADER = "observable,time,value,cens\n"


def values(readings):
    return list(zip(readings.table["value"], readings.table["censoring"], strict=True))


def test_the_number_beside_a_mark_is_the_limit(write, model):
    readings = read_measurements(write(HEADER + "virus,1,10,0\nvirus,2,5,1\nvirus,3,5,left\n"), model)
    assert values(readings) == [(10.0, ""), (5.0, "left"), (5.0, "left")]


def test_limits_written_in_cells(write, model):
    readings = read_measurements(write("observable,time,value\nvirus,1,10\nvirus,2,<5\nvirus,3,< 5\n"), model)
    assert values(readings) == [(10.0, ""), (5.0, "left"), (5.0, "left")]


def test_a_declared_limit(write, model):
    text = HEADER + "virus,1,10,0\nvirus,2,0,0\nvirus,3,2.5,1\nvirus,4,,1\nvirus,5,BLQ,0\nvirus,6,5,0\n"
    readings = read_measurements(write(text), model, detection_limit=5)
    # A reading at the limit was detected.
    assert values(readings) == [(10.0, ""), *[(5.0, "left")] * 4, (5.0, "")]


def test_a_declared_limit_by_observable(write, model):
    text = "observable,time,value\nvirus,1,1\ndrug,1,1\n"
    readings = read_measurements(write(text), model, detection_limit={"virus": 5})
    assert values(readings) == [(5.0, "left"), (1.0, "")]


def test_limits_are_converted_with_the_values(write, model):
    text = "observable,time,value\ndrug,1,10\ndrug,2,<5\ndrug,3,BLQ\n"
    readings = read_measurements(write(text), model, detection_limit=5, value_units="ug/l")
    assert readings.table["value"].tolist() == pytest.approx([0.01, 0.005, 0.005])


def test_a_marked_reading_above_the_limit_is_a_contradiction(write, model):
    with pytest.raises(MeasurementError, match=r"data\.csv:2, column 'value': .* but 7 is above 5"):
        read_measurements(write(HEADER + "virus,1,7,1\n"), model, detection_limit=5)


def test_a_mark_without_a_limit(write, model):
    with pytest.raises(MeasurementError, match=r"data\.csv:2, column 'value': .* a detection limit that is not given"):
        read_measurements(write(HEADER + "virus,1,,1\n"), model)


def test_limits_that_differ(write, model):
    path = write(HEADER + "virus,1,10,0\nvirus,2,5,1\nvirus,3,6,1\nvirus,4,7,1\ndrug,1,3,1\n")
    message = (
        r"data\.csv:4, column 'value': the detection limit of 'virus' is 6 here and 5 at .*data\.csv:3 "
        r"\(2 such lines: 4, 5\)[\s\S]*varying_limits=True"
    )
    with pytest.raises(MeasurementError, match=message):
        read_measurements(path, model)
    readings = read_measurements(path, model, varying_limits=True)
    assert values(readings)[1:4] == [(5.0, "left"), (6.0, "left"), (7.0, "left")]


def test_a_limit_in_a_cell_against_the_declared_one(write, model):
    path = write("observable,time,value\nvirus,1,<5\nvirus,2,BLQ\n")
    with pytest.raises(MeasurementError, match=r"data\.csv:3, .* is 6 here and 5 at"):
        read_measurements(path, model, detection_limit=6)
    readings = read_measurements(path, model, detection_limit=6, varying_limits=True)
    assert values(readings) == [(5.0, "left"), (6.0, "left")]


def test_an_unmarked_reading_below_the_limit(write, model):
    path = write(HEADER + "virus,1,5,1\nvirus,2,1,0\n")
    message = r"data\.csv:3, column 'value': 1 is below the detection limit of 'virus', 5, but is not marked"
    with pytest.raises(MeasurementError, match=message):
        read_measurements(path, model)
    assert values(read_measurements(path, model, varying_limits=True)) == [(5.0, "left"), (1.0, "")]
    assert values(read_measurements(path, model, detection_limit=5)) == [(5.0, "left"), (5.0, "left")]


@pytest.mark.parametrize("limit", [math.nan, math.inf, "5", True, {"virus": None}])
def test_limits_that_are_no_numbers(write, model, limit):
    with pytest.raises(MeasurementError, match=r"the detection limit of 'virus' is .*\n  expected: a finite number"):
        read_measurements(write("observable,time,value\nvirus,1,2\n"), model, detection_limit=limit)


def test_a_limit_of_an_unknown_observable(write, model):
    with pytest.raises(MeasurementError, match=r"detection_limit names 'virs'[\s\S]*did you mean 'virus'"):
        read_measurements(write("observable,time,value\nvirus,1,2\n"), model, detection_limit={"virs": 1})
