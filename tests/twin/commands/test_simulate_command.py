"""`twin simulate`: files, pictures, tables, and every way of asking for something impossible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from twin.cli import main

MODEL = "theophylline"
BRIEF = ["--times", "0,1,2,4"]


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CYTOTWIN_NO_CACHE", "1")
    monkeypatch.chdir(tmp_path)


def closed_form(time: np.ndarray, dose: float, ka: float = 1.6, cl: float = 0.04, v: float = 0.463) -> np.ndarray:
    """Concentration after an oral dose; Pinheiro and Bates 1995, doi:10.1080/10618600.1995.10474663."""
    ke = cl / v
    return dose * ka / (v * (ka - ke)) * (np.exp(-ke * time) - np.exp(-ka * time))


def test_netcdf_agrees_with_the_closed_form(capsys):
    given = ["--dose", "gut=4020[microgram/kg]@0", "--set", "ka=2", "--variables", "concentration,gut/V"]
    assert main(["simulate", MODEL, *BRIEF, *given, "--out", "x.nc", "--plot", "x.png"]) == 0
    shown = capsys.readouterr().out
    assert "milligram/liter" in shown
    assert "saved: x.nc, x.png" in shown
    with xr.open_dataset("x.nc", engine="h5netcdf") as ds:
        expected = closed_form(ds.time.to_numpy(), 4.02, ka=2.0)
        np.testing.assert_allclose(ds.concentration, expected, rtol=1e-6, atol=1e-9)
        assert ds.gut_V.attrs["expression"] == "gut/V"
        assert ds.attrs["model"] == MODEL
    with open("x.png", "rb") as picture:
        assert picture.read(8) == b"\x89PNG\r\n\x1a\n"


def test_csv_has_units_in_its_header():
    assert main(["simulate", MODEL, "--until", "3", "--points", "4", "--dose", "gut=4@0", "--out", "x.csv"]) == 0
    table = pd.read_csv("x.csv")
    assert list(table.columns) == [
        "time [hour]",
        "gut [milligram/kilogram]",
        "body [milligram/kilogram]",
        "concentration [milligram/liter]",
    ]
    assert table["time [hour]"].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_draws_of_a_table_give_bands(capsys):
    pd.DataFrame({"ka": [1.0, 2.0, 3.0], "objective": [1.0, 2.0, 3.0]}).to_csv("draws.csv", index=False)
    given = ["--dose", "gut=4@0", "--draws", "draws.csv", "--log"]
    assert main(["simulate", MODEL, *BRIEF, *given, "--out", "x.nc", "--plot", "x.svg"]) == 0
    shown = capsys.readouterr()
    assert "of 3 draws" in shown.out
    assert "left aside: objective" in shown.err
    with xr.open_dataset("x.nc", engine="h5netcdf") as ds:
        for index, ka in enumerate((1.0, 2.0, 3.0)):
            expected = closed_form(ds.time.to_numpy(), 4.0, ka=ka)
            np.testing.assert_allclose(ds.concentration.isel(draw=index), expected, rtol=1e-6, atol=1e-9)


def test_late_dose_is_remarked(capsys):
    assert main(["simulate", MODEL, *BRIEF, "--dose", "gut=4@9", "--out", "x.nc"]) == 0
    assert "comes after the last time 4 and does nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["theophyline", *BRIEF, "--out", "x.nc"], "did you mean 'theophylline'?"),
        ([MODEL, "--out", "x.nc"], "nobody said how long"),
        ([MODEL, *BRIEF, "--until", "3", "--out", "x.nc"], "are both given"),
        ([MODEL, "--until", "-1", "--out", "x.nc"], "is not after the start"),
        ([MODEL, "--until", "nan", "--out", "x.nc"], "is not after the start"),
        ([MODEL, "--until", "3", "--points", "1", "--out", "x.nc"], "1 points"),
        ([MODEL, "--times", "0,two", "--out", "x.nc"], "'two' is not a time"),
        ([MODEL, "--times", "2,1", "--out", "x.nc"], "earlier than the one before"),
        ([MODEL, "--times=-1,1", "--t0", "0", "--out", "x.nc"], "before the start"),
        ([MODEL, *BRIEF, "--out", "x.txt"], "a name that ends in .nc or .parquet or .csv"),
        ([MODEL, *BRIEF, "--out", "no/where/x.nc"], "there is no folder"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--plot", "x.bmp"], "a name that ends in .png"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--set", "kA=1"], "'kA' is no parameter"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--set", "ka=nan"], "'ka' is not finite"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--set", "ka"], "there is no '='"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--dose", "stomach=1@0"], "'stomach', which is no state"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--dose", "gut=1[hour]@0"], "hour"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--dose", "gut=1@-1"], "comes before the start"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--dose", "gut=1@late"], "late"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--change", "gut=1@0:1"], "'gut', which is no parameter"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--initial", "ka=1"], "'ka', which is no state"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--variables", "colour"], "colour"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--draws", "none.csv"], "there is no file 'none.csv'"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--draws", "draws.csv"], "none of its columns is a parameter"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--draws", "words.csv"], "something else than finite numbers"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--draws", "broken.nc"], "no posterior that can be read"),
        ([MODEL, *BRIEF, "--out", "x.nc", "--draws", "ka.csv", "--set", "ka=1"], "by --set and by --draws"),
    ],
)
def test_bad_input_is_a_message(arguments, said, tmp_path, capsys):
    (tmp_path / "draws.csv").write_text("a,b\n1,2\n")
    (tmp_path / "words.csv").write_text("ka\nfast\n")
    (tmp_path / "ka.csv").write_text("ka\n1\n")
    (tmp_path / "broken.nc").write_text("no")
    before = set(tmp_path.iterdir())
    assert main(["simulate", *arguments]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    assert set(tmp_path.iterdir()) == before


def test_runs_by_chance(capsys):
    given = ["--jumps", "20", "--times", "10,60", "--variables", "m,on"]
    assert main(["simulate", "mrna_golding", *given, "--out", "x.nc", "--plot", "x.png"]) == 0
    assert "of 20 runs" in capsys.readouterr().out
    with xr.open_dataset("x.nc", engine="h5netcdf") as ds:
        assert ds.m.dims == ("run", "time") and set(np.unique(ds.on)) <= {0.0, 1.0}
    assert main(["simulate", "mrna_golding", *given, "--change", "k_tx=1@1:2", "--out", "y.nc"]) != 0
    assert "expected: parameters by --set only" in capsys.readouterr().err
