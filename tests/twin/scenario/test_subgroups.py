"""Rules of responders: planted ones are found near the truth, noise gives none, and what is reported is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scenario_files
from sklearn.metrics import roc_auc_score

import twin
from twin.cli import main
from twin.errors import ScenarioError
from twin.scenario.discrimination import discrimination, holm
from twin.scenario.rules import Rule, learned_rules, rounded
from twin.scenario.subgroups import find_subgroups

pytestmark = pytest.mark.xdist_group("scenario")

MODEL = twin.Model(
    "algebra",
    [twin.State("A", 1.0)],
    [twin.Parameter(name, 0.0) for name in ("delta", "p", "other")] + [twin.Parameter("k", 0.1)],
    odes={"A": "-k*A"},
)
PLANTED = "(a <= 4.7 && b > 0.05 && chance < 0.8607) || chance < -0.5621"
"""The sine of a phase that no tree can see is below 0.8607 in 83 % of the patients, and below -0.5621 in 31 %."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Arms with the patients' own p, and without it (the reference)."""
    folder = tmp_path_factory.mktemp("subgroups") / "run"
    cohort = twin.Cohort(
        6000,
        {"delta": twin.Normal(5.2, 0.8), "p": twin.LogNormal(0.046, cv=0.5), "other": twin.Uniform(0, 1)},
        covariates={"weight": twin.LogNormal(70, cv=0.2)},
        seed=3,
    )
    endpoints = {"a": "delta", "b": "p", "chance": "sin(100000*other)"}
    twin.Scenario(
        MODEL,
        cohort,
        [0.0, 1.0],
        {name: twin.Endpoint("value", text, time=1.0) for name, text in endpoints.items()},
        name="planted",
        arms={"without": {"p": 0.0}, "with": {}},
        responders={"planted": PLANTED, "noise": "chance > 0", "never": "a > 100"},
        rtol=1e-4,
        max_steps=64,
    ).run(folder, progress=False)
    return folder


def test_a_planted_rule_is_found(planted: Path) -> None:
    found = find_subgroups(planted, seed=1)
    said = {(row.criterion, row.arm, row.question): row.found for row in found.questions.itertuples()}
    assert said["planted", "with", "responds"] == said["planted", "with", "gains"] == "rules"
    assert said["planted", "without", "responds"] == "nothing"
    assert said["noise", "with", "responds"] == said["noise", "without", "responds"] == "nothing"
    assert said["never", "without", "responds"] == "too few"
    assert said["noise", "with", "gains"] == "too few"  # the same in both arms
    assert ("never", "with", "gains") not in said  # the same question as who responds
    rules = found.rules.sort_values("share", ascending=False)
    best = rules[rules["question"] == "responds"].iloc[0]
    # "delta <= 4.7 and p > 0.05"
    parts = dict(part.replace(" <=", "").replace(" >", "").split() for part in best["rule"].split(" and "))
    assert set(parts) == {"delta", "p"} and " <= " in best["rule"] and " > " in best["rule"]
    # 3000 patients are some 30 per 0.01 of delta near 4.7, and 30 per 0.001 of p near 0.05.
    assert abs(float(parts["delta"]) - 4.7) < 0.1 and abs(float(parts["p"]) - 0.05) < 0.005
    assert best["low"] - 0.03 < 0.83 < best["high"] + 0.03 and abs(best["others"] - 0.31) < 0.03
    gained = rules[rules["question"] == "gains"].iloc[0]
    assert gained["low"] - 0.03 < 0.52 < gained["high"] + 0.03 and gained["others"] < 0.03
    responds = found.importance[found.importance["question"] == "responds"]
    drops = responds.set_index("parameter")["drops"]
    # Of the variance 0.232 = 0.36 * 0.64; shuffling moves 0.124 (p) or 0.142 (delta) of the patients by 0.52.
    np.testing.assert_allclose(drops[["p", "delta"]], np.array([0.124, 0.142]) * 0.52**2 / 0.232, atol=0.05)
    assert (drops[["other", "weight"]].abs() < 0.01).all()


def test_figures_are_those_of_the_other_half(planted: Path) -> None:
    """Counted again from the store: of the patients that the rule holds for, only those not learned from."""
    found = find_subgroups(planted, criteria=["planted"], arms=["with"], patients=4000, seed=5)
    assert found.patients == 4000 and found.of == 6000 and len(found.questions) == 2
    blind = find_subgroups(planted, criteria=["planted"], arms=["with"], parameters=["other", "weight"])
    assert set(blind.questions["found"]) == {"nothing"} and blind.rules.empty
    row = found.rules.iloc[0]
    columns, answers = found.map_of["planted", "with", row["question"]]
    assert len(answers) == 2000
    inside = np.ones(2000, dtype=bool)
    for part in row["rule"].split(" and "):
        name, sign, value = part.split()
        inside &= columns[name] <= float(value) if sign == "<=" else columns[name] > float(value)
    assert inside.sum() == row["patients"]
    np.testing.assert_allclose([row["share"], row["others"]], [answers[inside].mean(), answers[~inside].mean()])


