"""`twin identify` and `twin sensitivity`: files, tables, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import calibration
from twin.cli import main
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.study import Estimate, Noise


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.setenv("CYTOTWIN_NO_CACHE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def petab(table_of_rows) -> Path:
    """A PEtab problem in which only the product of two rates acts."""
    parameters = [Parameter("k1", 0.5), Parameter("k2", 1.0), Parameter("A0", 2.0)]
    odes, observables = {"A": "-k1 * k2 * A"}, [Observable("y", "A")]
    model = Model("product", [State("A", "A0")], parameters, odes=odes, observables=observables)
    table = table_of_rows([("e", "1", "y", t, 2 * np.exp(-0.5 * t)) for t in (0.0, 1.0, 2.0, 4.0)])
    estimates = [Estimate(name, 0.01, 100.0) for name in ("k1", "k2", "A0")]
    calibration.write_petab(calibration.Problem(model, table, estimates, Noise("normal", 0.1)), Path("petab"))
    return next(Path("petab").glob("*.yaml"))


def test_identify_a_petab_problem(petab: Path, capsys) -> None:
    assert main(["identify", str(petab), "--at", "nominal", "--out", "results"]) == 0
    shown = capsys.readouterr().out
    assert "not determined: k1^+0.71 · k2^-0.71" in shown
    parameters = pd.read_csv("results/parameters.csv", index_col="parameter")
    assert parameters.loc["k1", "note"] == "not determined"
    assert len(pd.read_csv("results/directions.csv")) == 3
    with xr.open_dataset("results/information.nc", engine="h5netcdf") as ds:
        assert ds.attrs["rank"] == 2
    assert Path("results/information.png").stat().st_size > 10_000


def test_identify_at_the_fit(petab: Path, capsys) -> None:
    fitted = ["--starts", "3", "--with-prior", "--quiet", "--out", "results"]
    assert main(["identify", str(petab), *fitted]) == 0
    assert "found by" in capsys.readouterr().out


def test_sensitivity_of_a_petab_problem(petab: Path, capsys) -> None:
    pytest.importorskip("SALib")
    options = ["--method", "morris", "--samples", "8", "--times", "1,2", "--parameters", "k1,A0", "--quiet"]
    assert main(["sensitivity", str(petab), *options, "--out", "results"]) == 0
    assert "morris, 2 parameters, 1 outputs, 2 times, 24 runs, 0 failed" in capsys.readouterr().out
    assert len(pd.read_csv("results/sensitivity.csv")) == 2
    with xr.open_dataset("results/sensitivity.nc", engine="h5netcdf") as ds:
        assert ds["mu_star"].dims == ("output", "time", "parameter")
    assert Path("results/sensitivity.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["identify"], "nobody said what to calibrate"),
        (["identify", "theofylline"], "did you mean 'theophylline'?"),
        (["identify", "absent.yaml"], "absent.yaml"),
        (["identify", "absent.yaml", "--fix", "k=1"], "--fix is given with the PEtab problem"),
        (["identify", "absent.yaml", "--dose", "A=1@0"], "doses or changes are given with the PEtab problem"),
        (["sensitivity", "theophylline", "--samples", "3"], "a power of 2"),
        (["sensitivity", "theophylline", "--outputs", "x"], "no readings of the observable 'x'"),
        (["sensitivity", "theophylline", "--times", "1,x"], "'x' is not a time"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], said: str, capsys) -> None:
    assert main([*arguments, "--out", "results"]) == 2
    assert said in capsys.readouterr().err
