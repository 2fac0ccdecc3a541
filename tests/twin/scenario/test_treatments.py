"""Treatments: optima with closed forms by both methods, limits, interrupted searches, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import twin
from twin.cli import main
from twin.errors import ScenarioError, UnknownSymbolError
from twin.scenario.optimise.treatment import OPTIMUM
from twin.scenario.optimise.trial import Trial

pytestmark = pytest.mark.xdist_group("scenario")

PATIENTS = 64
MODEL = twin.Model("decay", [twin.State("A", 0.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
DOSE = {"dose": twin.Factor(lower=0.0, upper=9.0)}
QUICK: dict[str, Any] = {"progress": False, "resamples": 4, "first": 16}


def scenario(**changed: Any) -> twin.Scenario:
    """Doses into a state that decays."""
    arguments: dict[str, Any] = {
        "experiment": twin.Experiment(doses=[twin.Bolus("A", "dose", time="when")]),
        "arms": {
            "usual": {"dose": 2.0, "when": 0.0},
            "more": {"dose": 4.0, "when": 0.0},
            "late": {"dose": 2.0, "when": 1.0},
        },
        "responders": {"lasting": "end > 0.2 && peak < 3"},
        "solver": "tsit5",  # not stiff, and faster to compile
    }
    endpoints = {"end": twin.Endpoint("value", "A", time=2.0), "peak": twin.Endpoint("peak", "A")}
    cohort = twin.Cohort(2 * PATIENTS, {"k": twin.LogNormal(1.0, cv=0.3)}, seed=3)
    return twin.Scenario(MODEL, cohort, np.linspace(0.0, 2.0, 41), endpoints, **arguments | changed)


def treatment(**changed: Any) -> twin.Treatment:
    """The dose that ends at 0.5."""
    arguments: dict[str, Any] = {"factors": DOSE, "minimise": "(end - 0.5)^2", "patients": PATIENTS}
    return twin.Treatment(scenario(), **arguments | changed)


LEFT = np.exp(-2.0 * scenario().cohort.rows(0, PATIENTS)["k"])
"""What is left at time 2 of a dose of 1 at time 0."""
BEST = float(0.5 * LEFT.mean() / (LEFT**2).mean())


@pytest.mark.parametrize(("method", "accuracy"), [("gradient", 1e-5), ("bayesian", 1e-2)])
def test_an_optimum_with_a_closed_form(method: str, accuracy: float) -> None:
    found = treatment().optimise(method=method, **QUICK)
    assert found.design["dose"] == pytest.approx(BEST, rel=accuracy)
    assert found.value == pytest.approx(np.mean((BEST * LEFT - 0.5) ** 2), rel=1e-4)
    assert found.method == method and found.kept
    low, high = found.intervals["dose"]
    assert low < BEST < high
    # Alone, each patient would get 0.5 / left; the designs that were tried are some 0.6 apart.
    np.testing.assert_allclose(found.individual[:, 0], np.minimum(0.5 / LEFT, 9.0), atol=0.7)


@pytest.mark.parametrize(("method", "accuracy"), [("gradient", 1e-5), ("bayesian", 1e-2)])
def test_a_limit_that_binds(method: str, accuracy: float) -> None:
    enough = {"enough": twin.Limit("end", 0.1, at_least=0.2)}
    found = treatment(minimise="dose", limits=enough).optimise(method=method, **QUICK)
    assert found.kept and found.design["dose"] == pytest.approx(0.2 / np.quantile(LEFT, 0.1), rel=accuracy)


@pytest.mark.slow
def test_time_of_a_dose() -> None:
    k = scenario().cohort.rows(0, PATIENTS)["k"]
    exact = minimize_scalar(
        lambda when: np.mean((4.0 * np.exp(-k * (2.0 - when)) - 1.0) ** 2), bounds=(0.0, 1.9), options={"xatol": 1e-10}
    )
    sought = treatment(factors={"when": twin.Factor(lower=0.0, upper=1.9)}, minimise="(end - 1)^2", arm="more")
    found = sought.optimise(**QUICK)
    assert found.method == "gradient"
    assert found.design["when"] == pytest.approx(exact.x, abs=1e-5) and found.value == pytest.approx(exact.fun)
    assert list(sought.regimens) == ["more"]


@pytest.mark.slow
def test_a_share_has_no_slope_and_is_found_without() -> None:
    sought = treatment(minimise=None, maximise="lasting")
    with pytest.raises(ScenarioError, match="change by jumps"):
        sought.optimise(method="gradient")
    found = sought.optimise(**QUICK)
    doses = np.linspace(0.0, 9.0, 2001)[:, None]
    shares = ((doses * LEFT > 0.2) & (doses < 3.0)).mean(axis=1)
    assert found.method == "bayesian" and found.value >= shares.max() - 1.0 / PATIENTS
    assert found.design["dose"] < 3.0


@pytest.mark.slow
def test_limits_that_nothing_keeps_are_missed_by_least() -> None:
    found = treatment(minimise="dose", limits={"far": twin.Limit("end", at_least=9.0)}).optimise(**QUICK)
    assert not found.kept and found.design["dose"] == pytest.approx(9.0)
    assert "NOT kept" in repr(found)


def test_others_and_arms_beside_the_optimum() -> None:
    found = treatment().optimise(**QUICK)
    table = found.regimens.set_index(["regimen", "patients"])
    assert set(found.regimens["regimen"]) == {OPTIMUM, "usual", "more"}  # "late" has another time of the dose
    assert table.loc[("usual", "searched"), "goal"] == pytest.approx(np.mean((2.0 * LEFT - 0.5) ** 2), rel=1e-6)
    k = scenario().cohort.rows(PATIENTS, 2 * PATIENTS)["k"]
    goal = np.mean((found.design["dose"] * np.exp(-2.0 * k) - 0.5) ** 2)
    assert table.loc[(OPTIMUM, "others"), "goal"] == pytest.approx(goal, rel=1e-6)
    row = found.patients.set_index(["endpoint", "regimen"]).loc[("end", "usual")]
    assert row["difference"] == pytest.approx((found.design["dose"] - 2.0) * np.exp(-2.0 * k).mean(), rel=1e-6)


def test_a_killed_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = treatment().optimise(**QUICK)
    real, calls = Trial.slopes, []

    def counted(self, *arguments):
        calls.append(arguments)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Trial, "slopes", counted)
    with pytest.raises(KeyboardInterrupt):
        treatment().optimise(tmp_path / "search", **QUICK)
    lines = tmp_path / "search" / "tried.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])  # half a line: the fifth is lost
    again = treatment().optimise(tmp_path / "search", **QUICK)
    assert again.design == whole.design and again.tried.equals(whole.tried)
    before = len(calls)
    assert treatment().optimise(tmp_path / "search", **QUICK).design == whole.design
    assert len(calls) == before
    with pytest.raises(ScenarioError, match="belongs to another search"):
        treatment(minimise="dose").optimise(tmp_path / "search", **QUICK)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ScenarioError, match=r"holds something else \(notes.txt\)"):
        treatment().optimise(tmp_path / "other", **QUICK)


@pytest.mark.slow
def test_designs_whose_integrations_fail_are_not_taken() -> None:
    # y' = y^2 ends at time 1 / y(0): doses from 0.5 on do not reach time 2.
    model = twin.Model("burst", [twin.State("A", 0.0)], [twin.Parameter("k", 1.0)], odes={"A": "k*A^2"})
    bursting = twin.Scenario(
        model,
        twin.Cohort(16, {"k": twin.Uniform(0.9, 1.1)}),
        np.linspace(0.0, 2.0, 5),
        {"end": twin.Endpoint("value", "A", time=2.0)},
        experiment=twin.Experiment(doses=[twin.Bolus("A", "dose")]),
        arms={"usual": {"dose": 0.1}},
        max_steps=200,
    )
    found = twin.Treatment(bursting, {"dose": twin.Factor(lower=0.0, upper=2.0)}, maximise="end").optimise(**QUICK)
    assert np.isfinite(found.value) and 0.3 < found.design["dose"] < 0.56
    assert (found.tried["failed"] > 0).any() and found.tried["goal"].isna().any()


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"factors": {}}, ScenarioError, "nothing may be chosen"),
        ({"factors": {"dose": twin.Factor([1, 2])}}, ScenarioError, "it has no bounds"),
        ({"factors": {"dsoe": DOSE["dose"]}}, ScenarioError, "the factor 'dsoe' changes nothing"),
        ({"factors": {"end": DOSE["dose"]}}, ScenarioError, "'end' is an endpoint, too"),
        ({"factors": {"A": DOSE["dose"]}}, ScenarioError, "'A' means something else"),
        ({"minimise": None}, ScenarioError, "nothing to minimise"),
        ({"maximise": "end"}, ScenarioError, "both minimise and maximise"),
        ({"minimise": "edn"}, UnknownSymbolError, "unknown name 'edn'"),
        ({"limits": {"low": twin.Limit("end")}}, ScenarioError, "no bound"),
        ({"limits": {"low": "end < 3"}}, ScenarioError, "it is a str"),
        ({"arm": "usaul"}, ScenarioError, "no arm 'usaul'"),
        ({"patients": 0}, ScenarioError, "it is 0"),
    ],
)
def test_what_makes_no_sense(changed: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        treatment(**changed)


def test_an_infinite_goal_is_named() -> None:
    never = twin.Scenario(
        MODEL,
        scenario().cohort,
        np.linspace(0.0, 2.0, 5),
        {"reached": twin.Endpoint("first_crossing", "A", threshold=50.0)},
        experiment=twin.Experiment(doses=[twin.Bolus("A", "dose")]),
        arms={"usual": {"dose": 2.0}},
    )
    with pytest.raises(ScenarioError, match="the goal is infinite in every design"):
        twin.Treatment(never, DOSE, minimise="reached", patients=PATIENTS).optimise(**QUICK)


FILE = """
name: course
model: decay.ant
cohort: {size: 128, parameters: {k: {log_normal: {median: 1, cv: 0.3}}}}
solver: {method: tsit5}
experiment: {doses: ["A=dose@0"]}
arms:
  usual: {dose: 2}
