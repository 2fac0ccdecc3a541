"""Pictures of stores: where values lie, what is written beside, and that lines are told apart."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from twin.web.palette import contrast
from twin.web.store.axes import Axis, axis_over
from twin.web.store.charts import (
    COLOURS,
    Course,
    Curve,
    Interval,
    courses_chart,
    cumulative_chart,
    histogram_chart,
    interval_chart,
    style_of,
)
from twin.web.store.view import MOST_SHOWN

# Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113, tables of severity 1: protanopia and deuteranopia.
BLIND = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
)
STYLE = style_of(0)


def seen(colour: str, eyes: np.ndarray) -> np.ndarray:
    """A colour in CIELAB (white D65) as it is seen."""
    coded = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (to_xyz @ np.clip(eyes @ light, 0, 1)) / (0.9505, 1.0, 1.089)
    f = [np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_lines_of_one_page_are_told_apart_by_dashes_or_by_any_eyes() -> None:
    styles = [style_of(place) for place in range(MOST_SHOWN)]
    assert len(set(styles)) == MOST_SHOWN and len({style_of(place) for place in range(35)}) == 35
    assert len({style.dash for style in styles[:5]}) == 5
    for first, second in itertools.combinations(styles, 2):
        if first.dash == second.dash:
            # A difference of 2.3 is just noticed (Mahy, Van Eycken and Oosterlinck 1994).
            assert all(np.linalg.norm(seen(first.colour, e) - seen(second.colour, e)) > 10 * 2.3 for e in BLIND)
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in COLOURS)


def test_places_on_axes() -> None:
    plain = Axis(0.0, 10.0, 100.0, 200.0)
    np.testing.assert_allclose(plain.place(np.array([0.0, 5.0, 10.0])), [100, 150, 200])
    assert [text for _, text in plain.ticks()] == ["0", "2", "4", "6", "8", "10"]
    log = Axis(0.01, 100.0, 0.0, 4.0, log=True)
    np.testing.assert_allclose(log.place(np.array([0.1, 1.0, 10.0, -1.0])), [1, 2, 3, np.nan])
    assert [text for _, text in log.ticks()] == ["0.01", "0.1", "1", "10", "100"]
    assert [text for _, text in Axis(1.0, 10.0, 0.0, 1.0, log=True).ticks()] == ["1", "2", "5", "10"]
    assert [text for _, text in Axis(-2e6, 2e6, 0.0, 1.0).ticks(4)][::2] == ["−2·10⁶", "0", "2·10⁶"]
    assert [text for _, text in Axis(1e-9, 1e9, 0.0, 1.0, log=True).ticks()][:2] == ["10⁻⁹", "10⁻⁶"]


@pytest.mark.parametrize("log", [False, True])
def test_axes_hold_their_values(log: bool) -> None:
    values = np.array([3.0, np.nan, np.inf, 80.0, 0.5])
    axis = axis_over(values, 0.0, 1.0, log=log)
    assert axis is not None and axis.low < 0.5 and axis.high > 80
    assert axis_over(np.array([np.nan, np.inf]), 0.0, 1.0, log=log) is None
    one = axis_over(np.array([2.0]), 0.0, 1.0, log=log)
    assert one is not None and one.low < 2 < one.high and len(one.ticks()) >= 1
    none = axis_over(np.array([0.0]), 0.0, 1.0, log=log)
    assert none is None if log else none is not None and none.low < none.high


def numbers(markup: str) -> list[float]:
    """Every coordinate of the lines of a picture."""
    paths = re.findall(r'(?:d|points)="([^"]*)"', markup)
    return [float(x) for path in paths for x in re.findall(r"-?[\d.]+|nan|inf", path)]


def test_courses_on_a_logarithmic_axis_end_where_they_are_not_positive() -> None:
    times = np.array([0.0, 1.0, 2.0, 3.0])
    quantiles = np.array([[1.0, 0.5, 0.0, 0.0], [2.0, 1.0, 0.1, 0.0], [3.0, 2.0, 1.0, 0.5]])
    course = Course("an arm", STYLE, times, quantiles, (0.1, 0.5, 0.9))
    assert course.pairs == [(0, 2)] and course.middle == 1
    for log in (False, True):
        shown = courses_chart([course], "time", "A", log=log)
        assert shown is not None and np.isfinite(numbers(shown)).all()
        assert "an arm: 0 (10 %), 0 (50 %), 0.5 (90 %)" in shown
    below = Course("an arm", STYLE, times, np.zeros((3, 4)), (0.1, 0.5, 0.9))
    assert courses_chart([below], "time", "A", log=True) is None
    assert Course("an arm", STYLE, times, quantiles[:2], (0.1, 0.9)).middle is None


def test_distributions() -> None:
    curve = Curve("an arm", STYLE, np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.5, 0.8]))
    shown = cumulative_chart([curve], "peak", log=False)
    assert shown is not None and "an arm: half of them at or below 2" in shown
    nobody = Curve("an arm", STYLE, np.array([]), np.array([]))
    assert cumulative_chart([nobody], "peak", log=False) is None
    seldom = Curve("an arm", STYLE, np.array([1.0]), np.array([0.1]))
    both = cumulative_chart([seldom, nobody], "peak", log=True)
    assert both is not None and "an arm: fewer than half of them have a finite value" in both
    bars = histogram_chart([Curve("an arm", STYLE, np.array([1.0, 2.0, 4.0]), np.array([0.2, 0.8]))], "peak", log=True)
    assert bars is not None and "most patients near 2" in bars and np.isfinite(numbers(bars)).all()


def test_intervals_that_never_end_leave_on_their_side() -> None:
    rows = [
        Interval("finite", STYLE, 1.0, (0.5, 1.5), (0.0, 2.0)),
        Interval("never", STYLE, 2.0, (1.0, np.inf), (0.5, np.inf)),
        Interval("unknown", STYLE, np.nan, None, (np.nan, np.nan)),
    ]
    shown = interval_chart(rows, "difference", zero=True)
    assert shown is not None and "∞" in shown and "no value" in shown and "nan" not in shown
    assert interval_chart(rows[2:], "difference", zero=True) is None
