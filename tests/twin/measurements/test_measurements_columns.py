"""Which column is what: synonyms, mappings, long and wide tables, and columns that are missing or unclear."""

from __future__ import annotations

import pandas as pd
import pytest

from twin.errors import MeasurementError
from twin.measurements import Measurements, read_measurements


def one(header: dict[str, object], model=None, **options):
    """The only reading of a table of one row."""
    (row,) = Measurements.from_table(pd.DataFrame([header]), model, **options).table.to_dict("records")
    return row


@pytest.mark.parametrize("name", ["subject", "id", "ID", "patient", "Animal", "Subject ID", "subject_id"])
def test_names_of_the_subject(model, name):
    assert one({name: "s", "observable": "virus", "time": 1, "value": 2}, model)["subject"] == "s"


@pytest.mark.parametrize("name", ["experiment", "arm", "Condition", "experimentId", "simulationConditionId"])
def test_names_of_the_experiment(model, name):
    assert one({name: "e", "observable": "virus", "time": 1, "value": 2}, model)["experiment"] == "e"


@pytest.mark.parametrize("name", ["observable", "analyte", "DVID", "observableId"])
def test_names_of_the_observable(model, name):
    assert one({name: "drug", "time": 1, "value": 2}, model)["observable"] == "drug"


@pytest.mark.parametrize("name", ["time", "TIME", "day", "Days", "t"])
def test_names_of_the_time(model, name):
    assert one({"observable": "drug", name: 1, "value": 2}, model)["time"] == 1.0


@pytest.mark.parametrize("name", ["value", "DV", "measurement", "conc", "Concentration"])
def test_names_of_the_value(model, name):
    assert one({"observable": "drug", "time": 1, name: 2}, model)["value"] == 2.0


@pytest.mark.parametrize("name", ["noise", "SD", "sigma"])
def test_names_of_the_noise(model, name):
    assert one({"observable": "drug", "time": 1, "value": 2, name: 0.5}, model)["noise"] == 0.5


@pytest.mark.parametrize("name", ["censoring", "CENS", "left_censored", "bql", "BLQ"])
def test_names_of_the_censoring(model, name):
    assert one({"observable": "drug", "time": 1, "value": 2, name: 1}, model)["censoring"] == "left"


def test_what_may_be_left_out(titre):
    row = one({"time": 1, "value": 2}, titre)
    assert (row["experiment"], row["subject"], row["observable"]) == ("default", "1", "log10_titre")
    assert one({"time": 1, "value": 2}, observable="drug")["observable"] == "drug"


def test_other_columns_are_ignored(model):
    row = one({"weight": 70, "observable": "drug", "time": 1, "value": 2, "comment": "hæmolytic"}, model)
    assert row["value"] == 2.0


def test_a_mapping(model):
    header = {
        "mouse": 3,
        "hours_post_infection": 1,
        "titre": 2,
        "what": "virus",
        "group": "x",
        "err": 1,
        "lod": 1,
    }
    names = {
        "subject": "mouse",
        "time": "hours_post_infection",
        "value": "titre",
        "observable": "what",
        "experiment": "group",
        "noise": "err",
        "censoring": "lod",
    }
    assert one(header, model, columns=names) == {
        "experiment": "x",
        "subject": "3",
        "observable": "virus",
        "time": 1.0,
        "value": 2.0,
        "noise": 1.0,
        "censoring": "left",
    }


def test_a_mapping_wins_over_a_name(model):
    header = {"observable": "drug", "time": 1, "day": 5, "value": 2, "sd": 0.1}
    assert one(header, model, columns={"time": "day"})["time"] == 5.0
    assert pd.isna(one(header, model, columns={"noise": None})["noise"])


def test_our_own_name_wins_over_a_synonym(model):
    assert one({"observable": "drug", "time": 1, "day": 5, "value": 2, "dv": 7}, model)["value"] == 2.0


def test_a_mapping_may_leave_the_unit_out(model):
    header = {"observable": "drug", "when [hour]": 24, "level (ug/l)": 2}
    row = one(header, model, columns={"time": "when", "value": "level"})
    assert (row["time"], row["value"]) == (pytest.approx(1.0), pytest.approx(0.002))


def test_a_wide_table_by_the_names_of_observables(model):
    table = pd.DataFrame({"id": [1, 2], "day": [0, 1], "virus": [10, 20], "drug [mg/l]": [0.1, 0.2]})
    readings = Measurements.from_table(table, model)
    assert readings.table[["subject", "observable", "value"]].to_numpy().tolist() == [
        ["1", "virus", 10.0],
        ["1", "drug", 0.1],
        ["2", "virus", 20.0],
        ["2", "drug", 0.2],
    ]


def test_a_wide_table_by_mapping(model):
    table = pd.DataFrame({"day": [1], "V": [10], "V_sd": [2], "c": [0.1], "c_low": [1]})
    columns = {
        "value": {"virus": "V", "drug": "c"},
        "noise": {"virus": "V_sd"},
        "censoring": {"drug": "c_low"},
    }
    readings = Measurements.from_table(table, model, columns=columns).table
    assert readings["observable"].tolist() == ["virus", "drug"]
    assert readings["value"].tolist() == [10.0, 0.1]
    assert readings["noise"].fillna(-1).tolist() == [2.0, -1.0]
    assert readings["censoring"].tolist() == ["", "left"]


def test_a_wide_table_of_one_observable_keeps_its_noise_column(make_model):
    row = one({"t": 1, "conc": 2, "sd": 0.5}, make_model({"conc": "mg/l"}))
    assert (row["observable"], row["value"], row["noise"]) == ("conc", 2.0, 0.5)


