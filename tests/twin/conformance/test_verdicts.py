"""Verdicts, tables of them, what has changed, and which cases are chosen."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from twin.conformance.changes import changes
from twin.conformance.comparison import verdict_on, worst_deviation
from twin.conformance.fingerprint import fingerprint
from twin.conformance.page import page, reason_counts, share_without
from twin.conformance.sbml_suite import SBML
from twin.conformance.selection import select, spread
from twin.conformance.suite import Case
from twin.conformance.table import Row, TableFile, count, read_table, write_table
from twin.conformance.verdict import Verdict, group, judged
from twin.errors import TwinError, UnsupportedModelError


def row(case: str, name: str = "passed", reason: str = "", tags: tuple[str, ...] = ()) -> Row:
    return Row(case, Verdict(name, reason), 1.5, tags)


def table(*rows: Row) -> dict[str, Row]:
    return {entry.case: entry for entry in rows}


def fail(error: Exception) -> Verdict:
    raise error


def test_errors_become_verdicts() -> None:
    typed = judged(lambda: fail(UnsupportedModelError("the reaction is\nfast", where="m.xml, line 3")))
    assert typed == Verdict("refused", "UnsupportedModelError: the reaction is fast [m.xml, line 3]")
    untyped = judged(lambda: fail(KeyError("S1")))
    assert untyped.name == "crashed"
    assert untyped.reason.startswith("untyped KeyError: 'S1' [")
    assert judged(lambda: Verdict("passed")) == Verdict("passed")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ModelError: 'S1' is unknown [a.xml, line 3]", "ModelError: 'B_2' is unknown [b.xml]"),
        ("X at t = 0.5: 1.2 instead of 3", "X at t = 12: 0.1 instead of -1e-5"),
        ("untyped KeyError: 'S1' [a, line 3]", "untyped KeyError: 'S2' [b, line 4]"),
    ],
)
def test_reasons_are_grouped_without_what_is_peculiar(one: str, other: str) -> None:
    assert group(one) == group(other)


def test_groups_keep_what_matters() -> None:
    assert group("E: the package 'fbc' (flux)") == "E: the package 'fbc'"
    assert group("E: the package 'fbc'") != group("E: the package 'qual'")


@pytest.mark.parametrize(
    ("found", "expected", "size"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.2], [1.0, 2.0], 0.2 / 0.3),
        ([math.inf, math.nan], [math.inf, math.nan], 0.0),
        ([-math.inf], [math.inf], math.inf),
        ([1.0], [math.inf], math.inf),
        ([math.nan], [1.0], math.inf),
        ([1.0], [math.nan], math.inf),
    ],
)
def test_deviation(found, expected, size: float) -> None:
    deviation = worst_deviation(np.array(found), np.array(expected), ["a", "b"], absolute=0.1, relative=0.1)
    assert deviation.size == pytest.approx(size)
    assert verdict_on(deviation).name == ("passed" if size <= 1.0 else "wrong")


def test_the_worst_is_named() -> None:
    deviation = worst_deviation([1.0, 2.0], [1.1, 4.0], ["a", "b at t = 3"], 0.5, 0.0)
    assert verdict_on(deviation).reason == "b at t = 3: 2 instead of 4 (4 tolerances away)"


def test_a_table_survives_writing_and_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    rows = [row("1", tags=("A", "B")), row("2", "refused", 'a "quoted"\treason | x')]
    write_table(path, rows, "key")
    assert read_table(path) == ("key", table(*rows))
    path.write_text(path.read_text() + "3\tpassed\t\t1.", encoding="utf-8")
    assert read_table(path) == ("key", table(*rows))


def test_a_growing_table_goes_on_with_the_same_key_only(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    TableFile(path, "one").add(row("1"))
    again = TableFile(path, "one")
    assert (list(again.rows), again.dropped) == (["1"], 0)
    again.add(row("2"))
    other = TableFile(path, "other")
    assert (list(other.rows), other.dropped) == ([], 2)
    assert read_table(path) == ("other", {})


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "case\tverdict\treason\tseconds\ttags\n1\tgood\t\t1\t\n", "\xff"])
def test_what_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TwinError, match="no table of verdicts"):
        read_table(path)


def test_changes_say_better_and_worse() -> None:
    before = table(row("1"), row("2", "refused"), row("3"), row("4", "skipped"), row("5"))
    now = table(row("1", "wrong", "x"), row("2"), row("3"), row("4", "refused"), row("5", "skipped"), row("6"))
    found = {change.case: change.worse for change in changes(before, now)}
    assert found == {"1": True, "2": False, "4": True, "5": False}
    assert str(changes(before, now)[0]) == "1: passed -> wrong (x)"


def test_counts_and_shares() -> None:
    rows = [row("1"), row("2", "refused", "E: 'a' is odd"), row("3", "refused", "E: 'b' is odd", ("fbc:Objective",))]
    assert count(rows) == {"passed": 1, "skipped": 0, "refused": 2, "crashed": 0, "wrong": 0}
    assert reason_counts(rows) == [("refused", "E: '...' is odd", "2")]
    assert share_without(SBML, rows) == "Without fbc: 1 of 2 pass (50.0%)."
    assert share_without(SBML, rows[:2]) == ""
    shown = page([(SBML, table(*rows))])
    assert "| refused | 2 | 66.7% |" in shown
    assert "| 2 | refused | E: 'a' is odd |" in shown


def cases(*names: str, tags: tuple[str, ...] = ()) -> list[Case]:
    return [Case(name, Path(name), tags) for name in names]


def test_selection() -> None:
    some = [*cases("1", "2", tags=("comp:Port",)), *cases("3", tags=("Delay",)), *cases("4")]
    assert [case.name for case in select(some, names=["3", "1"])] == ["1", "3"]
    assert [case.name for case in select(some, tags=["comp"])] == ["1", "2"]
    assert [case.name for case in select(some, tags=["comp:Port", "Delay"])] == ["1", "2", "3"]
    assert [case.name for case in select(some, sample=2)] == ["2", "4"]
    with pytest.raises(TwinError, match="no case '5'"):
        select(some, names=["5"])
    with pytest.raises(TwinError, match="no case has the tag 'Dely'"):
        select(some, tags=["Dely"])


def test_a_spread_has_the_number_asked_for_and_no_case_twice() -> None:
    some = cases(*map(str, range(97)))
    for number in (1, 7, 50, 96, 97, 200):
        assert len({case.name for case in spread(some, number)}) == min(number, 97)


def test_the_fingerprint_depends_on_all_that_decides() -> None:
    keys = {
        fingerprint(["twin"], ["numpy"], 1),
        fingerprint(["twin"], ["numpy"], 2),
        fingerprint(["twin"], ["scipy"], 1),
        fingerprint(["twin", "calibration"], ["numpy"], 1),
    }
    assert len(keys) == 4
    assert fingerprint(["twin"], ["numpy"], 1) in keys
