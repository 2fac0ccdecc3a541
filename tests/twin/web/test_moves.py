"""What the controls send, onto views."""

from __future__ import annotations

from typing import Any

import pytest

from twin.errors import ExperimentError
from twin.web.link import MOST_SCENARIOS
from twin.web.moves import after_action, after_sliders
from twin.web.served import Served
from twin.web.settings import MOST_DOSES
from twin.web.sliders import general, groups, span


def test_sliders_move_what_they_are_called(served: Served) -> None:
    moved = {"p.ka": 2, "spread": 50.0, "until": 12, "dose.0.amount": 4, "dose.0.count": 3}
    view = after_sliders(served, served.first_view(), moved)
    assert view.settings.values["ka"] == 2.0 and view.settings.spread == 50.0 and view.until == 12.0
    (dose,) = view.settings.doses
    assert (dose.amount, dose.count, dose.every) == (4.0, 3, 4.0)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("p.ka", "2", "is '2'"),
        ("p.ka", float("nan"), "finite"),
        ("p.ka", True, "is True"),
        ("p.nothing", 1.0, "nothing called"),
        ("x.ka", 2.0, "nothing called"),
        ("dose.9.amount", 2.0, "nothing called"),
        ("dose.0.target", 2.0, "nothing called"),
        ("dose.0.amount", -2.0, "amount is -2"),
        ("dose.0.count", 1000, "1000 doses"),
        ("spread", -1.0, "spread is -1"),
    ],
)
def test_nonsense_is_refused(served: Served, key: str, value: Any, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        after_sliders(served, served.first_view(), {key: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("experiment", "secret"),
        ("whom", 3),
        ("endpoint", None),
        ("show", "amount"),
        ("show", ["nothing", True]),
        ("add_dose", "liver"),
        ("drop_dose", 5),
        ("drop_dose", True),
        ("load", 0),
        ("forget", -1),
        ("open", "/etc/passwd"),
        ("keep", "x" * 100),
    ],
)
def test_actions_that_make_no_sense_are_refused(served: Served, name: str, value: Any) -> None:
    with pytest.raises(ExperimentError, match="there is no|expected"):
        after_action(served, served.first_view(), name, value)


def test_scenarios_are_kept_loaded_and_forgotten(served: Served) -> None:
    view = after_action(served, after_sliders(served, served.first_view(), {"p.ka": 3.0}), "keep", " fast ")
    back = after_action(served, view, "reset", None)
    assert back.settings == served.first_view().settings and [s.name for s in back.scenarios] == ["fast"]
    assert after_action(served, back, "load", 0).settings.values["ka"] == 3.0
    assert after_action(served, back, "forget", 0).scenarios == ()
    assert len(after_action(served, back, "keep", "fast").scenarios) == 1
    for index in range(MOST_SCENARIOS - 1):
        back = after_action(served, back, "keep", f"s{index}")
    with pytest.raises(ExperimentError, match="there are 6 scenarios"):
        after_action(served, back, "keep", "one more")


def test_doses_come_and_go(served: Served) -> None:
    view = after_action(served, served.first_view(), "add_dose", "body")
    assert [dose.target for dose in view.settings.doses] == ["gut", "body"]
    assert after_action(served, view, "drop_dose", 0).settings.doses == view.settings.doses[1:]
    for _ in range(MOST_DOSES - 2):
        view = after_action(served, view, "add_dose", "body")
    with pytest.raises(ExperimentError, match="8 regimens"):
        after_action(served, view, "add_dose", "body")


def test_at_least_one_variable_stays(served: Served) -> None:
    view = after_action(served, served.first_view(), "show", ["gut", True])
    assert view.shown == ("amount", "gut")
    with pytest.raises(ExperimentError, match="nothing would be shown"):
        after_action(served, served.first_view(), "show", ["amount", False])


def test_positive_quantities_have_logarithmic_sliders(served: Served) -> None:
    sliders = {s["key"]: s for group in groups(served, served.first_view()) for s in group["sliders"]}
    assert sliders["p.ka"]["log"] and sliders["dose.0.amount"]["log"] and not sliders["p.shift"]["log"]
    assert (sliders["p.ka"]["low"], sliders["p.ka"]["high"]) == (0.15, 15.0)
    assert [s["key"] for s in general(served, served.first_view())] == ["spread", "until"]


def test_a_twin_has_factors_instead_of_values(calibrated: Served) -> None:
    view = calibrated.first_view()
    keys = [s["key"] for group in groups(calibrated, view) for s in group["sliders"]]
    assert keys == ["dose.0.amount", "dose.0.time", "dose.0.count", "x.ka", "x.ke", "p.shift"]
    assert [s["key"] for s in general(calibrated, view)] == ["until"]


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        (2.0, None, (0.2, 20.0, True)),
        (0.9, (0.0, 1.0), (0.0, 1.0, False)),
        (0.0, None, (0.0, 1.0, False)),
        (-3.0, None, (-6.0, 0.0, False)),
        (2.0, (1.0, 3.0), (0.2, 20.0, True)),
    ],
)
def test_span(value: float, bounds: Any, expected: tuple) -> None:
    assert span(value, bounds) == expected