def test_a_column_named_as_an_observable_is_not_taken_for_the_time(make_model):
    row = one({"day": 3, "T": 1e6}, make_model({"T": "cell"}))
    assert (row["time"], row["value"], row["observable"]) == (3.0, 1e6, "T")


def test_an_observable_column_makes_a_table_long(make_model):
    # "conc" is the value column here, though the model has an observable of that name.
    model = make_model({"conc": "mg/l", "effect": "percent"})
    row = one({"day": 3, "analyte": "effect", "conc": 5}, model)
    assert (row["observable"], row["value"]) == ("effect", 5.0)


def test_faults_in_wide_tables_name_their_own_column(write, model):
    path = write("day,virus,drug\n1,2,3\n2,3,bad\n")
    with pytest.raises(MeasurementError, match=r"data\.csv:3, column 'drug': 'bad' is not a number"):
        read_measurements(path, model)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("observable,tiem,value", r":2: there is no column for the time[\s\S]*columns=\{'time': 'tiem'\}"),
        ("observable,time,valeu", r":2: there is no column for the value[\s\S]*columns=\{'value': 'valeu'\}"),
        (
            "observable,time,y",
            r":2: there is no column for the value; the columns are 'observable', 'time', 'y'",
        ),
        ("observabel,time,value", r":2: there is no column that names the observable, and the model has 2"),
        ("day,hours,value", r":2: the time may be in 'day', 'hours'"),
        ("id,patient,time", r":2: the subject may be in 'id', 'patient'"),
        ("time,virus,value", r":2: the readings may be in 'virus', 'value'"),
    ],
)
def test_missing_and_unclear_columns(write, model, header, message):
    with pytest.raises(MeasurementError, match=message):
        read_measurements(write(f"# comment\n{header}\nvirus,1,2\n"), model)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"time": "hourz"}, r"columns\['time'\] is 'hourz', and there is no such column[\s\S]*mean 'hours'"),
        ({"time": ""}, r"columns\['time'\] is '', and there is no such column"),
        ({"times": "hours"}, r"the unknown key 'times'[\s\S]*did you mean 'time'"),
        ({"time": 3}, r"columns\['time'\] is 3"),
        ({"time": {"virus": "hours"}}, r"columns\['time'\] is \{'virus': 'hours'\}"),
        ({"value": {}}, r"columns\['value'\] is \{\}"),
        ({"value": {"virus": 3}}, r"columns\['value'\] is \{'virus': 3\}"),
        ({"value": None}, "there is no column for the value"),
        ({"time": "value"}, "column 'value' is used as value and as time"),
        (
            {"value": {"virus": "value", "drug": "value"}},
            "'value' is used as value of virus and as value of drug",
        ),
        ({"value": {"virus": "vlue"}}, r"columns\['value'\]\['virus'\] is 'vlue'[\s\S]*did you mean 'value'"),
        (
            {"value": {"virus": "value"}},
            "there is an observable column, 'observable', and one value column per",
        ),
        ({"noise": {"virus": "hours"}, "value": "value"}, r"columns\['noise'\] has headers by observable"),
        ("hours", "columns is a str"),
    ],
)
def test_mappings_that_make_no_sense(write, model, columns, message):
    path = write("observable,hours,value\nvirus,1,2\n")
    if not isinstance(columns, str) and "value" not in columns:
        columns = {"value": "value", **columns}
    with pytest.raises(MeasurementError, match=message):
        read_measurements(path, model, columns=columns)


def test_a_mapped_noise_needs_its_value_column(model):
    table = pd.DataFrame({"day": [1], "V": [10], "sd": [1]})
    with pytest.raises(MeasurementError, match=r"columns\['noise'\] names 'drug', which has no value column"):
        Measurements.from_table(table, model, columns={"value": {"virus": "V"}, "noise": {"drug": "sd"}})


def test_one_noise_column_for_several_observables_is_unclear(model):
    table = pd.DataFrame({"day": [1], "virus": [10], "drug": [10], "sd": [1]})
    with pytest.raises(MeasurementError, match="column 'sd' could belong to any of 'virus', 'drug'"):
        Measurements.from_table(table, model)


def test_the_observable_must_be_known(write, model):
    long = write("observable,time,value\nvirus,1,2\nviruss,1,2\nviruss,2,2\n", "long.csv")
    with pytest.raises(
        MeasurementError, match=r"long\.csv:3, column 'observable': the model has no observable 'viruss'"
    ):
        read_measurements(long, model)
    with pytest.raises(MeasurementError, match=r"\(2 such lines: 3, 4\)[\s\S]*did you mean 'virus'"):
        read_measurements(long, model)
    with pytest.raises(MeasurementError, match="the model has no observable 'V'"):
        read_measurements(write("day,V\n1,2\n"), model, columns={"value": {"V": "V"}})
    with pytest.raises(MeasurementError, match="the model has no observable 'durg'"):
        read_measurements(write("day,dv\n1,2\n"), model, observable="durg")


def test_the_observable_must_be_said(write, model):
    path = write("day,dv\n1,2\n")
    with pytest.raises(MeasurementError, match=r"data\.csv:1: .* the model has 2: 'virus', 'drug'"):
        read_measurements(path, model)
    with pytest.raises(MeasurementError, match=r"data\.csv:1: .* no model was given"):
        read_measurements(path)
    with pytest.raises(MeasurementError, match="observable='drug' was given, and there is a column 'analyte'"):
        read_measurements(write("day,dv,analyte\n1,2,drug\n"), model, observable="drug")
