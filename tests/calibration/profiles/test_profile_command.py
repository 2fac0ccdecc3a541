"""`twin profile`: files, tables, saved fits and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from twin.cli import main

DOSE, KA, CL, V = 4.0, 1.6, 0.04, 0.463


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CYTOTWIN_NO_CACHE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plain(tmp_path: Path) -> list[str]:
    """Options for readings of one oral dose after the closed form."""
    hours = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0])
    ke = CL / V
    curve = DOSE * KA / (V * (KA - ke)) * (np.exp(-ke * hours) - np.exp(-KA * hours))
    values = curve + 0.1 * np.random.default_rng(4).standard_normal(len(hours))
    pd.DataFrame({"time [hour]": hours, "serum [milligram/L]": values}).to_csv(tmp_path / "serum.csv", index=False)
    return [
        *("--model", "theophylline", "--data", "serum.csv", "--map", "time=time [hour],value=serum [milligram/L]"),
        *("--dose", f"gut={DOSE}@0", "--noise", "normal:0.1", "--quiet"),
        # Without bounds absorption and elimination may change places.
        *("--estimate", "ka:0.5:10", "--estimate", "CL:0.01:0.2", "--estimate", "V:0.1:2"),
    ]


def test_table_curves_and_picture(plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", *plain, "--starts", "4", "--parameters", "ka, CL", "--level", "0.9", "--out", "found"]) == 0
    shown = capsys.readouterr().out
    assert "90 % interval" in shown
    assert "identifiable" in shown
    table = pd.read_csv("found/profiles.csv", index_col="parameter")
    assert list(table.index) == ["ka", "CL"]
    assert table.loc["ka", "lower"] < KA < table.loc["ka", "upper"]
    with xr.open_dataset("found/profiles.nc", engine="h5netcdf") as curves:
        assert curves["rise"].sizes["parameter"] == 2
        assert curves.attrs["level"] == 0.9
    assert Path("found/profiles.png").stat().st_size > 10_000


def test_a_saved_fit_is_taken(plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"ka": [KA, 9.0], "CL": [CL, 0.1], "V": [V, 1.0]}
    pd.DataFrame(columns).to_csv("fit.csv", index=False)
    assert main(["profile", *plain, "--fit", "fit.csv", "--parameters", "V"]) == 0
    shown = capsys.readouterr()
    assert "starts" not in shown.out
    assert "had not converged" in shown.err  # the truth is not the optimum of noisy readings
    assert Path("profiles/profiles.csv").exists()


def test_bad_input(plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", *plain, "--parameters", "kb"]) != 0
    assert "'kb' is no entry" in capsys.readouterr().err
    assert main(["profile", *plain, "--fit", "none.csv"]) != 0
    assert "there is no file 'none.csv'" in capsys.readouterr().err
    Path("fit.csv").write_text("ka,CL\n1,1\n", encoding="utf-8")
    assert main(["profile", *plain, "--fit", "fit.csv"]) != 0
    assert "there is no column 'V'" in capsys.readouterr().err
    Path("fit.csv").write_text("ka,CL,V\n1,-1,1\n", encoding="utf-8")
    assert main(["profile", *plain, "--fit", "fit.csv"]) != 0
    assert "'CL' is -1" in capsys.readouterr().err
    assert main(["profile", *plain, "--level", "95"]) != 0
    assert "not a number between 0 and 1" in capsys.readouterr().err
