"""Synthetic cohorts: their truth, their measurement process, their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import calibration
from calibration import Problem
from calibration.synthetic.endpoints import endpoints
from calibration.synthetic.vectors import new_vectors, subject_entries
from twin.errors import ProblemError
from twin.study import Estimate, Noise

pytestmark = pytest.mark.xdist_group("synthetic")
PROCESS = calibration.Process(jitter=0.2, missing=0.1, dropout=0.3, batches=2, batch_sd=0.1)


@pytest.fixture(scope="module")
def plain(small) -> calibration.Synthetic:
    return calibration.synthesize(small, 200, seed=3)


@pytest.fixture(scope="module")
def messy(small) -> calibration.Synthetic:
    return calibration.synthesize(small, 200, seed=3, process=PROCESS)


def test_truth_is_the_closed_form(plain) -> None:
    time = plain.trajectories["time"].values
    k, a0 = (plain.parameters[name].to_numpy()[:, None] for name in ("k", "A0"))
    expected = a0 * np.exp(-k * time)
    np.testing.assert_allclose(plain.trajectories.sel(observable="y").values, expected, rtol=1e-5, atol=1e-7)
    first = plain.endpoints
    np.testing.assert_allclose(first["peak"], a0[:, 0], rtol=1e-5)
    area = (a0 * (1 - np.exp(-8 * k)) / k)[:, 0]
    np.testing.assert_allclose(first["area"], area, rtol=2e-3)  # trapezoids of width 1/30 at rates of up to 5
    cleared = first["clearance_time"].notna().to_numpy()
    when = (np.log(a0 / 0.1) / k)[:, 0]
    np.testing.assert_array_equal(cleared, when < 8.0)
    np.testing.assert_allclose(first["clearance_time"][cleared], when[cleared], atol=2e-3)


def test_readings_scatter_by_the_noise_law(plain) -> None:
    table = plain.measurements.table.merge(plain.parameters, on=["experiment", "subject"])
    seen = table["censoring"] == ""
    error = (table["value"] - table["A0"] * np.exp(-table["k"] * table["time"]))[seen & (table["time"] <= 1.0)]
    count = len(error)
    assert abs(error.mean()) < 4 * 0.05 / np.sqrt(count)
    assert abs(error.std() / 0.05 - 1) < 4 / np.sqrt(2 * count)
    assert (table["value"][~seen] == 0.1).all() and (~seen).any()


def test_subjects_are_drawn_from_the_spread(small) -> None:
    own = subject_entries(small)
    assert [small.names[i] for i in own] == ["k_eta[1]", "k_eta[2]", "k_eta[3]"]
    rng = np.random.default_rng(0)
    vectors = new_vectors(small, np.asarray(small.nominal), 400, rng)
    rest = np.setdiff1d(np.arange(len(small.names)), own)
    assert (vectors[:, rest] == np.asarray(small.nominal)[rest]).all()
    assert abs(vectors[:, own].mean()) < 4 / np.sqrt(1200) and abs(vectors[:, own].std() - 1) < 4 / np.sqrt(2400)


def test_occasions_are_drawn_with_their_subjects(decay, table_of_rows) -> None:
    rows = [(run, "1", "y", t, 1.0) for run in ("fed", "fasted") for t in (0.0, 1.0, 2.0)]
    k = Estimate("k", 0.05, 5.0, per="subject", between=0.2, between_occasions=0.1)
    given = Problem(decay, table_of_rows(rows), [k], Noise("normal", 0.05))
    assert [given.names[i] for i in subject_entries(given)] == ["k_eta[1]", "k_kappa[1, fed]", "k_kappa[1, fasted]"]


def test_the_process_loses_and_moves_readings(messy, plain) -> None:
    counts = messy.card["counts"]
    assert counts["missed"] + counts["after_dropout"] + counts["readings"] <= 1000
    assert abs(counts["dropouts"] / 200 - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 200)
    assert counts["missed"] > 40
    assert not set(messy.measurements.table["time"]) <= {0.0, 1.0, 2.0, 4.0, 8.0}
    last = messy.measurements.table.groupby("subject")["time"].max()
    left = messy.subjects.set_index("subject")["left_at"].loc[last.index]
    assert (last <= left).all()
    assert messy.subjects["batch_effect"].nunique() == 2
    # How subjects are measured changes nothing in what they are.
    pd.testing.assert_frame_equal(messy.parameters, plain.parameters)


def test_nominal_times_can_be_recorded(small) -> None:
    process = calibration.Process(jitter=0.3, recorded="nominal")
    table = calibration.synthesize(small, 200, seed=3, process=process).measurements.table
    assert set(table["time"]) == {0.0, 1.0, 2.0, 4.0, 8.0}


def test_same_seed_same_digits(small, messy) -> None:
    again = calibration.synthesize(small, 200, seed=3, process=PROCESS)
    assert again.card == messy.card
    assert again.measurements == messy.measurements
    assert calibration.synthesize(small, 200, seed=4, process=PROCESS).card["hashes"] != messy.card["hashes"]


def test_files_are_read_again(messy, small, tmp_path: Path) -> None:
    paths = messy.save(tmp_path)
    assert all(path.stat().st_size for path in paths)
    again = calibration.Problem(small.model, tmp_path / "readings.csv", small.estimates[1:], small.noise)
    assert again.measurements.sha256 == messy.measurements.sha256 == messy.card["hashes"]["readings"]
    with xr.open_datatree(tmp_path / "synthetic.nc", engine="h5netcdf") as tree:
        np.testing.assert_array_equal(tree["truth/parameters"]["k"], messy.parameters["k"])
        np.testing.assert_array_equal(tree["truth/trajectories"]["value"], messy.trajectories)
        assert json.loads(tree.attrs["card"]) == json.loads((tmp_path / "card.json").read_text())
    text = (tmp_path / "card.md").read_text()
    assert messy.card["hashes"]["readings"] in text and "## What is not" in text
    assert set(json.loads((tmp_path / "schema.json").read_text())) >= {"readings.csv", "parameters.csv"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jitter": -1.0}, "jitter is -1"),
        ({"missing": 1.5}, "missing is 1.5"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"batches": 0}, "batches is 0"),
        ({"recorded": "later"}, "recorded is 'later'"),
        ({"batch_kind": "smell"}, "batch_kind is 'smell'"),
        ({"detection_limits": {"y": float("inf")}}, "the detection limit of 'y' is inf"),
    ],
)
def test_bad_process(change: dict, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        calibration.Process(**change)


def test_bad_requests(small) -> None:
    with pytest.raises(ProblemError, match="subjects is 0"):
        calibration.synthesize(small, 0)
    with pytest.raises(ProblemError, match="the source of parameters is 'posteriori'"):
        calibration.synthesize(small, 3, source="posteriori")
    with pytest.raises(ProblemError, match=r"the vectors have shape \(1, 2\)"):
        calibration.synthesize(small, 3, source=np.zeros(2))
    with pytest.raises(ProblemError, match="no measured observable 'z'"):
        calibration.synthesize(small, 3, process=calibration.Process(detection_limits={"z": 1.0}))


def test_endpoints_of_a_triangle() -> None:
    found = endpoints(np.array([0.0, 1.0, 3.0, 4.0]), np.array([0.0, 2.0, 0.0, 0.0]))
    assert found == {"peak": 2.0, "peak_time": 1.0, "area": 3.0, "clearance_time": pytest.approx(2.8), "last": 0.0}
    assert np.isnan(endpoints(np.array([0.0, 1.0]), np.array([0.0, 2.0]))["clearance_time"])
    assert np.isnan(endpoints(np.array([0.0]), np.array([1.0]))["peak"])


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from twin.cli import main

    for options, message in (
        (["--missing", "2"], "missing is 2.0"),
        (["--source", "nowhere.nc"], "--source: it is 'nowhere.nc'"),
        (["--limit", "concentration=low"], "could not convert"),
        (["--limit", "3"], "'3' has no observable"),
    ):
        assert main(["synthesize", "theophylline", "--out", str(tmp_path / "x"), *options]) != 0
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_command_writes_a_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from twin.cli import main

    assert main(["synthesize", "theophylline", "--subjects", "24", "--seed", "2", "--out", str(tmp_path)]) == 0
    assert "24 virtual subjects" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 7
