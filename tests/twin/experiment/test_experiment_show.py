"""An experiment in a notebook."""

from __future__ import annotations

from twin.experiment.experiment import Bolus, Change, Equilibration, Experiment, Infusion, Reset
from twin.experiment.show import as_lines

HOSTILE = "<script>alert(1)</script>"


def test_everything_that_is_done_is_shown_and_escaped() -> None:
    experiment = Experiment(
        doses=[Bolus(HOSTILE, "3 * k", every=12, count=3, unit=HOSTILE), Infusion("body", 2.0, start=1, duration=0.5)],
        changes=[Change("p", "p * (1 - e)", start=1.5), Change("q", 2.0, stop=3.0)],
        resets=[Reset("A", 0.0, time=4)],
        parameters={"supply": 0.2},
        initial={"B": 5.0},
        equilibrate=Equilibration({"supply": 1.5}),
        description=HOSTILE,
    )
    shown = experiment._repr_html_()
    assert "<script" not in shown and shown.count("&lt;script&gt;") == 3
    for row in (
        "3 * k &lt;script&gt;alert(1)&lt;/script&gt;</td><td>at 0, 3 times every 12",
        "<td>infusion</td><td>body</td><td>2</td><td>at 1 over 0.5",
        "<td>p * (1 - e)</td><td>from 1.5 to the end",
        "<td>q</td><td>2</td><td>from the start to 3",
        "<td>reset</td><td>A</td><td>0</td><td>at 4",
        "<td>parameter</td><td>supply</td><td>0.2</td><td>throughout",
        "<td>initial state</td><td>B</td><td>5</td>",
        "<td>of the equilibration</td><td>supply</td><td>1.5</td>",
    ):
        assert row in shown


def test_nothing_done_is_said() -> None:
    assert "nothing is done" in Experiment(t0=-1.0)._repr_html_()


def test_what_is_done_in_lines() -> None:
    experiment = Experiment(
        doses=[Bolus("gut", 4.02, unit="mg", every=12, count=3)],
        changes=[Change("p", "p * (1 - e)", start=1.5)],
        equilibrate=Equilibration(),
    )
    assert as_lines(experiment) == [
        "bolus gut = 4.02 mg at 0, 3 times every 12",
        "equilibration before, for 1e+06 at most",
        "change p = p * (1 - e) from 1.5 to the end",
    ]
    assert as_lines(Experiment()) == []
