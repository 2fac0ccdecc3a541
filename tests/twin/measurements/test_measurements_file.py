"""Reading files: delimiters, comments, line numbers, encodings, and files that are no tables."""

from __future__ import annotations

import csv
import os
import pathlib
import re

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.errors import MeasurementError
from twin.measurements import Measurements, read_measurements
from twin.measurements import delimited as delimited_room

PLAIN = "experiment,subject,observable,time,value\nplacebo,7,virus,1,2.5\nplacebo,7,drug,2,3.5\n"


def test_a_plain_file(write, model):
    readings = read_measurements(path := write(PLAIN), model)
    table = readings.table
    assert table["experiment"].tolist() == ["placebo", "placebo"]
    assert table["subject"].tolist() == ["7", "7"]
    assert table["observable"].tolist() == ["virus", "drug"]
    assert table["time"].tolist() == [1.0, 2.0]
    assert table["value"].tolist() == [2.5, 3.5]
    assert table["noise"].isna().all()
    assert table["censoring"].tolist() == ["", ""]
    assert readings.source == str(path)


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [
        ("d.csv", ","),
        ("d.tsv", "\t"),
        ("d.tab", "\t"),
        ("d.txt", ";"),
        ("d.csv", ";"),
        ("d.csv", "\t"),
        ("d", "|"),
        ("D.CSV", ","),
    ],
)
def test_delimiters_by_suffix_or_by_the_header(write, model, name, delimiter):
    assert read_measurements(write(PLAIN.replace(",", delimiter), name), model) == read_measurements(
        write(PLAIN, "plain.csv"), model
    )


def test_a_named_delimiter(write, model):
    assert len(read_measurements(write(PLAIN.replace(",", "~")), model, delimiter="~")) == 2
    for wrong in ("", ",,", '"', 3):
        with pytest.raises(MeasurementError, match="expected: one character"):
            read_measurements(write(PLAIN), model, delimiter=wrong)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks(write, model, end, mark):
    text = mark + PLAIN.replace("\n", end)
    assert read_measurements(write(text), model) == read_measurements(write(PLAIN, "plain.csv"), model)
    with pytest.raises(MeasurementError, match=r"data\.csv:3, column 'value': 'x' is not a number"):
        read_measurements(write(text.replace("3.5", "x")), model)


def test_comments_blank_lines_and_empty_rows_are_skipped(write, model):
    text = "# title, with, commas\n\n" + PLAIN.replace("placebo,7,drug", "# note\n \n,,,,\nplacebo,7,drug")
    assert read_measurements(write(text), model) == read_measurements(write(PLAIN, "plain.csv"), model)


def test_line_numbers_count_comments_and_newlines_in_quotes(write, model):
    text = (
        "# one\n"
        "# two\n"
        "subject,observable,time,value,note\n"
        'a,virus,1,2,"first\n# not a comment\n\nlast"\n'
        "# comment\n"
        "\n"
        "a,virus,2,oops,\n"
    )
    with pytest.raises(MeasurementError, match=r"data\.csv:10, column 'value': 'oops' is not a number"):
        read_measurements(write(text), model)
    readings = read_measurements(write(text.replace("oops", "3")), model)
    assert readings.table["value"].tolist() == [2.0, 3.0]


def test_the_line_of_a_record_is_its_first(write, model):
    text = 'subject,observable,time,value\n"two\nlines",virus,1,x\n'
    with pytest.raises(MeasurementError, match=r"data\.csv:2, column 'value'"):
        read_measurements(write(text), model)


