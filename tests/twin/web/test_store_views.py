"""Views of a page of stores as links: what is asked for comes back, and what cannot be is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.twin.web.store_runs import HOSTILE
from twin.errors import ScenarioError
from twin.web.store.runs import Runs
from twin.web.store.view import HISTOGRAM, MOST_SHOWN, View, endpoints_of, first_view, query_of, view_of

pytestmark = pytest.mark.xdist_group("stores")


@pytest.fixture(scope="module")
def runs(stores: tuple[Path, Path, Path]) -> Runs:
    return Runs(stores)


def test_the_first_view(runs: Runs) -> None:
    view = first_view(runs)
    assert view_of("", runs) == view
    assert view.arms[0] == runs[0].arms and view.references == ("none", "none", "none")
    assert view.output == "A" and view.endpoint == "half" and sum(map(len, view.arms)) <= MOST_SHOWN
    assert endpoints_of(runs) == ("half", "peak", "twice", "late")


def test_a_view_comes_back_from_its_link(runs: Runs) -> None:
    hostile = f"weak {HOSTILE}"
    view = View(
        arms=(("none", hostile), (), ("none",)),
        output="A",
        log=True,
        endpoint="late",
        shape=HISTOGRAM,
        log_endpoint=True,
        references=(hostile, "strong", "none"),
        against="strong",
    )
    assert view_of(query_of(view), runs) == view
    assert view_of(query_of(first_view(runs)), runs) == first_view(runs)
    # Arms are shown in the order of the run, whatever the order of the link.
    assert view_of("arm=strong&arm=none&arm=strong", runs).arms == (("none", "strong"), (), ())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("arm=nonee", "there is no arm 'nonee'.*did you mean 'none'"),
        ("arm4=none", "unknown key 'arm4'"),
        ("armm=none", "unknown key 'armm'.*did you mean 'arm'"),
        ("output=B", "there is no output 'B'"),
        ("endpoint=peek", "there is no endpoint 'peek'"),
        ("shape=pie", "there is no shape 'pie'"),
        ("log=2", "there is no log '2'"),
        ("endpoint=peak&endpoint=half", "'endpoint' is given twice"),
        ("reference=", "there is no arm ''"),
        ("reference2=x", "there is no arm 'x'"),
        ("against=x", "there is no arm 'x'"),
        ("file=/etc/passwd", "unknown key 'file'"),
        ("x" * 9000, "9000 characters"),
    ],
)
def test_what_cannot_be_shown_is_named(runs: Runs, query: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=f"(?s)the address: .*{said}"):
        view_of(query, runs)


def test_too_many_arms(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.web.store.view.MOST_SHOWN", 2)
    with pytest.raises(ScenarioError, match=r"(?s)3 arms.*2 at most"):
        view_of("arm=none&arm=strong&arm2=none", runs)
