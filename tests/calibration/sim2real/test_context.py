"""Contexts of use: what is read, what is refused with line and key, and what counts as met."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from calibration.sim2real.check_row import Check, check_table
from calibration.sim2real.context import KNOWN_KEYS, read_context
from calibration.sim2real.credibility import FACTORS, NO_THRESHOLD, judge_context
from twin.errors import ProblemError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "antiviral_context.yaml"
HEAD = """question: q
use: u
decision: d
model_influence: {level: low, why: w}
decision_consequence: {level: high, why: w}
fixed: 2026-01-31
"""
LAYERS = {
    "L0 verification": check_table(
        [
            Check("r_hat", "R-hat", 1.004, True, ""),
            Check("ess_bulk", "bulk ESS", 350.0, False, ""),
            Check("failed_draws", "failed draws", 0, None, ""),
        ]
    ),
    "L1 statistical": check_table(
        [
            Check("mmd", "MMD", "no power (p = 0.7)", None, "", 0.7, powerless=True),
            Check("energy_train", "energy", "1.2 (no power)", None, "", 1.2, powerless=True),
            Check("loo_elpd", "LOO", "words", None, ""),
        ]
    ),
    "L2 biological": check_table(
        [Check("rule.r0", "R0", "0 %", True, "", 0.0), Check("rule.peak", "peak", "20 %", False, "", 0.2)]
    ),
    "L4 extrapolation": check_table([Check("gap", "gap", "0.4 (0.1 to 0.6)", True, "", 0.4)]),
}


@pytest.fixture
def written(tmp_path):
    """Reads a file with the given text, after the head unless `whole`."""

    def read(text: str, *, whole: bool = False):
        path = tmp_path / "context.yaml"
        path.write_text(text if whole else f"{HEAD}{text}", encoding="utf-8")
        return read_context(path)

    return read


def outcomes(context) -> dict[str, str]:
    """Outcome by key."""
    table = judge_context(context, LAYERS).thresholds
    return dict(zip(table["key"], table["outcome"], strict=True))


def test_the_example_is_read_with_its_hash() -> None:
    context = read_context(EXAMPLE)
    assert context.sha256 == hashlib.sha256(EXAMPLE.read_bytes()).hexdigest()
    assert (context.model, context.split, context.fixed.isoformat()) == ("influenza_teiv", "experiment", "2026-11-25")
    assert str(next(t for t in context.thresholds if t.key == "mmd")) == "at least 0.05"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thresholds: {L0: {r_hatt: passes}}", r"line 7, thresholds.L0.r_hatt: no check has the key[^?]*'r_hat'\?"),
        ("thresholds: {L0: {r_hat: fine}}", r"thresholds.L0.r_hat: 'fine' stands there"),
        ("thresholds:\n  L0:\n    r_hat: {at_most: x}", r"line 9, thresholds.L0.r_hat.at_most: 'x' stands there"),
        ("thresholds:\n  L0:\n    r_hat: {most: 1}", r"line 9, thresholds.L0.r_hat.most: the key 'most'"),
        ("thresholds: {L0: {r_hat: {at_most: .nan}}}", "a finite number"),
        ("thresholds: {L0: {r_hat: {at_least: 2, at_most: 1}}}", "no value is at least and at most"),
        ("thresholds: {verification: {r_hat: passes}}", "'verification' is no layer"),
        ("thresholds: {L0: {r_hat: passes, r_hat: passes}}", "the key occurs twice"),
        ("thresholds: {}", "there is no threshold"),
        ("thresholds: [L0]", "a list stands there"),
        ("thresolds: {L0: {r_hat: passes}}", "the key 'thresolds' is not known[^?]*'thresholds'?"),
        ("model: [a]\nthresholds: {L0: {r_hat: passes}}", "line 7, model: a list"),
        ("", "the key 'thresholds' is missing"),
        ("thresholds: !!python/object/apply:os.getcwd []", "a list stands there"),
        ("thresholds: {L0: {r_hat: !!python/name:os.system x}}", "'x' stands there"),
        ("thresholds: {", "this is no YAML"),
    ],
)
def test_faults_are_named_with_line_and_key(written, text: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        written(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fixed: 2026-01-31", "fixed: last year", "line 6, fixed: 'last year' stands there"),
        ("level: low", "level: tiny", "line 4, model_influence.level: 'tiny'"),
        ("{level: high, why: w}", "high", "line 5, decision_consequence: 'high' stands there"),
        ("question: q", "question: ''", "line 1, question: '' stands there"),
    ],
)
def test_faults_of_the_head(written, old: str, new: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        written(HEAD.replace(old, new) + "thresholds: {L0: {r_hat: passes}}", whole=True)


def test_no_file_and_empty_files_are_refused(tmp_path, written) -> None:
    with pytest.raises(ProblemError, match="cannot be read"):
        read_context(tmp_path / "none.yaml")
    with pytest.raises(ProblemError, match="the file is empty"):
        written("", whole=True)


def test_another_subject_and_thresholds_of_the_future_are_refused(written) -> None:
    context = written("model: a\nthresholds: {L0: {r_hat: passes}}")
    context.check_subject("a", "any", "time")
    with pytest.raises(ProblemError, match="about the model 'a', and this is 'b'"):
        context.check_subject("b", "any", "time")
    late = written(HEAD.replace("2026-01-31", "9999-01-01") + "thresholds: {L0: {r_hat: passes}}", whole=True)
    with pytest.raises(ProblemError, match="still to come"):
        late.check_subject("a", "any", "time")


def test_met_not_met_and_not_tested(written) -> None:
    context = written(
        "thresholds:\n"
        "  L0: {r_hat: {at_most: 1.01}, ess_bulk: {at_least: 400}, failed_draws: {at_most: 0}}\n"
        "  L1: {mmd: {at_least: 0.05}, energy_train: {at_most: 1.0}, loo_elpd: {at_least: 0}, c2st: passes}\n"
        "  L2: {rule.*: {at_most: 0.1}}\n"
        "  L4: {gap: {at_most: 0.5}}\n"
    )
    assert outcomes(context) == {
        "r_hat": "met",
        "ess_bulk": "not met",
        "failed_draws": "met",
        "mmd": "not tested",  # inside, but it could not have failed
        "energy_train": "not met",  # a threshold that is missed counts always
        "loo_elpd": "not tested",  # no number
        "c2st": "not tested",  # no such check
        "rule.r0": "met",
        "rule.peak": "not met",
        "gap": "met",
    }
    found = judge_context(context, LAYERS)
    assert dict(zip(found.layers["layer"], found.layers["outcome"], strict=True)) == {
        "L0": "not met",
        "L1": "not met",
        "L2": "not met",
        "L4": "met",
    }
    assert found.model_risk == "3 of 5"
    assert str(found) == "For this context of use (model risk 3 of 5): met: L4; not met: L0, L1, L2."


def test_a_layer_without_thresholds_and_checks_without_judgement_are_not_tested(written) -> None:
    found = judge_context(written("thresholds: {L0: {r_hat: passes, failed_draws: passes}}"), LAYERS)
    assert list(found.layers["outcome"]) == ["not tested"] * 4
    assert list(found.thresholds["remark"]) == ["", "the check does not judge by itself"]


def test_factors_claim_only_what_thresholds_tested(written) -> None:
    found = judge_context(written("applicability: far\nthresholds: {L4: {gap: {at_most: 0.5}}}"), LAYERS)
    factors = found.factors.set_index("factor")
    assert list(factors.index[factors["outcome"] == "met"]) == ["predictions agree with held-out readings"]
    assert set(factors["outcome"]) == {"met", "not tested"}
    assert NO_THRESHOLD in factors.loc["the posterior is sampled", "evidence"]
    assert "no check of this here" in factors.loc["errors of use", "evidence"]
    assert factors.loc["as the context says", "evidence"] == "far"


def test_a_factor_is_not_met_beside_a_check_that_fails_by_its_own_judgement(written) -> None:
    found = judge_context(written("thresholds: {L0: {r_hat: {at_most: 1.01}}}"), LAYERS)
    sampled = found.factors.set_index("factor").loc["the posterior is sampled"]
    assert sampled["outcome"] == "not tested"
    assert "failed by their own judgement: ess_bulk" in sampled["evidence"]


def test_every_factor_names_checks_that_exist() -> None:
    named = {key for factor in FACTORS for _, key in factor.checks if "*" not in key}
    assert named <= set(KNOWN_KEYS)
    assert np.unique([factor.name for factor in FACTORS]).size == len(FACTORS)
