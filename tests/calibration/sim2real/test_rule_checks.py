"""Rules of plausible biology: those of the library hold at the published values, wrong mechanisms break them."""

from __future__ import annotations

import numpy as np
import pytest

import twin
from calibration.sim2real.rule_checks import rule_checks
from twin import library
from twin.errors import FormulaError, ModelError, UnknownSymbolError
from twin.plausibility import InRange, Monotone, PeakTime, check_rules

RULED = [name for name in library.list_models() if library.card(name).rules]
DRUG = tuple(twin.Experiment(parameters={"dose": dose}) for dose in (0.0, 1.0, 4.0))


# Growth to a peak and decay after it. `power` is what the drug does, `gain` below 0 no growth at all: one model,
# compiled once, stands for the right mechanism and two wrong ones.
GROWTH = twin.Model(
    "growth",
    [twin.State("A", 1.0)],
    [twin.Parameter(name, value) for name, value in (("r", 1.0), ("dose", 0.0), ("power", -1.0), ("gain", 1.0))],
    odes={"A": "(gain * r * (1 + dose)^power - time) * A"},
    observables=[twin.Observable("y", "A")],
)
RULES = (
    InRange("doubling time", "ln(2) / r", 0.3, 2.0, "a textbook"),
    PeakTime("peak", "y", 0.5, 3.0, "a textbook"),
    Monotone("response to the drug", "A", DRUG, 1.0, False, "a textbook"),
)
DRAWS = {"r": np.array([0.9, 1.0, 1.1])}


def outcomes(rules=RULES, draws=DRAWS, **wrong: float) -> dict[str, float]:
    """Share of draws that break each rule, by key."""
    values = draws | {name: np.full(len(draws["r"]), value) for name, value in wrong.items()}
    return {c.key: c.value for c in rule_checks(GROWTH, rules, values, twin.Experiment(), 4.0)}


def test_the_right_mechanism_keeps_its_rules_and_wrong_ones_break_them() -> None:
    assert outcomes() == {"rule.doubling_time": 0.0, "rule.peak": 0.0, "rule.response_to_the_drug": 0.0}
    assert outcomes(power=1.0) == {"rule.doubling_time": 0.0, "rule.peak": 0.0, "rule.response_to_the_drug": 1.0}
    assert outcomes(RULES[:2], gain=-1.0) == {"rule.doubling_time": 0.0, "rule.peak": 1.0}


def test_the_share_and_the_worst_draw_are_told() -> None:
    (check,) = rule_checks(GROWTH, RULES[:1], {"r": np.array([0.1, 1.0, 1.0, 4.0])}, twin.Experiment(), 4.0)
    assert check.value == 0.5 and check.passed is False
    assert check.note.startswith("expected 0.3 to 2; median 0.693, worst 6.93. a textbook")


def test_a_formula_that_is_no_number_breaks_its_rule() -> None:
    rules = (InRange("root", "sqrt(r - 1)", 0.0, 1.0, "a textbook"),)
    assert outcomes(rules, {"r": np.array([0.5, 1.5])})["rule.root"] == 0.5


def test_a_formula_taken_at_all_times() -> None:
    start, always = (InRange("level", "A", 0.5, 2.0, "a textbook", always=flag) for flag in (False, True))
    assert outcomes((start,))["rule.level"] == 0.0
    assert outcomes((always,))["rule.level"] == 1.0


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (InRange("a", "r +", 0.0, 1.0, "s"), FormulaError, "rule 'a'"),
        (InRange("a", "q", 0.0, 1.0, "s"), UnknownSymbolError, "'q'"),
        (InRange("a", "r", 1.0, 1.0, "s"), ModelError, "is empty"),
        (InRange("a", "r", 0.0, 1.0, " "), ModelError, "no source"),
        (PeakTime("a", "z", 0.0, 1.0, "s"), ModelError, "no observable"),
        (PeakTime("a", "y", 0.0, np.inf, "s"), ModelError, "not finite"),
        (Monotone("a", "A", DRUG[:1], 1.0, True, "s"), ModelError, "1 experiments"),
        (Monotone("a", "A", DRUG, 0.0, True, "s"), ModelError, "read at 0"),
    ],
)
def test_rules_that_cannot_be_checked_are_refused(rule, error, message: str) -> None:
    with pytest.raises(error, match=message):
        check_rules(GROWTH, (rule,))
    with pytest.raises(ModelError, match="occurs twice"):
        check_rules(GROWTH, (RULES[0], RULES[0]))


# At the peak of its pathogen the published CD8 model lets cells divide every half hour, which none does.
BROKEN_AS_PUBLISHED = {"cd8_crauste": {"rule.rate_of_proliferation"}}


@pytest.mark.slow
@pytest.mark.parametrize("name", RULED)
def test_published_values_keep_the_rules_of_their_card(name: str) -> None:
    card = library.card(name)
    dosed = twin.Experiment(doses=[twin.Bolus("gut", 4.0)]) if name == "theophylline" else twin.Experiment()
    checks = rule_checks(card.model, card.rules, {}, dosed, 10.0)
    assert {check.key for check in checks if not check.passed} == BROKEN_AS_PUBLISHED.get(name, set())


def test_five_models_of_the_library_have_rules() -> None:
    assert len(RULED) >= 5
