"""Who the subjects of a `twin.Cohort` are: whatever the chunks, under correlations and constraints, from data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import twin
from twin.cohort.sources import BLOCK
from twin.errors import CyclicAssignmentError, DuplicateNameError, ExperimentError, FormulaError, UnknownSymbolError

SPEC = {"a": twin.LogNormal(2.0, 0.5), "b": twin.Uniform(0.0, 10.0), "c": twin.Normal(1.0, 0.2), "d": 4.0}
RHO = {("a", "b"): -0.5, ("c", "a"): 0.3}
SIZE = 3 * BLOCK + 17


def cohorts() -> dict[str, twin.Cohort]:
    posterior = xr.Dataset({"a": (("chain", "draw"), np.arange(6.0).reshape(2, 3))})
    return {
        "drawn": twin.Cohort(SIZE, SPEC, correlations=RHO, seed=5),
        "constrained": twin.Cohort(SIZE, SPEC, correlations=RHO, constraints=["a*c < b"], seed=5),
        "posterior": twin.Cohort.from_posterior(posterior, SIZE, seed=5),
        "table": twin.Cohort.from_table(pd.DataFrame({"a": np.arange(float(SIZE))})),
    }


@pytest.mark.parametrize("kind", ["drawn", "constrained", "posterior", "table"])
def test_a_subject_is_the_same_in_every_chunk(kind: str) -> None:
    cohort = cohorts()[kind]
    whole = cohort.draw()
    assert all(len(values) == SIZE == len(cohort) for values in whole.values())
    edges = [0, 1, 100, BLOCK - 1, BLOCK, 2 * BLOCK + 3, SIZE]
    for name, values in whole.items():
        parts = [cohort.draw(start, stop)[name] for start, stop in zip(edges, edges[1:], strict=False)]
        np.testing.assert_array_equal(np.concatenate(parts), values)
    again = cohorts()[kind]
    np.testing.assert_array_equal(again.draw(BLOCK, BLOCK + 5)["a"], whole["a"][BLOCK : BLOCK + 5])
    assert again.fingerprint == cohort.fingerprint


def test_a_smaller_cohort_is_the_beginning_of_a_larger_one() -> None:
    large, small = twin.Cohort(SIZE, SPEC, seed=1), twin.Cohort(10, SPEC, seed=1)
    np.testing.assert_array_equal(small.draw()["a"], large.draw(0, 10)["a"])
    assert small.fingerprint != large.fingerprint


def test_seeds_and_new_names() -> None:
    one = twin.Cohort(100, SPEC, seed=1)
    assert not np.any(one.draw()["a"] == twin.Cohort(100, SPEC, seed=2).draw()["a"])
    assert one.fingerprint != twin.Cohort(100, SPEC, seed=2).fingerprint
    more = twin.Cohort(100, {"x": twin.Normal(0.0, 1.0), **SPEC}, seed=1)
    np.testing.assert_array_equal(more.draw()["a"], one.draw()["a"])
    assert abs(np.corrcoef(more.draw()["a"], more.draw()["x"])[0, 1]) < 0.5


def test_correlations_are_those_of_the_scores() -> None:
    drawn = twin.Cohort(SIZE, SPEC, correlations=RHO, seed=7).draw()
    scores = np.stack([np.log(drawn["a"] / 2.0) / 0.5, stats.norm.ppf(drawn["b"] / 10.0), (drawn["c"] - 1.0) / 0.2])
    expected = np.array([[1.0, -0.5, 0.3], [-0.5, 1.0, 0.0], [0.3, 0.0, 1.0]])
    # Standard error of a correlation: (1 - rho^2) / sqrt(n).
    np.testing.assert_allclose(np.corrcoef(scores), expected, atol=5 / np.sqrt(SIZE))
    # The copula leaves each distribution as it is.
    assert stats.kstest(drawn["b"], stats.uniform(0.0, 10.0).cdf).pvalue > 1e-4
    np.testing.assert_array_equal(drawn["d"], 4.0)


def test_constraints_hold_and_leave_the_conditional_distribution() -> None:
    cohort = twin.Cohort(SIZE, {"u": twin.Uniform(0, 1), "v": twin.Uniform(0, 1)}, constraints=["u < v"], seed=2)
    drawn = cohort.draw()
    assert (drawn["u"] < drawn["v"]).all()
    assert cohort.acceptance == pytest.approx(0.5, abs=0.05)
    # The smaller of two uniform numbers has distribution function 1 - (1 - x)^2.
    assert stats.kstest(drawn["u"], lambda x: 1 - (1 - x) ** 2).pvalue > 1e-4


def test_rare_constraints_are_refused() -> None:
    with pytest.raises(ExperimentError, match=r"only 0.000% of the candidates .*a > b: 100.000%; a < 0: 0.000%"):
        twin.Cohort(10, {"a": twin.Uniform(2, 3), "b": twin.Uniform(0, 1)}, constraints=["a > b", "a < 0"])


def test_formulas_and_covariates() -> None:
    cohort = twin.Cohort(
        500,
        {"CL": "typical * (weight / 70)^0.75", "V": twin.Normal(30.0, 3.0)},
        covariates={"weight": twin.Normal(70.0, 10.0, lower=40.0), "typical": "2 * 1.5"},
        correlations={("V", "weight"): 0.9},
        constraints=["weight < 90"],
    )
    table = cohort.table(10, 20)
    assert list(table.index) == list(range(10, 20))
    assert set(cohort.draw()) == {"CL", "V"} == set(cohort.names)
    assert cohort.covariate_names == ("weight", "typical")
    np.testing.assert_allclose(table["CL"], 3.0 * (table["weight"] / 70.0) ** 0.75)
    whole = cohort.table()
    assert whole["weight"].max() < 90.0
    assert np.corrcoef(whole["V"], whole["weight"])[0, 1] > 0.8


REFUSED = [
    ({"size": 0}, ExperimentError, "the size is 0"),
    ({"size": 1.5}, ExperimentError, "the size is 1.5"),
    ({"seed": -1}, ExperimentError, "the seed is -1"),
    ({"parameters": {}}, ExperimentError, "has no parameters"),
    ({"parameters": ["a"]}, ExperimentError, "the parameters are a list"),
    ({"parameters": {"a": None}}, ExperimentError, "'a' is None"),
    ({"parameters": {"a": np.inf}}, ExperimentError, "'a' is inf"),
    ({"parameters": {"a": [1.0, 2.0]}}, ExperimentError, r"(?s)'a' is \[1.0, 2.0\].*from_table"),
    ({"parameters": {"a": "q + 1"}}, UnknownSymbolError, "unknown name 'q'"),
    ({"parameters": {"a": "b", "b": "a"}}, CyclicAssignmentError, "defined by each other"),
    ({"parameters": {"a": "__import__('os')"}}, FormulaError, "unexpected|unknown function"),
    ({"parameters": {"a": twin.Normal(0, 1), "b": "ln(a)"}}, ExperimentError, "'b' is nan for a subject"),
    ({"covariates": {"a": 1.0}}, DuplicateNameError, "'a' is both"),
    ({"correlations": {("a", "z"): 0.1}}, ExperimentError, "'z' is not drawn"),
    ({"correlations": {("a", "d"): 0.1}}, ExperimentError, "'d' is not drawn"),
    ({"correlations": {("a", "a"): 0.1}}, ExperimentError, "pairs of two different names"),
    ({"correlations": {("a", "b"): 1.0}}, ExperimentError, "correlation of 'a' and 'b': the correlation is 1.0"),
    ({"correlations": {("a", "b"): 0.1, ("b", "a"): 0.1}}, ExperimentError, "given twice"),
    (
        {"correlations": {("a", "b"): 0.9, ("b", "c"): 0.9, ("a", "c"): -0.9}},
        ExperimentError,
        "contradict each other .a with b: 0.9, b with c: 0.9, a with c: -0.9",
    ),
    ({"constraints": "a < b"}, ExperimentError, "the constraints are 'a < b'"),
    ({"constraints": ["a + b"]}, ExperimentError, "it is no comparison"),
    ({"constraints": ["a < q"]}, UnknownSymbolError, "unknown name 'q'"),
    ({"constraints": ["a <"]}, FormulaError, "the formula ends"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_nonsense_is_refused(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        twin.Cohort(**({"size": 10, "parameters": SPEC} | arguments)).draw()


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 3), (0, 11), (0.0, 1)])
def test_subjects_that_are_not_there(start: int, stop: int) -> None:
    with pytest.raises(ExperimentError, match="0 <= start < stop <= 10"):
        twin.Cohort(10, SPEC).draw(start, stop)


# ---- posterior

POSTERIOR = xr.Dataset(
    {
        "a": (("chain", "draw"), np.arange(6.0).reshape(2, 3)),
        "sd": (("chain", "draw"), 10 * np.arange(6.0).reshape(2, 3)),
        "theta": (("chain", "draw", "parameter"), np.ones((2, 3, 2))),
    }
)


def test_posterior() -> None:
    tree = xr.DataTree.from_dict({"/posterior": POSTERIOR})
    whole = twin.Cohort.from_posterior(tree)
    np.testing.assert_array_equal(whole.draw()["a"], np.arange(6.0))
    many = twin.Cohort.from_posterior(tree, 60_000, seed=1).draw()
    np.testing.assert_array_equal(many["sd"], 10 * many["a"])
    shares = np.bincount(many["a"].astype(int)) / 60_000
    np.testing.assert_allclose(shares, 1 / 6, atol=5 * np.sqrt(5 / 36 / 60_000))


@pytest.mark.parametrize(
    ("posterior", "names", "message"),
    [
        ([1.0], None, "it is a list"),
        (xr.Dataset({"a": ("x", [1.0])}), None, "its dimensions are x"),
        (POSTERIOR, ["b"], "there is no variable 'b'"),
        (POSTERIOR, ["theta"], "'theta' has dimensions"),
        (POSTERIOR[["theta"]], None, "no variable has one value per draw"),
        (POSTERIOR[["a"]].where(POSTERIOR["a"] != 4.0), None, "'a' is nan in draw 1 of chain 1"),
    ],
)
def test_posteriors_that_are_refused(posterior, names, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        twin.Cohort.from_posterior(posterior, 10, names=names)


# ---- tables


def test_table_from_a_file(tmp_path) -> None:
    path = tmp_path / "subjects.csv"
    path.write_text("# made by hand\nid,a,weight\nx1,1.5,70\nx2,2.5,80\n")
    cohort = twin.Cohort.from_table(path, covariates=["weight"], ignore=["id"])
    assert (cohort.size, cohort.names, cohort.covariate_names) == (2, ("a",), ("weight",))
    np.testing.assert_array_equal(cohort.draw()["a"], [1.5, 2.5])
    np.testing.assert_array_equal(twin.Cohort.from_table({"a": [1, 2]}).draw()["a"], [1.0, 2.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,\n", "column 'b' is empty in row 2"),
        ("a,b\n1,two\n", "column 'b' is 'two' in row 1"),
        ("a,b\n1,inf\n", "column 'b' is 'inf' in row 1"),
        ("a,a\n1,2\n", "the column 'a' is there twice"),
        ("a,b\n", "it has 0 rows"),
        ("", "cannot be read"),
        ("a,b\n1,2,3\n", "cannot be read"),
    ],
)
def test_tables_that_are_refused(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "subjects.csv"
    path.write_text(text)
    with pytest.raises((ExperimentError, DuplicateNameError), match=message):
        twin.Cohort.from_table(path)


def test_what_is_no_table(tmp_path) -> None:
    with pytest.raises(ExperimentError, match="no such file"):
        twin.Cohort.from_table(tmp_path / "none.csv")
    with pytest.raises(ExperimentError, match=r"ends in '.xlsx'"):
        twin.Cohort.from_table(tmp_path / "none.xlsx")
    with pytest.raises(ExperimentError, match="it is a list"):
        twin.Cohort.from_table([1.0])
    with pytest.raises(ExperimentError, match="columns of one length"):
        twin.Cohort.from_table({"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(ExperimentError, match=r"no column 'wieght'(.|\n)*weight"):
        twin.Cohort.from_table({"a": [1.0], "weight": [1.0]}, covariates=["wieght"])
