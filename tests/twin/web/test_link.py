"""A link restores a view, and a link that makes no sense is refused as a whole."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import ExperimentError
from twin.web.link import LONGEST, query_of, view_of
from twin.web.served import Served
from twin.web.settings import Dose, Scenario, View

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
POSITIVE = st.floats(min_value=1e-12, max_value=1e12)
DOSES = st.builds(
    Dose, st.sampled_from(["gut", "body"]), POSITIVE, NUMBERS, POSITIVE, POSITIVE, st.integers(min_value=1, max_value=9)
)


def test_the_first_view_has_an_empty_query(served: Served) -> None:
    assert query_of(served.first_view(), served) == ""
    assert view_of("", served) == served.first_view()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_view_comes_back_to_the_digit(served: Served, data: st.DataObject) -> None:
    first = served.first_view()
    now = replace(
        first.settings,
        doses=tuple(data.draw(st.lists(DOSES, max_size=3))),
        values={**first.settings.values, "ka": data.draw(NUMBERS)},
        spread=data.draw(st.floats(min_value=0, max_value=200)),
    )
    kept = Scenario(data.draw(st.text(min_size=1, max_size=60).filter(lambda s: s.isprintable())), now)
    view = View(now, data.draw(NUMBERS), ("body", "amount"), "gut", data.draw(st.booleans()), (kept,))
    assert view_of(query_of(view, served), served) == view


def test_a_twin_has_factors(calibrated: Served) -> None:
    view = view_of("x.ka=2&p.shift=1", calibrated)
    assert view.settings.factors == {"ka": 2.0}
    assert view.settings.values == {"shift": 1.0}
    assert query_of(view, calibrated) == "p.shift=1&x.ka=2"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("p.kaa=1", "no parameter 'kaa'"),
        ("p.ka=fast", "is 'fast'"),
        ("p.ka=inf", "is inf"),
        ("p.ka=1&p.ka=2", "given twice"),
        ("colour=red", "unknown key 'colour'"),
        ("dose=gut", "the dose is"),
        ("dose=liver,1", "no state 'liver'"),
        ("dose=gut,-1", "the amount is -1"),
        ("dose=gut,1,0,0,0,3", "3 doses 0 apart"),
        ("dose=gut,1,0,0,1,2.5", "the count of"),
        ("show=", "no variable ''"),
        ("log=yes", "log is 'yes'"),
        ("whom=nobody", "no person 'nobody'"),
        ("experiment=secret", "no experiment 'secret'"),
        ("spread=900", "the spread is 900"),
        ("until=nan", "until is nan"),
        ("x.ka=2", "no calibrated parameter 'ka'"),
        (urlencode([("scenario", "name=a&p.kaa=1")]), "no parameter 'kaa'"),
        (urlencode([("scenario", "p.ka=1")]), "the name of a scenario has 0"),
        (urlencode([("scenario", f"name={i}") for i in range(9)]), "9 scenarios"),
        ("p.ka=" + "1" * LONGEST, "characters"),
    ],
)
def test_what_is_wrong_is_named(served: Served, query: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        view_of(query, served)
