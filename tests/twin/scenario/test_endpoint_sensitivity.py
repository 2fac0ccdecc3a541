"""Shares of variance against closed forms: Ishigami's function, sums and products, dependent inputs, stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scenarios
from scipy import stats

import twin
from twin.errors import ScenarioError, SimulationError
from twin.scenario.given_data import first_order
from twin.scenario.inputs import Inputs
from twin.scenario.sensitivity import sensitivity_of, sensitivity_of_store
from twin.scenario.variance_shares import shares_of_variance
from twin.scenario.work import Work

pytestmark = pytest.mark.xdist_group("scenario")

QUIET = {"progress": False}
PARTS = [twin.Parameter(name, 0.0) for name in ("x1", "x2", "x3")] + [twin.Parameter("k", 0.1)]
ALGEBRA = twin.Model("algebra", [twin.State("A", 1.0)], PARTS, odes={"A": "-k*A"})
ISHIGAMI = "sin(x1) + 7*sin(x2)^2 + 0.1*x3^4*sin(x1)"


def ishigami(x: np.ndarray) -> np.ndarray:
    return np.sin(x[0]) + 7 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0])


def ishigami_indices() -> tuple[np.ndarray, np.ndarray]:
    """Ishigami and Homma 1990, with a = 7 and b = 0.1: variances of the parts of the decomposition."""
    a, b = 7.0, 0.1
    one, two, both = (1 + b * np.pi**4 / 5) ** 2 / 2, a**2 / 8, b**2 * np.pi**8 * (1 / 18 - 1 / 50)
    total = one + two + both
    return np.array([one, two, 0.0]) / total, np.array([one + both, two, both]) / total


def scenario(cohort: twin.Cohort, endpoints: dict[str, str], **changed) -> twin.Scenario:
    """Values of expressions at time 1."""
    read = {name: twin.Endpoint("value", text, time=1.0) for name, text in endpoints.items()}
    return twin.Scenario(ALGEBRA, cohort, [0.0, 1.0], read, rtol=1e-6, max_steps=64, **changed)


def column(table: pd.DataFrame, endpoint: str, name: str) -> np.ndarray:
    return table[table["endpoint"] == endpoint].set_index("input")[name]


def covers(table: pd.DataFrame, endpoint: str, kind: str, truth: np.ndarray) -> bool:
    rows = table[table["endpoint"] == endpoint]
    return bool((rows[f"{kind}_low"] <= truth + 1e-9).all() and (truth - 1e-9 <= rows[f"{kind}_high"]).all())


@pytest.fixture(scope="module")
def independent() -> pd.DataFrame:
    uniform = twin.Uniform(-np.pi, np.pi)
    cohort = twin.Cohort(10, {"x1": uniform, "x2": uniform, "x3": uniform}, covariates={"nothing": twin.Normal(0, 1)})
    endpoints = {"ishigami": ISHIGAMI, "constant": "A", "sum": "3*x1 + 2*x2"}
    case = scenario(cohort, endpoints, derived={"twice": "2*ishigami"}, responders={"high": "sum > 0"})
    return sensitivity_of(case, samples=4096, **QUIET).table


def test_ishigami(independent: pd.DataFrame) -> None:
    first, total = (np.append(each, 0.0) for each in ishigami_indices())  # the covariate has no say
    for endpoint in ("ishigami", "twice"):
        # Saltelli's estimator of 4096 random base samples has a standard error below 0.03; a Sobol sequence less.
        np.testing.assert_allclose(column(independent, endpoint, "first"), first, atol=0.03)
        np.testing.assert_allclose(column(independent, endpoint, "total"), total, atol=0.03)
        assert covers(independent, endpoint, "first", first) and covers(independent, endpoint, "total", total)
    assert column(independent, "ishigami", "total")["nothing"] == 0.0
    assert set(independent["kind"]) == {"independent"} and (independent["samples"] == 4096).all()


def test_a_sum_and_a_constant(independent: pd.DataFrame) -> None:
    shares = np.array([9, 4, 0, 0]) / 13
    np.testing.assert_allclose(column(independent, "sum", "first"), shares, atol=0.03)
    np.testing.assert_allclose(column(independent, "sum", "total"), shares, atol=0.03)
    constant = independent[independent["endpoint"] == "constant"]
    assert constant[["first", "total"]].isna().all(axis=None)
    assert constant["note"].str.contains("varies by less than the tolerance").all()
    # Of a yes or no, whose total indices are larger than its first-order ones: only together do inputs decide.
    high = column(independent, "high", "total") - column(independent, "high", "first")
    assert (high[["x1", "x2"]] > 0.1).all() and abs(high["x3"]) < 1e-12


def test_products_of_a_decay() -> None:
    """A0 exp(-k t) with log-normal A0 and normal k is a product of log-normal quantities."""
    model = twin.Model(
        "decay", [twin.State("A", "A0")], [twin.Parameter("A0", 1.0), twin.Parameter("k", 1.0)], odes={"A": "-k*A"}
    )
    cohort = twin.Cohort(10, {"A0": twin.LogNormal(2.0, 0.4), "k": twin.Normal(1.0, 0.2)})
    endpoints = {
        "amount": twin.Endpoint("value", "A", time=2.5), "logarithm": twin.Endpoint("value", "log(A)", time=2.5)
    }  # fmt: skip
    case = twin.Scenario(
        model, cohort, [0.0, 2.5], endpoints, factors={"k": twin.Factor([1, 2], multiply=True)}, rtol=1e-7
    )
    table = sensitivity_of(case, samples=1024, **QUIET).table
    # log(A) differs by -2.5 k between the arms, whatever A0 is.
    change = sensitivity_of(case, samples=128, against="k=1", **QUIET)
    assert set(change.table["arm"]) == {"k=2"} and "differences to the arm 'k=1'" in change.remarks[0]
    assert abs(column(change.table, "logarithm", "total")["A0"]) < 1e-6
    np.testing.assert_allclose(column(change.table, "logarithm", "first")["k"], 1.0, atol=0.05)
    for arm, multiple in (("k=1", 1), ("k=2", 2)):
        spread = np.array([0.4**2, (2.5 * multiple * 0.2) ** 2])
        own, whole = np.expm1(spread), np.expm1(spread.sum())
        rows = table[table["arm"] == arm]
        np.testing.assert_allclose(column(rows, "logarithm", "first"), spread / spread.sum(), atol=0.05)
        np.testing.assert_allclose(column(rows, "logarithm", "total"), spread / spread.sum(), atol=0.05)
        assert covers(rows, "amount", "first", own / whole)
        assert covers(rows, "amount", "total", 1 - own[::-1] / whole)


def test_dependent_inputs_have_indices_together() -> None:
    cohort = twin.Cohort(
        10,
        {"x1": twin.Normal(0, 1), "x2": twin.Normal(0, 1), "x3": twin.Normal(0, 1)},
        correlations={("x1", "x3"): 0.7},
    )
    found = sensitivity_of(scenario(cohort, {"sum": "x1 + x3 + x2"}), samples=2048, **QUIET)
    table = found.table.set_index("input")
    assert list(table["kind"]) == ["group", "independent", "member", "member"]
    assert list(table.index) == ["x1 & x3", "x2", "x1", "x3"]
    # Var(x1 + x3) = 3.4, Var(x2) = 1; E[x1 + x3 | x1] = 1.7 x1.
    truth = np.array([3.4, 1.0, 1.7**2, 1.7**2]) / 4.4
    np.testing.assert_allclose(table["first"], truth, atol=0.04)
    assert (table["first_low"] <= truth).all() and (truth <= table["first_high"]).all()
    np.testing.assert_allclose(table["total"][:2], truth[:2], atol=0.04)
    assert table["total"][2:].isna().all()
    assert "correlation of x1 and x3" in found.remarks[0] and "not defined" in found.remarks[0]


def test_constraints_join_what_they_name() -> None:
    """Through formulas, too; what both samples have must fulfil them."""
    parameters = {"x1": twin.Uniform(0, 1), "x2": twin.Uniform(0, 1), "x3": "2*loose", "k": twin.Uniform(0.1, 0.2)}
    cohort = twin.Cohort(
        10, parameters, covariates={"loose": twin.Uniform(0, 1)}, constraints=["x3 > 2*x1", "k < 0.15"]
    )
    inputs = Inputs(cohort.source)
    assert [group.members for group in inputs.groups] == [("x1", "loose"), ("x2",), ("k",)]
    first, second = inputs.pairs(256, 0)
    for scores in (first, second, inputs.mixed(first, second, inputs.groups[0])):
        columns = inputs.columns(scores)
        assert len(columns["x1"]) == 256
        assert (columns["x3"] > 2 * columns["x1"]).all() and (columns["k"] < 0.15).all()
    # Of uniform x1 < loose: E[loose] = 2/3.
    assert abs(first.shape[1] - 256) == 0 and abs(inputs.columns(first)["loose"].mean() - 2 / 3) < 0.03


def test_indices_are_those_of_scipy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(-np.pi, np.pi, (2, 3, 512))
    mixed = np.stack([ishigami(np.where(np.arange(3)[:, None] == i, b, a)) for i in range(3)])
    own = shares_of_variance(ishigami(a), ishigami(b), mixed, resamples=50, seed=0)
    values = {"f_A": ishigami(a)[None], "f_B": ishigami(b)[None], "f_AB": mixed[:, None]}
    other = stats.sobol_indices(func=values, n=512)
    np.testing.assert_allclose(own.first, np.ravel(other.first_order), rtol=1e-10)
    np.testing.assert_allclose(own.total, np.ravel(other.total_order), rtol=1e-10)


def test_intervals_cover() -> None:
    """95 % intervals of 100 random designs, whose base samples are independent as the bootstrap takes them to be."""
    rng, hits = np.random.default_rng(5), np.zeros((2, 3))
    first, total = ishigami_indices()
    for _ in range(100):
        a, b = rng.uniform(-np.pi, np.pi, (2, 3, 512))
        mixed = np.stack([ishigami(np.where(np.arange(3)[:, None] == i, b, a)) for i in range(3)])
        own = shares_of_variance(ishigami(a), ishigami(b), mixed, resamples=100, seed=1)
        hits += [(own.first_low <= first) & (first <= own.first_high),
                 (own.total_low <= total) & (total <= own.total_high)]  # fmt: skip
    # The Monte-Carlo error of 95 % is 2.2 %; percentiles of 100 resamples are a little too narrow.
    assert (hits > 88).all()


def test_intervals_along_a_sobol_sequence_are_too_wide() -> None:
    """Over 40 scramblings of 1024 base samples the estimates scatter by less than half of what the bootstrap says."""
    found = []
    for seed in range(40):
        unit = stats.qmc.Sobol(6, rng=np.random.default_rng(seed)).random(1024).T
        a, b = np.split((2 * unit - 1) * np.pi, 2)
        mixed = np.stack([ishigami(np.where(np.arange(3)[:, None] == i, b, a)) for i in range(3)])
        own = shares_of_variance(ishigami(a), ishigami(b), mixed, resamples=100, seed=1)
        said = np.array([own.first_high - own.first_low, own.total_high - own.total_low]) / (2 * 1.96)
        found.append([[own.first, own.total], said])
    estimates, said = np.moveaxis(np.array(found), 1, 0)
    ratio = said.mean(axis=0) / estimates.std(axis=0)
    assert (ratio > 2).all() and (ratio < 10).all()


@pytest.mark.parametrize("x_of", ["dependent", "noise", "choice", "threshold"])
def test_first_order_of_given_data(x_of: str) -> None:
    """95 % intervals of 100 samples; indices of noise are zero on average."""
    rng, covered, mean = np.random.default_rng(7), 0, 0.0
    for _ in range(100):
        z = rng.standard_normal((3, 1000))
        if x_of == "dependent":  # y = x + its relative: E[y | x] = 1.7 x, Var(y) = 3.4
            x, y, truth = z[0], z[0] + 0.7 * z[0] + np.sqrt(1 - 0.49) * z[1], 1.7**2 / 3.4
        elif x_of == "noise":
            x, y, truth = z[0], np.exp(z[1]), 0.0
        elif x_of == "choice":  # means 0, 1, 5 of three values
            x = rng.integers(3, size=1000).astype(float)
            y, truth = np.array([0.0, 1.0, 5.0])[x.astype(int)] + z[1], 14 / 3 / (14 / 3 + 1)
        else:  # a step in the middle of a bin is what lines see worst
            x, y, truth = z[0], (z[0] > 0.1234) + 0.5 * z[1], 0.0
            share = stats.norm.sf(0.1234)
            truth = share * (1 - share) / (share * (1 - share) + 0.25)
        share, low, high = first_order(x, y)
        covered, mean = covered + (low <= truth <= high), mean + share / 100
    assert covered >= 90
    assert abs(mean - truth) < 0.02


def test_a_store(tmp_path: Path) -> None:
    late = twin.Endpoint("first_crossing", "A", threshold=0.1, direction="down")
    scenarios.decay(2000, endpoints={**scenarios.ENDPOINTS, "low": late}).run(tmp_path, progress=False)
    found = sensitivity_of_store(tmp_path, patients=1500)
    assert found.runs == 1500 and "1,500 of 2,000 patients" in found.remarks[1]
    table = found.table.set_index(["endpoint", "arm"])
    assert (table["input"] == "k").all() and (table["kind"] == "given").all() and table["total"].isna().all()
    # One parameter decides everything; a quarter never comes down to a tenth; without a dose all begin with their peak.
    np.testing.assert_allclose(table["first"][["late", "area"]], 1.0, atol=0.01)
    never = table.loc[("low", "dose=0")]
    assert np.isnan(never["first"]) and 'infinite ("never")' in never["note"]
    assert np.isnan(table["first"]["peak", "dose=0"])
    change = sensitivity_of_store(tmp_path, against="dose=0").table
    # A dose of 1 adds exp(-k (t - 1)) to everybody, so k decides that, too; half of the times are not known twice.
    assert set(change["arm"]) == {"dose=1"} and "fast" not in set(change["endpoint"])
    np.testing.assert_allclose(column(change, "late", "first")["k"], 1.0, atol=0.01)
    with pytest.raises(ScenarioError, match=r"there are 100 patients(.|\n)*at least 200"):
        sensitivity_of_store(tmp_path, patients=100)


def test_failures_are_left_out_and_counted() -> None:
    """One patient in fifty needs more steps than allowed."""
    cohort = twin.Cohort(10, {"k": twin.LogNormal(1.0, 0.4), "x1": twin.Choice([0.0, 1.0], [0.99, 0.01])})
    model = twin.Model(
        "jumpy", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0), twin.Parameter("x1", 0.0)],
        odes={"A": "-k*A*(1 + x1*sin(1000*time))"},
    )  # fmt: skip
    case = twin.Scenario(
        model, cohort, [0.0, 1.0], {"late": twin.Endpoint("value", "A", time=1.0)}, rtol=1e-6, max_steps=64
    )
    found = sensitivity_of(case, samples=512, **QUIET)
    row = found.table.iloc[0]
    assert 0 < found.failed["base"] < 100 and 0.01 < row["left_out"] < 0.05
    assert row["samples"] == round(512 * (1 - row["left_out"]))
    np.testing.assert_allclose(row["first"], 1.0, atol=0.02)
    often = twin.Cohort(10, {"k": twin.LogNormal(1.0, 0.4), "x1": twin.Choice([0.0, 1.0], [0.1, 0.9])})
    with pytest.raises(SimulationError, match=r"runs failed in the arm 'base'(.|\n)*max_steps"):
        sensitivity_of(twin.Scenario(model, often, [0.0, 1.0], case.endpoints, max_steps=64), samples=128, **QUIET)


def test_faults() -> None:
    some = twin.Cohort(10, {"x1": twin.Uniform(0, 1)})
    case = scenario(some, {"x": "x1"})
    with pytest.raises(ScenarioError, match=r"number of samples is 100(.|\n)*power of 2(.|\n)*128"):
        sensitivity_of(case, samples=100)
    with pytest.raises(ScenarioError, match=r"no arm 'bass'(.|\n)*did you mean 'base'"):
        sensitivity_of(case, arms=["bass"])
    with pytest.raises(ScenarioError, match="there is no other arm"):
        sensitivity_of(case, against="base")
    table = twin.Cohort.from_table({"x1": np.arange(300.0)})
    with pytest.raises(ScenarioError, match=r"rows of a table(.|\n)*ask for the sensitivity of its folder"):
        sensitivity_of(scenario(table, {"x": "x1"}))
    with pytest.raises(ScenarioError, match="all patients are alike"):
        sensitivity_of(scenario(twin.Cohort(10, {"x1": 1.0}), {"x": "x1"}))
    rare = twin.Cohort(10, {"x1": twin.Uniform(0, 1)}, constraints=["x1 > 0.97"])
    with pytest.raises(ScenarioError, match=r"fulfil the constraints(.|\n)*at least 1%"):
        sensitivity_of(scenario(rare, {"x": "x1"}), samples=128)


def test_a_constraint_that_excludes_nobody_makes_no_group() -> None:
    three = {name: twin.Normal(0, 1) for name in ("x1", "x2", "x3")}
    inputs = Inputs(twin.Cohort(10, three, constraints=["x1 + x2 > -8", "x2 + x3 > 0"]).source)
    assert inputs.set_aside == {"x1 + x2 > -8": 0}
    assert [group.members for group in inputs.groups] == [("x1",), ("x2", "x3")]


def test_a_killed_design_goes_on_with_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = twin.Cohort(10, {"x1": twin.Normal(0.0, 1.0), "x2": twin.Normal(1.0, 2.0)})
    case = scenario(cohort, {"sum": "3*x1 + 2*x2", "product": "x1*x2"}, responders={"high": "sum > 0"})
    whole = sensitivity_of(case, samples=128, **QUIET)
    keep, evaluate, calls = tmp_path / "parts", Work.evaluate, []

    def killed_at(last: int):
        def counted(self: Work, arm: int, columns):
            calls.append(arm)
            if len(calls) == last:
                raise KeyboardInterrupt
            return evaluate(self, arm, columns)

        return counted

    monkeypatch.setattr(Work, "evaluate", killed_at(4))
    with pytest.raises(KeyboardInterrupt):
        sensitivity_of(case, samples=128, keep=keep, **QUIET)
    first, *others = sorted(keep.iterdir())
    assert len(others) == 2
    first.write_bytes(first.read_bytes()[:50])  # a part that is damaged is made again
    monkeypatch.setattr(Work, "evaluate", killed_at(0))
    sensitivity_of(case, samples=256, keep=keep, **QUIET)  # another question takes nothing of it, and leaves it alone
    assert sorted(keep.iterdir()) == [first, *others]
    calls.clear()
    resumed = sensitivity_of(case, samples=128, keep=keep, **QUIET)
    assert len(calls) == 2 and not keep.exists()
    pd.testing.assert_frame_equal(resumed.table, whole.table, check_exact=True)
    assert resumed.remarks == (*whole.remarks, "2 of 4 parts were kept from a run that had not come to its end")
