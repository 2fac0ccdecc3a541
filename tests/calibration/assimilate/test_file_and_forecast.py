"""A twin in a file, what the file refuses, forecasts with bands and noise, what-if, and the commands."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import twin
from twin.cli import main
from twin.errors import ExperimentError, ProblemError

pytestmark = pytest.mark.xdist_group("assimilate")
LATER = np.array([7.0, 8.0, 9.0])


@pytest.fixture(scope="session")
def saved(updated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("twin") / "twin.nc"
    updated[-1].save(path)
    return path


def test_a_twin_comes_back_whole(updated, saved) -> None:
    live, again = updated[-1], twin.Twin.load(saved, updated[-1].model)
    assert again.basis == live.basis and again.model == live.model
    np.testing.assert_array_equal(again.ensemble.theta, live.ensemble.theta)
    np.testing.assert_array_equal(again.ensemble.log_weights, live.ensemble.log_weights)
    for name, values in live.ensemble.values.items():
        np.testing.assert_array_equal(again.ensemble.values[name], values)
    pd.testing.assert_frame_equal(again.readings, live.readings, check_dtype=False)
    assert [dict(each) for each in again.log] == [dict(each) for each in live.log]
    assert again.log[0]["model"]["fingerprint"] == live.model.fingerprint


def test_a_twin_that_came_back_goes_on(updated, saved) -> None:
    new = pd.DataFrame({"time": [8.0], "value": [0.03]})
    one, other = updated[-1].update(new), twin.Twin.load(saved).update(new)
    np.testing.assert_array_equal(one.ensemble.log_weights, other.ensemble.log_weights)
    np.testing.assert_array_equal(one.ensemble.theta, other.ensemble.theta)


def test_files_that_are_no_twin(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="there is no such file"):
        twin.Twin.load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(ProblemError, match="it is no netCDF file"):
        twin.Twin.load(tmp_path / "text.nc")
    xr.Dataset(attrs={"kind": "fit"}).to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with pytest.raises(ProblemError, match="it holds 'fit'"):
        twin.Twin.load(tmp_path / "fit.nc")


def test_a_changed_file(saved, tmp_path: Path) -> None:
    path = tmp_path / "changed.nc"
    path.write_bytes(saved.read_bytes())
    with h5py.File(path, "r+") as file:
        file["theta"][0, 0] += 1e-9
    with pytest.raises(ProblemError, match="do not have the hash"):
        twin.Twin.load(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 99
    with pytest.raises(ProblemError, match="it is of format 99"):
        twin.Twin.load(path)


def test_another_version_of_the_model(updated, saved, oral) -> None:
    other = updated[-1].model.with_parameters(k=0.6)
    with pytest.raises(ProblemError, match="asked for was another version of it"):
        twin.Twin.load(saved, other)
    with pytest.raises(ProblemError, match="asked for was another model, 'oral'"):
        twin.Twin.load(saved, oral)


def test_forecast_is_the_mechanism_of_each_particle(updated) -> None:
    live = updated[-1]
    ds = live.forecast(LATER)
    k, start = live.ensemble.linear.T
    np.testing.assert_allclose(ds["y"], start[:, None] * np.exp(-k[:, None] * LATER), rtol=1e-4)
    np.testing.assert_allclose(ds["weight"], live.weights)
    assert ds["y"].attrs["units"] == "dimensionless" and ds.attrs["twin_time"] == 7.0
    assert float(live.state()["A"][0]) == pytest.approx(float(ds["y"][0, 0]), rel=1e-4)
    assert set(live.particles()) == {"k", "A0"}


def test_bands_are_quantiles_of_weighted_draws(updated) -> None:
    live = updated[2]  # with unequal weights
    assert np.ptp(live.weights) > 0
    bands, draws = live.forecast(LATER, quantiles=(0.05, 0.5, 0.95)), live.forecast(LATER)
    for share in (0.05, 0.5, 0.95):
        below = (draws["y"] <= bands["y"].sel(quantile=share)).to_numpy()
        np.testing.assert_allclose(live.weights @ below, share, atol=2 * live.weights.max())
    with pytest.raises(ExperimentError, match="numbers between 0 and 1"):
        live.forecast(LATER, quantiles=(5, 95))


def test_noise_is_that_of_the_readings(updated) -> None:
    live = updated[-1]
    without, included = live.forecast(LATER)["y"], live.forecast(LATER, noise=True)["y"]
    scatter = np.log(included / without).to_numpy()
    assert scatter.std() == pytest.approx(0.3, rel=4.5 / np.sqrt(2 * scatter.size))
    assert abs(scatter.mean()) < 4.5 * 0.3 / np.sqrt(scatter.size)
    with pytest.raises(ExperimentError, match="readings of 'A' are asked for"):
        live.forecast(LATER, noise=True, variables=["A"])


def test_what_if_from_now_on(updated) -> None:
    live = updated[-1]
    dose = twin.Experiment(doses=[twin.Bolus("A", 1.0, time=8.0)])
    more = live.what_if(dose, LATER, from_now=True)["y"] - live.forecast(LATER)["y"]
    np.testing.assert_allclose(more[:, 0], 0.0, atol=1e-5)
    np.testing.assert_allclose(more[:, 1], 1.0, rtol=1e-4)
    slower = live.what_if(twin.Experiment(changes=[twin.Change("k", "k / 2")]), LATER, from_now=True)["y"]
    np.testing.assert_allclose(slower[:, 0], live.forecast(LATER)["y"][:, 0], rtol=1e-4)
    assert np.all(slower[:, 1:] > live.forecast(LATER)["y"][:, 1:])
    for past, says in (
        (twin.Experiment(doses=[twin.Bolus("A", 1.0, time=3.0)]), "at 3.0, and the twin stands at 7"),
        (twin.Experiment(initial={"A": 3.0}), "initial are given for an experiment that began long ago"),
    ):
        with pytest.raises(ExperimentError, match=says):
            live.what_if(past, LATER, from_now=True)
    with pytest.raises(ExperimentError, match="what is done is a dict"):
        live.what_if({}, LATER)
    with pytest.raises(ExperimentError, match="the twin knows no series any experiment / 2"):
        live.forecast(LATER, subject="2")


def test_commands(saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.csv").write_text("time,value\n8,0.03\n")
    assert main(["update", str(saved), str(tmp_path / "new.csv"), "--out", str(tmp_path / "next.nc")]) == 0
    assert "7 readings, 7 updates" in capsys.readouterr().out
    picture, table = tmp_path / "fan.png", tmp_path / "fan.csv"
    assert main(["forecast", str(tmp_path / "next.nc"), "--until", "10", "--from", "0", "--plot", str(picture),
                 "--out", str(table)]) == 0  # fmt: skip
    assert "predictions without measurement noise" in capsys.readouterr().out
    assert picture.stat().st_size > 10_000
    assert sorted(pd.read_csv(table)["quantile"].unique()) == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert main(["forecast", str(tmp_path / "next.nc"), "--until", "10", "--dose", "A=1@9"]) == 0
    assert main(["update", str(tmp_path / "next.nc"), str(tmp_path / "new.csv")]) == 0  # a second reading at 8
    (tmp_path / "new.csv").write_text("time,value\n3,0.03\n")
    assert main(["update", str(tmp_path / "next.nc"), str(tmp_path / "new.csv")]) == 2
    assert "made at 3, and the twin stands at 8" in capsys.readouterr().err
    assert main(["forecast", str(saved), "--until", "3"]) == 2