def test_noise_gives_no_rules() -> None:
    """80 cohorts of noise: at most 5 % of the trees may seem to tell; fewer do, because most are pruned to nothing."""
    alarms = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        columns = {name: rng.standard_normal(1200) for name in "abcde"}
        answers = rng.random(1200) < 0.3
        learning = np.arange(1200) < 600
        rules = learned_rules({n: v[learning] for n, v in columns.items()}, answers[learning], seed)
        other = {n: v[~learning] for n, v in columns.items()}
        scores = np.select([rule.holds(other) for rule in rules], [rule.share for rule in rules])
        assert sum(rule.holds(other).sum() for rule in rules) == 600
        alarms += discrimination(scores, answers[~learning]).p < 0.05
    assert alarms <= 4


def test_area_and_its_interval() -> None:
    """Against scikit-learn, and 150 samples of two normal distributions, whose area is known."""
    rng, covered = np.random.default_rng(2), 0
    truth = 0.7602499389065233  # Phi(1 / sqrt(2))
    for _ in range(150):
        answers = rng.random(200) < 0.4
        scores = rng.standard_normal(200) + answers
        found = discrimination(scores, answers)
        covered += found.low <= truth <= found.high
    np.testing.assert_allclose(found.auc, roc_auc_score(answers, scores))
    coarse = np.round(scores)
    np.testing.assert_allclose(discrimination(coarse, answers).auc, roc_auc_score(answers, coarse))
    assert 0.91 <= covered / 150 <= 0.99  # Monte-Carlo error 1.8 %
    assert discrimination(np.zeros(9), np.arange(9) > 4).p == 1.0


def test_holm() -> None:
    # The example of R's p.adjust(c(0.01, 0.04, 0.03), "holm").
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert holm([]) == []


def test_rules_read_as_they_are_scored() -> None:
    rule = Rule({"delta": (-np.inf, 4.7), "p": (0.02, 0.05)}, 0.5)
    assert rule.text == "delta <= 4.7 and 0.02 < p <= 0.05" and Rule({}, 0.5).text == "everybody"
    held = rule.holds({"delta": np.array([4.7, 4.71, 4.0, 4.0]), "p": np.array([0.05, 0.03, 0.02, 0.03])})
    np.testing.assert_array_equal(held, [True, False, False, True])
    assert rounded(4.6971, 1.0) == 4.7 and rounded(310.4567, 30.0) == 310.0 and rounded(310.4567, 0.1) == 310.457


def test_faults(planted: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no criterion 'plantet'(.|\n)*did you mean 'planted'"):
        find_subgroups(planted, criteria=["plantet"])
    with pytest.raises(ScenarioError, match=r"no parameter that differs between patients 'k'"):
        find_subgroups(planted, parameters=["k"])
    with pytest.raises(ScenarioError, match=r"no arm 'wit'(.|\n)*did you mean 'with'"):
        find_subgroups(planted, reference="wit")


@pytest.mark.slow
def test_runs_that_cannot_be_asked(tmp_path: Path) -> None:
    mute = twin.Scenario(MODEL, twin.Cohort(10, {"k": twin.Uniform(0.1, 0.2)}), [0.0, 1.0],
                         {"a": twin.Endpoint("value", "A", time=1.0)}, rtol=1e-4)  # fmt: skip
    mute.run(tmp_path / "mute", progress=False)
    with pytest.raises(ScenarioError, match=r"no criterion of response(.|\n)*give responders"):
        find_subgroups(tmp_path / "mute")
    (tmp_path / "mute" / "checksums.json").unlink()
    with pytest.raises(ScenarioError, match="the run is not complete"):
        find_subgroups(tmp_path / "mute")


@pytest.mark.slow
def test_the_commands(planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "subgroups", str(planted), "--to", str(tmp_path / "who")]) == 0
    said = capsys.readouterr().out
    assert "planted: 6,000 patients; rules learned from one half" in said
    assert "against 31% of others" in said or "against 30% of others" in said or "against 32% of others" in said
    assert "nothing found:\n  planted" in said and "too few yeses or noes to ask:\n" in said
    assert "  never (a > 100), without: who responds (0.0% do)" in said
    assert len(pd.read_csv(tmp_path / "who" / "rules.csv")) >= 2
    assert (tmp_path / "who" / "subgroups.png").stat().st_size > 10_000
    assert main(["scenario", "sensitivity", str(planted), "--to", str(tmp_path / "what"), "--patients", "2000"]) == 0
    said = capsys.readouterr()
    assert "planted: 2,000 patients in each arm, none failed" in said.out and "2,000 of 6,000" in said.err
    table = pd.read_csv(tmp_path / "what" / "sensitivity.csv", keep_default_na=False)
    assert set(table["input"]) == {"delta", "p", "other", "weight"}
    assert (tmp_path / "what" / "sensitivity.png").stat().st_size > 10_000
    file = scenario_files.written(tmp_path)
    asked = ["scenario", "sensitivity", str(file), "--samples", "128", "--to", str(tmp_path / "what"), "--quiet"]
    assert main(asked) == 0
    assert "decay: 1,536 runs, none failed" in capsys.readouterr().out  # 4 arms, 3 matrices
    assert main([*asked, "--against", "dose=0, k=1", "--arm", "dose=1, k=1"]) == 0
    assert "area      dose=1, k=1  1.00 / 1.00" in capsys.readouterr().out
    assert main(["scenario", "sensitivity", str(planted), "--samples", "256"]) == 2
    assert "its patients are there" in capsys.readouterr().err
