"""The parts of the page: markup, formats, panels, tables."""

from __future__ import annotations

import math
import re
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import synthetic

from calibration.report.formats import flatten, humanise, number, percent, show, two_places
from calibration.report.panel_figure import held_out_spans
from calibration.report.panels import choose_panels, fold_label
from calibration.report.sections.layers import layer_words
from calibration.report.sections.parameters import comparable
from calibration.report.tables import mark, truth
from twin.markup import Markup, escape, tag


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (math.nan, "–"), (pd.NA, "–"), (pd.NaT, "–"), (0.0, "0"), (0.42, "0.420"), (-0.42, "−0.420"),
        (1234.5, "1,234"), (4.1e-5, "4.10 × 10⁻⁵"), (3e7, "3.00 × 10⁷"), (math.inf, "∞"), (12, "12"),
        (np.int64(-3), "−3"), (55.04, "55.0"), (99.96, "100"),
    ],
)  # fmt: skip
def test_number(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"), (np.False_, "no"), ([1, 2.5], "1, 2.5"), ({"a": None}, "a: –"), ("", "–"), ([], "–"),
        (1.00432, "1.004"), (1e-8, "1 × 10⁻⁸"), (datetime(2026, 3, 4, 5, 6), "2026-03-04 05:06:00"),
    ],
)  # fmt: skip
def test_show(value: object, text: str) -> None:
    assert show(value) == text


def test_other_formats() -> None:
    assert percent(0.857) == "86 %"
    assert percent(-0.99) == "−99 %"
    assert percent(None) == "–"
    assert two_places(-0.5) == "−0.50"
    assert two_places(math.inf) == "unbounded"
    assert humanise("worst_r_hat") == "Worst R-hat"
    assert list(flatten({"a": {"b": 1}, "c": {}})) == [("a / b", 1), ("c", {})]


def test_tag_escapes_text_but_not_markup() -> None:
    assert tag("p", "a < b", Markup("<b>c</b>"), None) == "<p>a &lt; b<b>c</b></p>"
    assert tag("a", href='"x"', class_=None, hidden=True) == '<a href="&quot;x&quot;" hidden></a>'
    assert escape("a\x00b\ud800") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("value", "known"),
    [(True, True), (np.False_, False), (None, None), (math.nan, None), ("True", True), (1.0, True)],
)
def test_truth(value: object, known: bool | None) -> None:
    assert truth(value) is known
    assert {True: "pass", False: "fail", None: "not judged"}[known] in mark(value)


def test_held_out_spans() -> None:
    times = np.array([1.0, 2.0, 3.0, 4.0])
    assert held_out_spans(times, np.array([False, False, True, True]), 0.5, 4.5) == [(2.5, 4.5)]
    assert held_out_spans(times, np.ones(4, dtype=bool), 0.5, 4.5) == [(0.5, 4.5)]
    assert held_out_spans(times, np.array([False, True, False, True]), 0.5, 4.5) == [(1.5, 2.5), (3.5, 4.5)]
    assert held_out_spans(times, np.zeros(4, dtype=bool), 0.5, 4.5) == []


def test_each_series_is_shown_in_the_fold_that_held_it_out() -> None:
    made = synthetic.influenza("subject")
    panels, total = choose_panels(made)
    assert total == len(panels) == 6
    for panel in panels:
        assert not panel.readings["train"].any()
        assert panel.subject in re.findall(r"\d+", panel.fold)
        assert set(panel.bands["subject"]) == {panel.subject}
        assert panel.bands["fold"].nunique() == 1
    assert fold_label(made.split, made.split.folds[1].label) == fold_label(made.split, 1)


def test_observables_take_turns_when_there_are_too_many() -> None:
    panels, total = choose_panels(synthetic.natural_scale(), most=5)
    assert total == 12
    assert [panel.observable for panel in panels] == ["cells"] * 3 + ["virus"] * 2
    assert [panel.subject for panel in panels] == ["1", "2", "3", "1", "2"]


def test_layer_words() -> None:
    assert layer_words("L0")[:2] == ("L0", "Verification")
    assert layer_words("L3 uncertainty")[:2] == ("L3", "Uncertainty")
    assert layer_words("own checks") == ("own checks", "", "")


def test_only_positive_published_values_are_drawn_as_ratios() -> None:
    parameters = synthetic.influenza().parameters
    drawn = comparable(parameters)
    assert list(drawn["name"]) == ["beta", "k", "delta", "p", "c", "V0"]
    assert drawn.set_index("name").loc["c", "reference"] == pytest.approx(math.sqrt(2.0 * 36.0))
    assert comparable(parameters.assign(q05=-1.0)).empty
