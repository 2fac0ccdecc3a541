"""The language of doses and changes: what it means, and where it points when it means nothing."""

from __future__ import annotations

from argparse import ArgumentParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.commands.dosing import (
    add_experiment_options,
    experiment_from,
    is_plain,
    parse_change,
    parse_dose,
    parse_numbers,
    parse_times,
    parse_values,
)
from twin.errors import ExperimentError
from twin.experiment import Bolus, Change, Equilibration, Experiment, Infusion


@pytest.mark.parametrize(
    ("text", "dose"),
    [
        ("gut=4.02@0", Bolus("gut", 4.02, 0.0)),
        (" gut = 4.02 @ 1.5 ", Bolus("gut", 4.02, 1.5)),
        ("gut=1e3@-2", Bolus("gut", 1e3, -2.0)),
        ("gut=320[mg/kg]@0", Bolus("gut", 320.0, 0.0, unit="mg/kg")),
        ("gut=320 mg/kg@0", Bolus("gut", 320.0, 0.0, unit="mg/kg")),
        ("gut=4.02@0x6/12", Bolus("gut", 4.02, 0.0, 12.0, 6)),
        ("gut=320[mg/kg]@1x3/0.5", Bolus("gut", 320.0, 1.0, 0.5, 3, "mg/kg")),
        ("body=100@2:0.5", Infusion("body", 100.0, 2.0, 0.5)),
        ("body=100@2:0.5x4/24", Infusion("body", 100.0, 2.0, 0.5, 24.0, 4)),
        ("body=2*V@tau:len", Infusion("body", "2*V", "tau", "len")),
        ("body=2*V[mg]@0", Bolus("body", "2*V", 0.0, unit="mg")),
    ],
)
def test_dose(text, dose):
    assert parse_dose(text) == dose


@pytest.mark.parametrize(
    ("text", "found", "under"),
    [
        ("gut", "there is no '='", "^^^"),
        ("4=4@0", "'4' is not a name", "^"),
        ("gut=4.02", "the dose has no time", "        ^"),
        ("gut=@0", "the amount is missing", None),
        ("gut=?@0", r"the amount is '\?'", "    ^"),
        ("gut=4[mg@0", "the unit is not closed", "    ^^^^"),
        ("gut=4@", "the time is missing", None),
        ("gut=4@0x/12", "the number of doses is ''", None),
        ("gut=4@0x2.5/12", r"the number of doses is '2\.5'", "        ^^^"),
        ("gut=4@0x6/", "the interval between doses is missing", None),
        ("gut=4@0x6", "repeated without an interval", "      ^^^"),
        ("gut=4@0:", "the duration is missing", None),
    ],
)
def test_bad_dose_points_at_the_piece(text, found, under):
    with pytest.raises(ExperimentError, match=found) as caught:
        parse_dose(text)
    lines = str(caught.value).splitlines()
    assert lines[1] == f"    {text}"
    if under is not None:
        assert lines[2].removeprefix("    ") == under


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gut=-4@0", "the amount is -4"),
        ("gut=nan@0", "the amount is nan"),
        ("gut=inf@0", "the amount is infinite"),
        ("gut=4@nan", "the time is nan"),
        ("gut=4@0x0/12", "the count is 0"),
        ("gut=4@0x3/0", "the interval is 0"),
        ("gut=4@0:0", "the duration is 0"),
        ("gut=4@0:-1", "the duration is -1"),
    ],
)
def test_nonsense_dose_is_refused(text, found):
    with pytest.raises(ExperimentError, match=found):
        parse_dose(text)


@given(
    st.floats(0, 1e12, allow_nan=False),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.integers(1, 99),
    st.floats(1e-6, 1e6),
)
def test_written_dose_is_read_back(amount, time, count, every):
    assert parse_dose(f"gut={amount!r}@{time!r}x{count}/{every!r}") == Bolus("gut", amount, time, every, count)


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("p=p*(1-0.9)@1.2:3.0", Change("p", "p*(1-0.9)", 1.2, 3.0)),
        ("p=0@2:", Change("p", 0.0, 2.0)),
        ("p=0@:2", Change("p", 0.0, None, 2.0)),
        ("p=0", Change("p", 0.0)),
    ],
)
def test_change(text, change):
    assert parse_change(text) == change


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("p", "there is no '='"),
        ("p=@1:2", "the value is missing"),
        ("p=0@1", "the span has no start and stop"),
        ("p=0@:", "the span has no start and stop"),
        ("p=0@3:1", "is empty"),
    ],
)
def test_bad_change(text, found):
    with pytest.raises(ExperimentError, match=found):
        parse_change(text)


def test_values():
    assert parse_values(["a=1,b=max(c,d)", "e=2*f"], "--initial") == {"a": 1.0, "b": "max(c,d)", "e": "2*f"}
    with pytest.raises(ExperimentError, match="'a' is given twice"):
        parse_values(["a=1", "a=2"], "--set")
    with pytest.raises(ExperimentError, match="the value of 'a' is 'b'"):
        parse_numbers(["a=b"], "--set")


def test_times():
    assert parse_times("0,1, 2.5") == [0.0, 1.0, 2.5]
    with pytest.raises(ExperimentError, match="'one' is not a time"):
        parse_times("0,one")


def test_experiment_from_options():
    parser = ArgumentParser()
    add_experiment_options(parser)
    assert is_plain(parser.parse_args([]))
    assert experiment_from(parser.parse_args([])) == Experiment()
    args = parser.parse_args(
        [
            "--dose",
            "A=1@0",
            "--dose",
            "B=2@1:1",
            "--change",
            "k=0@1:",
            "--initial",
            "A=3",
            "--t0",
            "-1",
            "--equilibrate",
        ]
    )
    assert not is_plain(args)
    assert experiment_from(args) == Experiment(
        doses=(Bolus("A", 1.0, 0.0), Infusion("B", 2.0, 1.0, 1.0)),
        changes=(Change("k", 0.0, 1.0),),
        initial={"A": 3.0},
        equilibrate=Equilibration(),
        t0=-1.0,
    )
