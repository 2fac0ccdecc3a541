"""`Measurements` itself: schema, equality, hash, subsets, display, conversion to a model."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import twin.measurements
from twin.errors import MeasurementError, UnitError
from twin.measurements import COLUMNS, Measurements
from twin.measurements.schema import frame


def canonical(**changes):
    columns = {
        "experiment": ["a", "a", "b"],
        "subject": ["1", "2", "1"],
        "observable": ["virus", "virus", "drug"],
        "time": [0.0, 1.0, 2.0],
        "value": [1.0, 2.0, 3.0],
        "noise": [0.5, math.nan, math.nan],
        "censoring": ["", "left", ""],
    }
    return frame({**columns, **changes})


def test_public_names_are_locked():
    assert twin.measurements.__all__ == [
        "COLUMNS",
        "EventTable",
        "Measurements",
        "ReadsModel",
        "Replicates",
        "read_event_table",
        "read_measurements",
    ]


def test_importing_the_room_does_not_import_pandas_or_pint():
    code = "import sys, twin.measurements; print([m for m in ('pandas', 'pint') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_columns_types_and_attributes():
    readings = Measurements(canonical(), source="lab", time_unit="day", units={"virus": "TCID50/ml"})
    table = readings.table
    assert tuple(table.columns) == COLUMNS
    assert [str(table[name].dtype) for name in ("time", "value", "noise")] == ["float64"] * 3
    assert len(readings) == 3
    assert readings.source == "lab"
    assert readings.series == [("a", "1"), ("a", "2"), ("b", "1")]
    assert readings.observables == ("virus", "drug")
    assert readings.experiments == ("a", "b")
    assert readings.time_unit == "day"
    assert dict(readings.units) == {"virus": "TCID50/ml", "drug": None}


def test_order_is_that_of_first_appearance():
    readings = Measurements(canonical(experiment=["z", "a", "z"], observable=["v", "d", "v"]))
    assert readings.series == [("z", "1"), ("a", "2")]
    assert readings.experiments == ("z", "a")
    assert readings.observables == ("v", "d")


def test_the_table_cannot_be_changed_from_outside():
    given = canonical()
    readings = Measurements(given)
    given.loc[0, "value"] = 99.0
    taken = readings.table
    taken.loc[0, "value"] = 98.0
    assert readings.table["value"].tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(AttributeError, match="cannot be changed"):
        readings.source = "elsewhere"
    with pytest.raises(AttributeError, match="cannot be changed"):
        del readings.source
    with pytest.raises(TypeError, match="does not support item assignment"):
        readings.units["virus"] = "day"


def test_equality_and_hash_are_by_content():
    one, two = Measurements(canonical(), source="x"), Measurements(canonical(), source="y")
    assert one == two
    assert hash(one) == hash(two)
    assert one.sha256 == two.sha256
    assert len({one, two}) == 1
    assert one != Measurements(canonical(), time_unit="day")
    assert one != Measurements(canonical(), units={"virus": "TCID50/ml"})
    assert one != "table"


@pytest.mark.parametrize(
    "changes",
    [
        {"value": [1.0, 2.0, np.nextafter(3.0, 4.0)]},
        {"subject": ["1", "2", "3"]},
        {"censoring": ["left", "left", ""]},
        {"noise": [0.5, 0.5, math.nan]},
        {"experiment": ["a", "b", "a"]},
    ],
)
def test_every_column_counts_in_the_hash(changes):
    assert Measurements(canonical(**changes)).sha256 != Measurements(canonical()).sha256


def test_the_hash_does_not_depend_on_dtypes_index_or_the_sign_of_zero():
    other = canonical(time=[-0.0, 1.0, 2.0])
    other.index = pd.Index([7, 8, 9])
    other["subject"] = other["subject"].astype(object)
    assert Measurements(other).sha256 == Measurements(canonical()).sha256


def test_the_hash_stays_what_it_is():
    # Reports and archives carry it: a change of this number breaks the comparison with earlier ones.
    assert Measurements(canonical()).sha256 == "6a19a291ef90729bce44eebbc25618281d7fd1cb37ba5df71533f7159de1faca"


def test_subset():
    readings = Measurements(canonical(), source="lab", time_unit="day", units={"virus": "TCID50/ml"})
    part = readings.subset(readings.table["experiment"] == "a")
    assert isinstance(part, Measurements)
    assert part.series == [("a", "1"), ("a", "2")]
    assert part.source == "lab"
    assert part.time_unit == "day"
    assert dict(part.units) == {"virus": "TCID50/ml"}
    assert part.table.index.tolist() == [0, 1]
    assert readings.subset(np.array([True] * 3)) == readings
    assert readings.subset([False, False, True]).observables == ("drug",)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([True, False], r"shape \(2,\)"),
        ([0, 1, 2], "the mask has type int64"),
        ([False, False, False], "the mask keeps no reading"),
    ],
)
def test_subset_refuses(mask, message):
    with pytest.raises(MeasurementError, match=message):
        Measurements(canonical()).subset(mask)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1, 2], "the table is a list"),
        (
            canonical().drop(columns="noise"),
            "the columns are experiment, subject, observable, time, value, c",
        ),
        (canonical().iloc[:0], "there are no readings"),
        (canonical().astype({"time": "int64"}), "column 'time': the type is int64"),
        (canonical().assign(subject=[1, 2, 3]), "column 'subject': not every cell is text"),
        (canonical(time=[0.0, math.nan, 2.0]), "row 1, column 'time': nan cannot stand here"),
        (canonical(value=[0.0, 1.0, math.inf]), "row 2, column 'value': inf cannot stand here"),
        (canonical(noise=[0.0, 1.0, 1.0]), "row 0, column 'noise': 0.0 cannot stand here"),
        (canonical(noise=[1.0, math.inf, 1.0]), "row 1, column 'noise': inf cannot stand here"),
        (canonical(censoring=["", "above", ""]), "row 1, column 'censoring': above cannot stand here"),
    ],
)
def test_the_constructor_takes_only_the_schema(table, message):
    with pytest.raises(MeasurementError, match=message):
        Measurements(table)


def test_repr_says_what_there_is():
    readings = Measurements(canonical(), source="lab.csv", time_unit="day", units={"virus": "TCID50/ml"}, dropped=2)
    assert repr(readings) == (
        "Measurements(3 readings of virus [TCID50/ml], drug; 3 series in 2 experiments; time 0 to 2 day; "
        "1 below detection; 2 without value left out; from lab.csv)"
    )
    one = Measurements(canonical().iloc[:1])
    assert repr(one) == "Measurements(1 reading of virus; 1 series in 1 experiment; time 0 to 0; from table)"


def test_html_is_escaped_and_short():
    table = pd.concat([canonical(subject=[f"<b>{i}", "2", "3"]) for i in range(5)], ignore_index=True)
    shown = Measurements(table, source="<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "5 more readings" in shown
    assert shown.count("<tr") == 11


def test_for_model_converts(make_model):
    table = pd.DataFrame({"hours": [24, 48], "value": [2.0, 4.0], "sd": [0.2, 0.4], "observable": "drug"})
    loose = Measurements.from_table(table, value_units="ug/l", source="lab")
    assert loose.time_unit == "hour"
    assert dict(loose.units) == {"drug": "ug/l"}
    fitted = loose.for_model(make_model())
    assert fitted.table["time"].tolist() == pytest.approx([1.0, 2.0])
    assert fitted.table["value"].tolist() == pytest.approx([2e-3, 4e-3])
    assert fitted.table["noise"].tolist() == pytest.approx([2e-4, 4e-4])
    assert (fitted.source, fitted.time_unit, dict(fitted.units)) == ("lab", "day", {"drug": "mg/l"})
    assert fitted.for_model(make_model()) == fitted


def test_for_model_keeps_what_was_tolerated_before(make_model):
    table = pd.DataFrame(
        {
            "time": [-1, -1, 0, 0],
            "drug": [5.0, 5.0, 1.0, 2.0],
            "cens": [0, 0, 1, 1],
        }
    )
    model = make_model({"drug": "mg/l"})
    readings = Measurements.from_table(
        table, model, replicates="identical", allow_negative_time=True, varying_limits=True
    )
    assert readings.for_model(model) == readings


def test_for_model_refuses_a_model_without_the_observable(make_model):
    readings = Measurements(canonical())
    with pytest.raises(MeasurementError, match="the model has no observable 'virus'"):
        readings.for_model(make_model({"drug": "mg/l"}))


def test_for_model_refuses_units_that_do_not_convert(make_model):
    readings = Measurements(canonical(), units={"drug": "mg/l"})
    with pytest.raises(UnitError, match="'mg/l' cannot be converted to 'cell'"):
        readings.for_model(make_model({"drug": "cell", "virus": "cell"}))
