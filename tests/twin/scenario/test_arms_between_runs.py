"""Arms of two runs: the same patients are compared within themselves, others as groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scenarios import CALL, decay
from scipy import stats

import twin
from twin.errors import ScenarioError
from twin.scenario.between import compare_runs, independent_means, independent_shares, same_patients
from twin.scenario.compare import compare_arms
from twin.scenario.formulas import NO, UNKNOWN, YES


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """A run, the same one, and one of other patients."""
    folder = tmp_path_factory.mktemp("between")
    decay(400).run(folder / "first", **CALL)
    decay(400, responders={"fast": "half < 0.6"}).run(folder / "second", **CALL)
    k = {"k": twin.LogNormal(1.0, 0.4)}
    replace(decay(), cohort=twin.Cohort(300, k, seed=9)).run(folder / "third", **CALL)
    return tuple(twin.open_scenario(folder / name) for name in ("first", "second", "third"))


def test_the_same_patients_are_compared_within_themselves(
    runs: tuple[xr.Dataset, xr.Dataset, xr.Dataset], tmp_path: Path
) -> None:
    first, second, _ = runs
    assert same_patients(first, second)
    found, shares = compare_runs(first, second, {"dose=1": "dose=0"})
    decay(400).run(tmp_path / "run", **CALL)
    within, _ = compare_arms(tmp_path / "run", "dose=0")
    columns = ["difference", "lower", "upper", "difference_q05", "difference_q95", "pairs"]
    expected = within[within["arm"] == "dose=1"].set_index("endpoint")[columns]
    np.testing.assert_array_equal(found.set_index("endpoint")[columns].to_numpy(), expected.to_numpy())
    assert found["paired"].all() and shares["pairs"].tolist() == [400]


def test_other_patients_are_another_group(runs: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> None:
    first, _, third = runs
    assert not same_patients(first, third)
    found, shares = compare_runs(first, third, {"dose=0": "dose=0"}, ["peak", "area", "fast"])
    assert found["endpoint"].tolist() == ["area", "peak"] and not found["paired"].any()
    row = found.iloc[0]
    theirs, ours = third["area"][0].to_numpy(), first["area"][0].to_numpy()
    interval = stats.ttest_ind(theirs, ours, equal_var=False).confidence_interval(0.95)
    # Student's t at 600 degrees of freedom is 0.2 % wider than the normal law.
    np.testing.assert_allclose([row["lower"], row["upper"]], interval, atol=0.003 * (interval.high - interval.low))
    assert (row["patients"], row["patients_against"]) == (300, 400)
    assert shares["criterion"].tolist() == ["fast"]


def test_shares_of_two_groups() -> None:
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, table II: 56/70 - 48/80.
    answers = np.repeat([YES, NO, UNKNOWN], [56, 14, 5])
    found = independent_shares(answers, np.repeat([YES, NO], [48, 32]))
    np.testing.assert_allclose([found["difference"], found["lower"], found["upper"]], [0.2, 0.0524, 0.3339], atol=5e-5)
    assert found["patients"] == 70


def test_what_is_infinite_has_no_mean() -> None:
    found = independent_means(np.array([1.0, np.inf, np.nan, 2.0]), np.array([1.0, 1.5, 2.0]))
    assert np.isnan(found["difference"]) and np.isnan(found["lower"])
    assert found["difference_of_medians"] == 0.5 and found["patients"] == 3


def test_an_arm_that_is_not_there(runs: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> None:
    with pytest.raises(ScenarioError, match="there is no arm 'dose=2'"):
        compare_runs(runs[0], runs[1], {"dose=2": "dose=0"})
    with pytest.raises(ScenarioError, match="not complete"):
        compare_runs(runs[0].assign_attrs(complete=False), runs[1], {"dose=0": "dose=0"})