def test_columns_without_a_header_are_ignored(write, model):
    # pandas writes its index this way.
    text = ",observable,time,value,\n0,virus,1,2,\n1,virus,2,3,\n"
    assert read_measurements(write(text), model).table["value"].tolist() == [2.0, 3.0]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8).filter(
    lambda text: text.strip() == text
)
FLOATS = st.floats(-1e300, 1e300)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            TEXT,
            TEXT,
            TEXT,
            st.floats(0, 1e9),
            FLOATS,
            st.one_of(st.just(float("nan")), st.floats(1e-300, 1e300)),
            st.sampled_from(["", "left"]),
        ),
        min_size=1,
        max_size=6,
    ),
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
    quoting=st.sampled_from([csv.QUOTE_NONNUMERIC, csv.QUOTE_ALL]),
    comments=st.booleans(),
)
def test_what_is_written_is_read(tmp_path, rows, delimiter, quoting, comments):
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    table = pd.DataFrame(rows, columns=columns)
    path = tmp_path / "round.csv"
    text = table.to_csv(None, index=False, sep=delimiter, quoting=quoting)
    path.write_text(("# a comment\n\n" if comments else "") + text, encoding="utf-8", newline="")
    options = {"replicates": "identical", "varying_limits": True}
    readings = read_measurements(path, **options)
    assert readings == Measurements.from_table(table, **options)
    again = Measurements.from_table(readings.table, **options)
    assert again == readings
    assert again.sha256 == readings.sha256
    # Shortest decimal numbers are exact, so nothing at all may change.
    pd.testing.assert_frame_equal(readings.table[["time", "value", "noise"]], table[["time", "value", "noise"]])
    assert readings.table[["experiment", "subject", "observable"]].to_numpy().tolist() == [
        list(row[:3]) for row in rows
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"data\.csv: there is no header line"),
        (b"# only\n\n# comments\n", r"data\.csv: there is no header line"),
        (b"subject,time,value\n", r"data\.csv:1: there are no readings, only a header"),
        (b"# c\nsubject,time,value\n,,\n", r"data\.csv:2: there are no readings, only a header"),
        (b"observable,time,value\nvirus,1\n", r"data\.csv:2: the row has 2 cells\n  expected: 3"),
        (b"# c\nobservable,time,value\nvirus,1,2\nvirus,1,2,3\n", r"data\.csv:4: the row has 4 cells"),
        (
            b"time value\n1 2\n",
            r"data\.csv:1: only one column was found, 'time value'[\s\S]*separated by spaces",
        ),
        (b"value\n1\n", r"data\.csv:1: only one column was found, 'value'"),
        (b"time,value,time\n1,2,3\n", r"data\.csv:1: two columns are named 'time'"),
        (b'time,value\n1,2\n3,"4\n5,6\n', r"data\.csv:3: the row cannot be split into cells"),
        (b'time,value\n1,2\n3,"4"5\n', r"data\.csv:3: the row cannot be split into cells"),
        (b"time,value\n1,\xb5g\n", r"data\.csv:2: the byte 0xb5 is not UTF-8"),
        (b"time,value\n1,\x00\n", r"data\.csv: the file is binary \(a zero byte at position 13\)"),
        (b"PK\x03\x04rest", "an Excel workbook or another zip archive"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        ("time,value\n1,2\n".encode("utf-16"), "encoded as UTF-16"),
    ],
)
def test_what_is_no_table(write, content, message):
    with pytest.raises(MeasurementError, match=message):
        read_measurements(write(content), observable="virus")


def test_a_wrong_delimiter_that_was_asked_for(write):
    with pytest.raises(MeasurementError, match=r"data\.csv:1: only one column was found[\s\S]*a semicolon"):
        read_measurements(write(PLAIN), delimiter=";")


def test_a_missing_file_names_the_nearest(write, tmp_path):
    write(PLAIN, "titres.csv")
    with pytest.raises(MeasurementError, match=r"titers\.csv: there is no such file\n.*did you mean 'titres.csv'"):
        read_measurements(tmp_path / "titers.csv")
    with pytest.raises(MeasurementError, match="there is no folder"):
        read_measurements(tmp_path / "nowhere" / "titres.csv")


def test_what_is_no_file(tmp_path):
    with pytest.raises(MeasurementError, match=re.escape(f"{tmp_path}: it is a directory")):
        read_measurements(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(MeasurementError, match=r"pipe\.csv: it is not a regular file"):
        read_measurements(tmp_path / "pipe.csv")
    with pytest.raises(MeasurementError, match=r"byte\.csv: (there is no such file|the file cannot be read)"):
        read_measurements("null\0byte.csv")
    with pytest.raises(MeasurementError, match=r"the path is a DataFrame[\s\S]*from_table"):
        read_measurements(pd.DataFrame())
    with pytest.raises(MeasurementError, match="the path is a bytes"):
        read_measurements(os.fsencode(tmp_path))


def test_a_file_that_may_not_be_read(write, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    path = write(PLAIN)
    monkeypatch.setattr(pathlib.Path, "read_bytes", refuse)
    with pytest.raises(MeasurementError, match=r"data\.csv: the file cannot be read \(Permission denied\)"):
        read_measurements(path)


def test_a_huge_file_is_refused_unread(write, monkeypatch):
    monkeypatch.setattr(delimited_room, "LARGEST_BYTES", 2**20)
    with pytest.raises(MeasurementError, match=r"data\.csv: the file has 2 MiB\n  expected: .* at most 1 MiB"):
        read_measurements(write(b"x" * 2**21))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=120), st.text('time,value\n1"#;\t', max_size=60).map(str.encode)))
def test_any_bytes_are_read_or_refused_by_name(tmp_path, content):
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    try:
        readings = read_measurements(path, observable="virus")
    except MeasurementError as error:
        assert "any.csv" in str(error)
    else:
        assert len(readings)
