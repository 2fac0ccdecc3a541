"""`twin.simulate_cohort`: trajectories as of `twin.simulate`, summaries that agree with them, stores, refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import twin
from twin.cohort.journal import Journal
from twin.errors import ExperimentError, LibraryError, ModelError, SimulationError, TwinWarning, UnknownSymbolError

pytestmark = pytest.mark.xdist_group("cohort")

DECAY = twin.Model(
    "decay",
    [twin.State("A", "A0", "mg"), twin.State("B", 0.0, "mg")],
    [twin.Parameter("k", 1.0, "1/hour"), twin.Parameter("A0", 2.0, "mg"), twin.Parameter("dose", 0.0, "mg")],
    reactions=[twin.Reaction("turn", "A -> B", "k * A")],
    observables=[twin.Observable("share", "A / (A + B)", "dimensionless")],
    time_unit="hour",
)
TS = np.linspace(0.0, 2.0, 5)
COHORT = twin.Cohort(
    1000, {"k": twin.LogNormal(1.0, 0.4), "A0": twin.Uniform(1.0, 3.0)}, covariates={"age": twin.Uniform(20, 80)}
)
FAST = {"rtol": 1e-6, "max_steps": 512, "progress": False}
SUMMARIES = (twin.Bands(), twin.Count("share < 0.5"), twin.Count("A > 1.5 && time > 0.1", "high"))
BLOW_UP = twin.Model("blow_up", [twin.State("y", 1.0)], [twin.Parameter("a", 1.0)], odes={"y": "a * y^2"})


def equal(one: xr.Dataset, other: xr.Dataset) -> None:
    """Everything is the same, to the last digit."""
    assert set(one.variables) == set(other.variables)
    assert set(one.coords) == set(other.coords)
    for name in one.variables:
        assert one[name].dims == other[name].dims
        np.testing.assert_array_equal(one[name].to_numpy(), other[name].to_numpy(), err_msg=str(name))
        assert one[name].attrs == other[name].attrs


@pytest.fixture(scope="module")
def in_memory() -> xr.Dataset:
    variables = ["A", "share", "A / (A + B)"]
    return twin.simulate_cohort(DECAY, TS, COHORT, None, variables, summaries=SUMMARIES, keep=True, chunk=300, **FAST)


def test_trajectories_are_those_of_simulate(in_memory: xr.Dataset) -> None:
    ds = twin.simulate(DECAY, TS, COHORT.draw(), variables=["A"], rtol=1e-6, max_steps=512)
    # The same program over other numbers of lanes: an ulp per step.
    np.testing.assert_allclose(in_memory["A"], ds["A"], rtol=1e-9)
    expected = in_memory["A0"] * np.exp(-in_memory["k"] * in_memory["time"])
    np.testing.assert_allclose(in_memory["A"], expected, rtol=1e-4)
    assert in_memory["A"].dims == ("subject", "time")
    assert in_memory["A"].attrs == {"units": "mg"} and in_memory["time"].attrs == {"units": "hour"}
    np.testing.assert_array_equal(in_memory["age"], COHORT.table()["age"])
    assert in_memory["k"].attrs == {"units": "1/hour"} and in_memory["age"].attrs == {}
    assert in_memory.attrs["subjects"] == 1000 and in_memory.attrs["failed"] == 0
    assert in_memory.attrs["model_fingerprint"] == DECAY.fingerprint
    assert in_memory.attrs["cohort_fingerprint"] == COHORT.fingerprint


def test_simulate_takes_a_cohort(in_memory: xr.Dataset) -> None:
    variables = ["A", "share", "A / (A + B)"]
    ds = twin.simulate(
        DECAY, TS, COHORT, None, variables, atol=1e-12, summaries=SUMMARIES, keep=True, chunk=300, **FAST
    )
    equal(ds, in_memory)
    with pytest.raises(ExperimentError, match="the options summaries are given"):
        twin.simulate(DECAY, TS, {}, summaries=SUMMARIES)


def test_bands_and_counts_agree_with_the_trajectories(in_memory: xr.Dataset) -> None:
    for name in ("A", "share", "A / (A + B)"):
        values, quantiles = in_memory[name].to_numpy(), in_memory[f"{name}_quantile"]
        assert quantiles.dims == ("quantile", "time")
        ranks = (values[None] < quantiles.to_numpy()[:, None]).mean(axis=1)
        up_to = (values[None] <= quantiles.to_numpy()[:, None]).mean(axis=1)
        level, slack = in_memory["quantile"].to_numpy()[:, None], in_memory[f"{name}_rank_error"].to_numpy() + 2e-3
        assert (ranks - slack <= level).all() and (level <= up_to + slack).all()
        assert quantiles.attrs["rank_error"] == in_memory[f"{name}_rank_error"].max() < 0.01
    low = in_memory["share"].to_numpy() < 0.5
    np.testing.assert_array_equal(in_memory["event_count"].sel(event="share < 0.5"), low.sum(axis=0))
    assert in_memory["event_ever"].sel(event="share < 0.5") == low.any(axis=1).sum()
    high = (in_memory["A"].to_numpy() > 1.5) & (TS > 0.1)
    np.testing.assert_array_equal(in_memory["event_count"].sel(event="high"), high.sum(axis=0))
    assert in_memory["condition"].sel(event="high") == "A > 1.5 && time > 0.1"


def test_summaries_alone_and_nothing_asked_for() -> None:
    ds = twin.simulate_cohort(DECAY, TS, COHORT, summaries=twin.Bands((0.5,), ["A"]), **FAST)
    assert set(ds.data_vars) == {"A_quantile", "A_rank_error", "failures"}
    assert "subject" not in ds.dims
    ds = twin.simulate_cohort(DECAY, TS, COHORT, **FAST)
    assert {"A", "B", "share"} <= set(ds.data_vars) and "subject" in ds.dims
    ds = twin.simulate_cohort(DECAY, TS, COHORT, summaries=SUMMARIES, keep=["B"], **FAST)
    assert ds["B"].dims == ("subject", "time") and "A" not in ds


def test_doses_of_each_subject() -> None:
    cohort = twin.Cohort(50, {"k": twin.Uniform(0.5, 2.0), "dose": "3 * k", "A0": 0.0})
    experiment = twin.Experiment([twin.Bolus("A", "dose", 1.0)])
    ds = twin.simulate_cohort(DECAY, [1.0, 2.0], cohort, experiment, ["A"], **FAST)
    np.testing.assert_allclose(ds["A"][:, 0], 3.0 * ds["k"], rtol=1e-5)
    np.testing.assert_allclose(ds["A"][:, 1], 3.0 * ds["k"] * np.exp(-ds["k"]), rtol=1e-4)


def test_posterior_leaves_out_what_the_model_does_not_know() -> None:
    draws = xr.Dataset({"k": (("chain", "draw"), [[0.5, 1.0]]), "sd": (("chain", "draw"), [[1.0, 1.0]])})
    ds = twin.simulate_cohort(DECAY, [0.0, 1.0], twin.Cohort.from_posterior(draws), **FAST)
    np.testing.assert_allclose(ds["A"][:, 1], 2.0 * np.exp([-0.5, -1.0]), rtol=1e-4)
    assert "sd" not in ds.variables
    with pytest.raises(ExperimentError, match="'sd' is no parameter of the model 'decay'"):
        twin.simulate_cohort(DECAY, TS, twin.Cohort.from_posterior(draws, names=["k", "sd"]), **FAST)


def test_sorted_table_has_a_pilot_from_all_over() -> None:
    cohort = twin.Cohort.from_table({"k": np.linspace(0.1, 3.0, 6000)})
    ds = twin.simulate_cohort(
        DECAY, [0.0, 1.0], cohort, variables=["A"], summaries=[twin.Bands()], keep=True, chunk=1500, **FAST
    )
    assert ds["A_quantile"].attrs["rank_error"] < 0.005
    np.testing.assert_allclose(ds["A_quantile"][:, 1], ds["A"][:, 1].quantile(ds["quantile"]), rtol=1e-3)


def test_failures() -> None:
    cohort = twin.Cohort.from_table({"a": [0.5, 2.0, -1.0, 3.0]})
    with pytest.warns(TwinWarning, match=r"2 of 4 subjects failed .2 with the step size") as record:
        ds = twin.simulate_cohort(
            BLOW_UP, [0.0, 0.9], cohort, summaries=[twin.Bands((0.0, 1.0)), twin.Count("y > 0")], keep=True, **FAST
        )
    assert record[0].filename == __file__
    np.testing.assert_array_equal(np.isnan(ds["y"]).all("time"), [False, True, False, True])
    np.testing.assert_array_equal(ds["status"] != 0, [False, True, False, True])
    assert ds.attrs["failed"] == 2 and int(ds["failures"].sum()) == 2
    np.testing.assert_allclose(ds["y_quantile"][:, 1], [1 / 1.9, 1 / 0.55], rtol=1e-5)
    np.testing.assert_array_equal(ds["event_ever"], [2])
    with pytest.raises(SimulationError, match="all 2 subjects failed"):
        twin.simulate_cohort(BLOW_UP, [0.0, 2.0], twin.Cohort(2, {"a": 1.0}), **FAST)


# ---- stores


@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_stores_hold_what_memory_holds(ending: str, tmp_path: Path, in_memory: xr.Dataset) -> None:
    variables = ["A", "share", "A / (A + B)"]
    path = tmp_path / f"x.{ending}"
    call = {"to": path, "summaries": SUMMARIES, "chunk": 300, **FAST}
    with twin.simulate_cohort(DECAY, TS, COHORT, None, variables, **call) as ds:
        ds.attrs.pop("run_fingerprint")
        assert not ds["A"].variable._in_memory
        equal(ds, in_memory)
        assert ds.attrs == in_memory.attrs
    assert list(tmp_path.iterdir()) == [path]
    before = path.stat().st_mtime_ns
    with twin.simulate_cohort(DECAY, TS, COHORT, None, variables, **call) as again:
        equal(again, in_memory)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ExperimentError, match="holds the result of another call"):
        twin.simulate_cohort(DECAY, TS, COHORT, None, variables, **call | {"rtol": 1e-5})
    call |= {"keep": False, "overwrite": True, "chunk": 400}
    with twin.simulate_cohort(DECAY, TS, COHORT, None, variables, **call) as ds:
        assert "A" not in ds and ds["k"].dims == ("subject",)
        np.testing.assert_array_equal(ds["event_count"], in_memory["event_count"])
        np.testing.assert_allclose(ds["A_quantile"], in_memory["A_quantile"], rtol=1e-9)


@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_what_is_not_ours_is_left_alone(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    path.mkdir()
    (path / "precious.txt").write_text("mine")
    with pytest.raises(ExperimentError, match="holds the result of another call"):
        twin.simulate_cohort(DECAY, TS, COHORT, to=path, **FAST)
    with pytest.raises(ExperimentError, match="no cohort run wrote it"):
        twin.simulate_cohort(DECAY, TS, COHORT, to=path, overwrite=True, **FAST)
    assert (path / "precious.txt").read_text() == "mine"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "x.nc")
    with journal.lock(), pytest.raises(ExperimentError, match="another process is writing"):
        twin.simulate_cohort(DECAY, TS, COHORT, to=tmp_path / "x.nc", **FAST)


def test_zarr_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    monkeypatch.delitem(sys.modules, "twin.cohort.zarr_store", raising=False)
    with pytest.raises(LibraryError, match=r"needs the package zarr(.|\n)*cytotwin\[cohort\]"):
        twin.simulate_cohort(DECAY, TS, COHORT, to=tmp_path / "x.zarr", **FAST)


def test_a_damaged_journal(tmp_path: Path) -> None:
    folder = tmp_path / "x.nc.running"
    folder.mkdir()
    for text in ("{", json.dumps({"format": 99}), json.dumps({"format": 1})):
        (folder / "journal.json").write_text(text)
        with pytest.raises(ExperimentError, match="the journal cannot be read"):
            twin.simulate_cohort(DECAY, TS, COHORT, to=tmp_path / "x.nc", **FAST)


# ---- what is refused

REFUSED = [
    ({"model": "decay"}, ModelError, "the model is a str"),
    ({"cohort": {"k": [1.0]}}, ExperimentError, "the cohort is a dict"),
    ({"cohort": twin.Cohort(2, {"kk": 1.0})}, ExperimentError, "'kk' is no parameter of the model 'decay'"),
    ({"ts": [1.0, 0.0]}, ExperimentError, "is earlier"),
    ({"experiment": 3}, ExperimentError, "the experiment is a int"),
    ({"variables": ["time"]}, ExperimentError, "'time' is asked for"),
    ({"variables": ["A", "A"]}, ExperimentError, "two parts of the result would be called 'A'"),
    ({"variables": ["C"]}, UnknownSymbolError, "unknown name 'C'"),
    ({"to": "x.csv"}, ExperimentError, "to go to 'x.csv'"),
    ({"summaries": "bands"}, ExperimentError, "the summaries are 'bands'"),
    ({"summaries": [twin.Bands(), twin.Bands()]}, ExperimentError, "several Bands"),
    ({"summaries": [twin.Bands(variables=["C"])]}, ExperimentError, "'C' is not among the variables"),
    ({"summaries": [twin.Bands(resolution=10_000_000)]}, ExperimentError, "the ranks of 3 variables at 5 times take"),
    ({"summaries": [twin.Count("A")]}, ExperimentError, "'A' is no comparison"),
    ({"summaries": [twin.Count("C > 1")]}, UnknownSymbolError, "unknown name 'C'"),
    ({"summaries": [twin.Count("A > 1"), twin.Count("A > 1")]}, ExperimentError, "two Counts have one name"),
    ({"keep": ["C"]}, ExperimentError, "'C' is not among the variables"),
    ({"keep": "A"}, ExperimentError, "keep is 'A'"),
    ({"chunk": 0}, ExperimentError, "chunk is 0"),
    ({"rtol": -1.0}, ExperimentError, "rtol is -1.0"),
    ({"solver": "euler"}, ExperimentError, "no integration method"),
    ({"cohort": twin.Cohort(10**8, {"k": 1.0})}, ExperimentError, r"of 100,000,000 subjects take 1\d.\d GiB(.|\n)*to="),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_nonsense_is_refused(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        twin.simulate_cohort(**({"model": DECAY, "ts": TS, "cohort": COHORT, "progress": False} | arguments))