times: {stop: 2, points: 41}
endpoints:
  end: {value: A, time: 2}
optimise:
  factors:
    dose: {lower: 0.1, upper: 9, scale: log}
  minimise: {of: dose, statistic: median}
  limits:
    enough: {of: end, statistic: 0.1, at_least: 0.2}
  patients: 64
"""


def written(folder: Path, text: str = FILE) -> Path:
    (folder / "decay.ant").write_text("model decay\n A = 0; k = 1\n J0: A -> ; k*A\nend\n", encoding="utf-8")
    (folder / "course.yaml").write_text(text, encoding="utf-8")
    return folder / "course.yaml"


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path)
    options = ["--out", str(tmp_path / "out"), "--resamples", "2", "--quiet"]
    assert main(["scenario", "optimise", str(file), *options]) == 0
    said = capsys.readouterr().out
    assert "enough: 0.2 <= 10 % quantile of end" in said and "usual" in said
    found = json.loads((tmp_path / "out" / "optimum.json").read_text())
    k = twin.read_treatment(file).scenario.cohort.rows(0, 64)["k"]
    assert found["design"]["dose"] == pytest.approx(0.2 / np.quantile(np.exp(-2.0 * k), 0.1), rel=1e-5)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "tried.csv",
        "regimens.csv",
        "patients.csv",
        "optimum.png",
    }
    (tmp_path / "unmet").mkdir()
    unmet = written(tmp_path / "unmet", FILE.replace("at_least: 0.2", "at_least: 20"))
    assert (
        main(["scenario", "optimise", str(unmet), "--out", str(tmp_path / "out2"), "--resamples", "0", "--quiet"]) == 1
    )
    assert "No design that was tried keeps all limits" in capsys.readouterr().out


def test_the_section_changes_nothing_of_a_run(tmp_path: Path) -> None:
    with_section = twin.read_scenario(written(tmp_path)).fingerprint
    without = FILE[: FILE.index("optimise:")]
    assert twin.read_scenario(written(tmp_path, without)).fingerprint == with_section


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("optimise:", "optimize:", r"course.yaml, line 13, key 'optimize'"),
        ("  minimise: {of: dose, statistic: median}\n", "", r"line 13, key 'optimise': minimise: there is nothing"),
        ("statistic: median", "statistic: typical", r"line 15, key 'optimise.minimise': the statistic is 'typical'"),
        ("of: end", "of: edn", r"line 17, key 'optimise.limits.enough': unknown name 'edn'"),
        ("lower: 0.1", "lower: 0", r"line 14, key 'optimise.factors.dose': the bounds are 0 and 9"),
        ("patients: 64", "patients: many", r"line 18, key 'optimise.patients'"),
    ],
)
def test_faults_name_line_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        twin.read_treatment(written(tmp_path, FILE.replace(old, new)))


def test_a_file_without_the_section(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="there is no section 'optimise'"):
        twin.read_treatment(written(tmp_path, FILE[: FILE.index("optimise:")]))


def test_an_arm_may_not_bear_the_name_of_what_is_found() -> None:
    named = scenario(arms={OPTIMUM: {"dose": 2.0, "when": 0.0}})
    with pytest.raises(ScenarioError, match=r"(?s)an arm is called 'optimum'.*rename the arm"):
        twin.Treatment(named, DOSE, minimise="end")
