"""`twin predict` and `twin score`: files, hashes and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from twin.cli import main

SHORT = ["--chains", "2", "--warmup", "30", "--draws", "20", "--starts", "3", "--quiet"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_a_study_is_frozen_and_opened(capsys) -> None:
    given = [
        "predict",
        "influenza_hayden1996",
        "--split",
        "experiment",
        *SHORT,
        "--freeze",
        "arms.nc",
        "--out",
        "q.csv",
    ]
    assert main([*given, "--question", "are the arms predicted?"]) == 0
    shown = capsys.readouterr().out
    assert "calibrated on Measurements(9 readings" in shown
    assert "18 readings to predict" in shown
    sha256 = shown.split("sha256 ")[1].split()[0]
    table = pd.read_csv("q.csv")
    assert len(table) == 18
    assert (table["q05"] < table["q95"]).all()
    assert set(table["experiment"]) == {"early", "delayed"}

    assert main(["score", "arms.nc", "--data", "influenza_hayden1996", "--sha256", sha256, "--out", "score"]) == 0
    shown = capsys.readouterr().out
    assert "noise floor" in shown
    record = json.loads(Path("score/score.json").read_text())
    assert record["predictions_sha256"] == sha256
    assert record["question"] == "are the arms predicted?"
    assert record["readings"]["count"] == 18
    assert len(pd.read_csv("score/scores.csv")) == 18


def test_another_hash_is_refused(frozen_of, capsys) -> None:
    frozen_of().save("f.nc")
    pd.DataFrame({"time": [1.0], "value": [1.2]}).to_csv("r.csv", index=False)
    assert main(["score", "f.nc", "--data", "r.csv", "--sha256", 64 * "0"]) != 0
    assert "asked for was 0000" in capsys.readouterr().err


def test_readings_of_a_file_are_scored(frozen_of, capsys) -> None:
    frozen_of().save("f.nc")
    table = pd.DataFrame({"arm": "e", "minutes": [60.0, 120.0], "mass": [1.3, 0.7]})
    table.to_csv("r.csv", index=False)
    names = ["--map", "experiment=arm,time=minutes,value=mass", "--time-unit", "minute"]
    assert main(["score", "f.nc", "--data", "r.csv", *names]) == 0
    assert "2 predicted readings were not made" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["theophylline"], "it is not said what to predict"),
        (["theophylline", "--design", "d.csv", "--split", "time"], "--design and --split are both given"),
        (["theophylline", "--design", "d.csv"], "there is no such file"),
        (["theophylline", "--split", "time", "--freeze", "f.txt"], "a name that ends in .nc"),
    ],
)
def test_bad_options_cost_no_calibration(given: list[str], message: str, capsys) -> None:
    assert main(["predict", *given]) != 0
    assert message in capsys.readouterr().err
