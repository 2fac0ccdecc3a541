"""Units: declared, in headers, in the name of the time column; contradictions and what does not convert."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import MeasurementError, UnitError
from twin.measurements import Measurements, read_measurements
from twin.measurements.columns import split_header


def one(header, model=None, **options):
    readings = Measurements.from_table(pd.DataFrame([header]), model, **options)
    (row,) = readings.table.to_dict("records")
    return readings, row


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("time [h]", ("time", "h")),
        ("time[h]", ("time", "h")),
        ("conc (mg/L)", ("conc", "mg/L")),
        ("conc_(mg/L)", ("conc", "mg/L")),
        ("rate (mg/(L*h))", ("rate", "mg/(L*h)")),
        ("rate [mg/(L*h)]", ("rate", "mg/(L*h)")),
        ("time", ("time", None)),
        ("time []", ("time []", None)),
        ("[h]", ("[h]", None)),
        ("f(x) value", ("f(x) value", None)),
        ("", ("", None)),
    ],
)
def test_units_in_headers(header, parts):
    assert split_header(header) == parts


@given(st.text(max_size=20))
def test_any_header_splits_quickly(header):
    name, unit = split_header(header)
    assert name == header.strip() or unit


@pytest.mark.parametrize(
    ("name", "number", "options"),
    [
        ("time", 36, {"time_unit": "hour"}),
        ("time", 36, {"time_unit": "h"}),
        ("time [h]", 36, {}),
        ("time (min)", 2160, {}),
        ("hours", 36, {}),
        ("Hour", 36, {}),
        ("minutes", 2160, {}),
        ("hours", 36, {"time_unit": "h"}),
        ("time [hour]", 36, {"time_unit": "h"}),
        ("days", 1.5, {}),
        ("t", 1.5, {}),
    ],
)
def test_times_are_converted(model, name, number, options):
    readings, row = one({"observable": "drug", name: number, "value": 1}, model, **options)
    assert row["time"] == pytest.approx(1.5, rel=1e-14)
    assert readings.time_unit == "day"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("conc [ug/l]", {}),
        ("conc (µg/L)", {}),
        ("conc", {"value_units": "ug/l"}),
        ("conc", {"value_units": {"drug": "ng/ml", "virus": "TCID50/ml"}}),
        ("conc [ng/ml]", {"value_units": "ug/l"}),
    ],
)
def test_values_and_noise_are_converted(model, name, options):
    readings, row = one({"observable": "drug", "time": 1, name: 2000, "sd": 100}, model, **options)
    assert row["value"] == pytest.approx(2.0)
    assert row["noise"] == pytest.approx(0.1)
    assert dict(readings.units) == {"drug": "mg/l"}


def test_noise_may_have_a_unit_of_its_own(model):
    _, row = one({"observable": "drug", "time": 1, "conc [ug/l]": 2000, "sd [mg/l]": 0.1}, model)
    assert row["noise"] == pytest.approx(0.1)
    assert row["value"] == pytest.approx(2.0)


def test_units_by_observable_in_one_column(model):
    table = pd.DataFrame({"observable": ["drug", "virus"], "time": 1, "value": [1000, 1000], "sd": [100, 100]})
    readings = Measurements.from_table(table, model, value_units={"drug": "ug/l", "virus": "TCID50/l"})
    assert readings.table["value"].tolist() == pytest.approx([1.0, 1.0])
    assert readings.table["noise"].tolist() == pytest.approx([0.1, 0.1])


def test_units_of_wide_columns(model):
    _, row = one({"day": 1, "drug [ug/l]": 5}, model)
    assert row["value"] == pytest.approx(0.005)


def test_noise_of_a_temperature_is_a_difference(make_model):
    model = make_model({"fever": "kelvin"})
    _, row = one({"day": 1, "value": 37.0, "sd": 0.2}, model, value_units="degC")
    assert row["value"] == pytest.approx(310.15)
    assert row["noise"] == pytest.approx(0.2)


def test_noise_on_a_logarithmic_unit_is_refused(make_model):
    model = make_model({"signal": "dimensionless"})
    with pytest.raises(UnitError, match=r"column 'sd': a standard deviation cannot be converted from 'dB'"):
        one({"day": 1, "value": 3.0, "sd": 0.2}, model, value_units="dB")


def test_without_units_numbers_stay_as_they_are(model):
    _, row = one({"observable": "drug", "time": 3, "value": 2, "sd": 1}, model)
    assert (row["time"], row["value"], row["noise"]) == (3.0, 2.0, 1.0)


def test_without_a_model_units_are_kept():
    readings, row = one({"observable": "x", "hours": 3, "conc [ug/l]": 2, "sd [mg/l]": 1})
    assert (row["time"], row["value"], row["noise"]) == (3.0, 2.0, pytest.approx(1000.0))
    assert readings.time_unit == "hour"
    assert dict(readings.units) == {"x": "ug/l"}


def test_a_model_without_units_takes_a_column_called_days(make_model):
    bare = make_model({"x": "dimensionless"}, time_unit="dimensionless")
    assert one({"days": 3, "x": 2}, bare)[1]["time"] == 3.0
    assert one({"time": 3, "x": 2}, bare, time_unit="dimensionless")[1]["time"] == 3.0
    for header, options in (({"time [d]": 3, "x": 2}, {}), ({"time": 3, "x": 2}, {"time_unit": "d"})):
        with pytest.raises(UnitError, match="'d' cannot be converted to 'dimensionless'"):
            one(header, bare, **options)


def test_logarithms_are_dimensionless(titre):
    for unit in ("dimensionless", "", "1"):
        assert one({"day": 1, "value": 2}, titre, value_units=unit)[1]["value"] == 2.0
    with pytest.raises(UnitError, match=r"column 'value', observable 'log10_titre': 'TCID50/ml' cannot be converted"):
        one({"day": 1, "value": 2}, titre, value_units="TCID50/ml")
    with pytest.raises(UnitError, match="give their unit as 'dimensionless'"):
        one({"day": 1, "log10_titre [TCID50/ml]": 2}, titre)


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("time,value", {"time_unit": "mg"}, r"column 'time': 'mg' cannot be converted to 'day'"),
        ("time,value", {"time_unit": "dayz"}, r"column 'time': unknown unit 'dayz'"),
        ("time [mg],value", {}, r"column 'time \[mg\]': 'mg' cannot be converted"),
        (
            "time (post infection),value",
            {},
            r"column 'time \(post infection\)': [\s\S]*time_unit= or value_units=",
        ),
        (
            "time,value",
            {"value_units": "mg"},
            r"column 'value', observable 'drug': 'mg' cannot be converted to 'mg/l'",
        ),
        (
            "time,value",
            {"value_units": {"drug": "h"}},
            r"column 'value', observable 'drug': 'h' cannot be converted",
        ),
        (
            "time,value (cells)",
            {},
            r"column 'value \(cells\)', observable 'drug': 'cells' cannot be converted",
        ),
        ("time,value", {"value_units": 3}, r"column 'value': the unit is a int"),
        ("time,value", {"time_unit": 3}, r"column 'time': the unit is a int"),
    ],
)
def test_units_that_do_not_convert(write, model, header, options, message):
    with pytest.raises(UnitError, match=r"data\.csv, " + message):
        read_measurements(write(f"{header}\n1,2\n"), model, observable="drug", **options)


def test_units_of_noise_that_do_not_convert(write, model):
    with pytest.raises(UnitError, match=r"data\.csv, column 'sd \[h\]': 'h' cannot be converted to 'mg/l'"):
        read_measurements(write("time,value,sd [h]\n1,2,3\n"), model, observable="drug")


def test_a_bracket_that_is_no_unit_gives_way_to_a_declared_one(write, model):
    path = write("time (post infection),value\n24,2\n")
    readings = read_measurements(path, model, observable="drug", time_unit="h")
    assert readings.table["time"].tolist() == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("time [mg],value", {"time_unit": "day"}, r"the unit 'day' was given, .* says 'mg'"),
        ("hours,value", {"time_unit": "day"}, r"column 'hours': the unit 'day' was given, .* says 'hour'"),
        (
            "time [h],value",
            {"time_unit": "day"},
            r"column 'time \[h\]': the unit 'day' was given, .* says 'h'",
        ),
        ("time,value [mg/l]", {"value_units": "ug/l"}, r"the unit 'ug/l' was given, .* says 'mg/l'"),
    ],
)
def test_contradictions(write, model, header, options, message):
    with pytest.raises(MeasurementError, match=message):
        read_measurements(write(f"{header}\n1,2\n"), model, observable="drug", **options)


def test_units_of_an_unknown_observable(write, model):
    path = write("time,value\n1,2\n")
    with pytest.raises(MeasurementError, match=r"value_units names 'drgu'[\s\S]*did you mean 'drug'"):
        read_measurements(path, model, observable="drug", value_units={"drgu": "mg/l"})


def test_without_a_model_a_time_unit_must_measure_time():
    with pytest.raises(UnitError, match="column 'time': 'mg' cannot be converted to 'second'"):
        one({"observable": "x", "time": 3, "value": 2}, time_unit="mg")
    assert one({"observable": "x", "time": 3, "value": 2}, time_unit="dimensionless")[1]["time"] == 3.0
